"""B-mode image formation: random textures, speckle and log compression.

The complex envelope of a pulse-echo image is the map of scatterers convolved with the
point-spread function at baseband (Wagner et al., *Statistics of speckle in ultrasound B-scans*,
IEEE Trans. Sonics Ultrasonics 30, 1983). The carrier turns the depth of each scatterer inside
a pixel into a phase; a pixel (about 0.2 mm) is longer than half a wavelength (0.08 mm at
10 MHz), so the phases are uniform and the sum over a pixel's many scatterers is a circular
complex Gaussian. That sum is what is drawn here, by its amplitude (Rayleigh) and phase.

Lengths are millimetres, levels are decibels of amplitude (20 log10). Everything is float32 and
runs on one thread without BLAS, so that the same seed gives the same bytes in any process.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.fft

F32 = npt.NDArray[np.float32]
C64 = npt.NDArray[np.complex64]

DYNAMIC_RANGE_DB = 60.0
AXIAL_SIGMA_MM = 0.19  # a pulse of 0.45 mm, full width at half maximum
LATERAL_SIGMA_MM = 0.28
# Down to this depth the aperture grows with depth and the beam keeps its width (constant
# f-number); below it the whole aperture is in use and the beam widens in proportion.
FULL_APERTURE_MM = 16.0

_NEPER_PER_DB = math.log(10.0) / 20.0


@dataclass(frozen=True, slots=True)
class Grid:
    """The pixel grid: ``height_px`` rows over depth, ``width_px`` columns, square pixels."""

    height_px: int
    width_px: int
    mm_per_px: float

    @property
    def depth_mm(self) -> F32:
        """(H, 1) depth of the rows' centres."""
        return ((np.arange(self.height_px, dtype=np.float32) + 0.5)
                * np.float32(self.mm_per_px))[:, None]

    @property
    def across_mm(self) -> F32:
        """(W,) lateral position of the columns' centres."""
        return ((np.arange(self.width_px, dtype=np.float32) + 0.5) * np.float32(self.mm_per_px))


def amplitude(level_db: F32) -> F32:
    """Return the linear amplitude of a level in dB; the same shape, float32."""
    out: F32 = np.exp(level_db * np.float32(_NEPER_PER_DB))
    return out


# ------------------------------------------------------------------ smooth random fields


@functools.lru_cache(maxsize=256)
def _spline_taps(count: int, step: float) -> tuple[npt.NDArray[np.intp], F32, float]:
    """Return cubic B-spline taps that spread knots every ``step`` pixels over ``count`` pixels."""
    at = np.arange(count) / step
    first = np.floor(at).astype(np.intp)
    t = at - first
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4,
                        -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6
    # Mean power that white knots keep, so that fields come out with unit variance.
    return first, weights.astype(np.float32), float(np.mean(np.sum(weights**2, axis=0)))


def _step(length_mm: float, grid: Grid) -> float:
    """Return the knot distance in pixels, to a quarter pixel, so that taps can be cached."""
    return max(round(4 * length_mm / grid.mm_per_px) / 4, 1.0)


def smooth_line(rng: np.random.Generator, grid: Grid, cell_mm: float) -> F32:
    """Return a smooth random curve, (W,) float32, mean 0, variance 1, knots ``cell_mm`` apart."""
    first, weights, power = _spline_taps(grid.width_px, _step(cell_mm, grid))
    knots = rng.standard_normal(int(first[-1]) + 4, dtype=np.float32) / np.float32(math.sqrt(power))
    out: F32 = sum((weights[k] * knots[first + k] for k in range(1, 4)), weights[0] * knots[first])
    return out


def smooth_field(rng: np.random.Generator, grid: Grid, cell_mm: tuple[float, float]) -> F32:
    """Return a smooth random field, (H, W) float32, mean 0, variance 1.

    Args:
        rng: source of randomness.
        grid: the pixel grid.
        cell_mm: distance of the knots in depth and across: the size of a blob.
    """
    rows, row_weights, row_power = _spline_taps(grid.height_px, _step(cell_mm[0], grid))
    cols, col_weights, col_power = _spline_taps(grid.width_px, _step(cell_mm[1], grid))
    shape = (int(rows[-1]) + 4, int(cols[-1]) + 4)
    knots = rng.standard_normal(shape, dtype=np.float32)
    knots *= np.float32(1 / math.sqrt(row_power * col_power))
    wide = col_weights[0] * knots[:, cols]
    for k in range(1, 4):
        wide += col_weights[k] * knots[:, cols + k]
    out: F32 = wide.take(rows, axis=0)
    out *= row_weights[0][:, None]
    for k in range(1, 4):
        part = wide.take(rows + k, axis=0)
        part *= row_weights[k][:, None]
        out += part
    return out


def fibres(field: F32, thickness_px: float) -> F32:
    """Return interfaces along the zero lines of ``field``, (H, W) float32 in [0, 1].

    A specular interface returns its echo only where it lies across the beam. The distance is
    therefore taken along depth, field / (d field / d z), so that steep stretches thin out, and
    the echo falls with the slope's share in depth of the whole gradient.
    """
    slope = np.empty_like(field)
    np.subtract(field[1:], field[:-1], out=slope[:-1])
    slope[-1] = slope[-2]
    slope *= slope
    across = np.zeros_like(field)
    np.subtract(field[:, 1:], field[:, :-1], out=across[:, 1:])
    across *= across
    across *= np.float32(3.0)
    across += slope
    slope *= np.float32(thickness_px**2)
    below = field * field
    below += slope
    below += np.float32(1e-12)
    line = slope / below
    line *= line
    line *= slope
    across += np.float32(1e-12)
    line /= across
    line *= np.float32(1 / thickness_px**2)
    return line


# ------------------------------------------------------------------ image formation


@functools.lru_cache(maxsize=8)
def _point_spread(grid: Grid) -> tuple[F32, F32, int]:
    """Return axial taps, the rows' lateral transfer functions (H, N), and the lateral margin in px.

    Both have unit energy: white noise of unit power keeps it.
    """
    sigma = AXIAL_SIGMA_MM / grid.mm_per_px
    reach = max(1, round(2.5 * sigma))
    axial = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    axial /= np.sqrt(np.sum(axial**2))
    lateral = (LATERAL_SIGMA_MM / grid.mm_per_px
               * np.maximum(1.0, grid.depth_mm.astype(np.float64) / FULL_APERTURE_MM))
    margin = math.ceil(3 * float(lateral.max()))
    length = scipy.fft.next_fast_len(grid.width_px + 2 * margin)
    frequency = 2 * np.pi * np.fft.fftfreq(length)[None, :]
    transfer = np.exp(-0.5 * (lateral * frequency) ** 2)
    transfer /= np.sqrt(np.mean(transfer**2, axis=1, keepdims=True))
    return axial.astype(np.float32), transfer.astype(np.float32), margin


@functools.lru_cache(maxsize=1)
def _scatterers() -> C64:
    """Return 256 amplitudes × 256 phases of equal probability, (65536,), unit power.

    One table look-up by 16 random bits costs a tenth of two normal deviates.
    """
    steps = (np.arange(256) + 0.5) / 256
    table = np.outer(np.sqrt(-np.log1p(-steps)), np.exp(2j * np.pi * steps)).ravel()
    out: C64 = (table / np.sqrt(np.mean(np.abs(table) ** 2))).astype(np.complex64)
    return out


def complex_envelope(rng: np.random.Generator, scatter: F32, grid: Grid) -> C64:
    """Return the baseband echo of random scatterers through the point-spread function.

    Args:
        rng: source of randomness.
        scatter: (H, W) float32, root-mean-square amplitude of the scatterers in each pixel.
        grid: the pixel grid of ``scatter``.

    Returns:
        (H, W) complex64. Where ``scatter`` is constant, mean square ``scatter``² and a
        Rayleigh-distributed magnitude (fully developed speckle).
    """
    axial, transfer, margin = _point_spread(grid)
    reach = len(axial) // 2
    height, width = grid.height_px, grid.width_px
    length = transfer.shape[1]
    pick = rng.integers(0, 1 << 16, (height + 2 * reach, length), np.uint16)
    echo = _scatterers().take(pick)
    # The image's edges repeat into the margins, which the convolution wraps around in.
    inner = echo[reach:reach + height]
    inner[:, margin:margin + width] *= scatter
    inner[:, :margin] *= scatter[:, :1]
    inner[:, margin + width:] *= scatter[:, -1:]
    echo[:reach] *= scatter[0, 0]
    echo[reach + height:] *= scatter[-1, -1]
    mixed = inner * axial[reach]
    for k in range(reach):
        pair = echo[k:k + height] + echo[2 * reach - k:2 * reach - k + height]
        pair *= axial[k]
        mixed += pair
    spectrum = scipy.fft.fft(mixed, axis=1, overwrite_x=True, workers=1)
    spectrum *= transfer
    seen = scipy.fft.ifft(spectrum, axis=1, overwrite_x=True, workers=1)
    out: C64 = seen[:, margin:margin + width]
    return out


def log_compress(envelope: F32, full_scale: float = 1.0) -> npt.NDArray[np.uint8]:
    """Return the 8-bit image of an envelope: 255 at ``full_scale``, 0 at 60 dB below it.

    Args:
        envelope: (H, W) float32, not negative.
        full_scale: amplitude shown as white; larger ones saturate.

    Returns:
        (H, W) uint8.
    """
    floor = np.float32(full_scale * 10 ** (-DYNAMIC_RANGE_DB / 20))
    grey = np.log(np.maximum(envelope, floor) / floor)
    grey *= np.float32(255.0 / (DYNAMIC_RANGE_DB * _NEPER_PER_DB))
    np.minimum(grey, np.float32(255.0), out=grey)
    grey += np.float32(0.5)
    return grey.astype(np.uint8)
