"""Register two thumbnails and measure how well they agree.

Thumbnails lose their slow shading, so that speckle and edges must agree and not the layout alone;
the overlay (a scale and a shift an axis, perhaps mirrored) is refined by least squares (Lucas and
Kanade 1981, IJCAI), and agreement is a correlation: over the whole overlap, and as the median over
its blocks, which calipers and text that two images share cannot raise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bedside.stages.data.duplicates.landmarks import blur
from bedside.stages.data.scan import THUMB_PX

Floats = npt.NDArray[np.float32]

_SHADING_PX = 6.0
_SMOOTH_PX = 1.0
_STEPS = 8
_BLOCK_PX = 8
_SHADE = blur(THUMB_PX, _SHADING_PX)
_SOFTEN = blur(THUMB_PX, _SMOOTH_PX)
_AT = ((np.arange(THUMB_PX) + 0.5) / THUMB_PX).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Overlay:
    """Where a point of the first image lies in the second: ``u' = scale · u + shift``.

    Coordinates run from 0 to 1 over the width (x) and the height (y).
    """

    scale_x: float = 1.0
    shift_x: float = 0.0
    scale_y: float = 1.0
    shift_y: float = 0.0


@dataclass(frozen=True, slots=True)
class Agreement:
    """``whole`` and ``median`` correlations; ``overlap`` as a share of the smaller image."""

    whole: float
    median: float
    overlap: float
    overlay: Overlay


def detail(thumbs: npt.NDArray[np.uint8]) -> Floats:
    """Return thumbnails less their Gaussian blur, (n, 64, 64) float32."""
    planes = thumbs.astype(np.float32)
    return planes - (_SHADE @ planes @ _SHADE.T).astype(np.float32)


def agree(first: Floats, second: Floats, start: Overlay) -> Agreement:
    """Refine an overlay and return how well two images agree under it.

    Args:
        first: (64, 64) :func:`detail`.
        second: as ``first``, mirrored already where it is a mirrored image.
        start: within about two pixels of the truth.
    """
    smooth = [(_SOFTEN @ plane @ _SOFTEN.T).astype(np.float32) for plane in (first, second)]
    overlay = _refined(smooth[0], smooth[1], start)
    return max((_score(first, second, o) for o in (start, overlay)), key=lambda a: a.median)


def _sampled(plane: Floats, overlay: Overlay) -> tuple[Floats, Any, Any]:
    """Return the second image on the first one's grid, and its rows and columns inside."""
    u = overlay.scale_x * _AT + overlay.shift_x
    v = overlay.scale_y * _AT + overlay.shift_y
    x, y = u * THUMB_PX - 0.5, v * THUMB_PX - 0.5
    inside_x, inside_y = (u >= 0) & (u <= 1), (v >= 0) & (v <= 1)
    x, y = np.clip(x, 0, THUMB_PX - 1.001), np.clip(y, 0, THUMB_PX - 1.001)
    c, r = x.astype(np.intp), y.astype(np.intp)
    right, down = (x - c).astype(np.float32), (y - r).astype(np.float32)[:, None]
    rows = plane[r] * (1 - down) + plane[r + 1] * down
    return rows[:, c] * (1 - right) + rows[:, c + 1] * right, inside_y, inside_x


def _refined(first: Floats, second: Floats, overlay: Overlay) -> Overlay:
    for _ in range(_STEPS):
        there, rows, columns = _sampled(second, overlay)
        if rows.sum() < THUMB_PX / 4 or columns.sum() < THUMB_PX / 4:
            return overlay
        here = first[np.ix_(rows, columns)]
        there = there[np.ix_(rows, columns)]
        here, there = here - here.mean(), there - there.mean()
        energy = float((there * there).sum())
        if energy < 1e-6:
            return overlay
        gain = float((here * there).sum()) / energy
        slope_y, slope_x = np.gradient(there * gain)
        x, y = _AT[columns][None, :] - 0.5, _AT[rows][:, None] - 0.5
        # Slopes are by pixel of the first grid; a step of the overlay moves in the second.
        slope_x, slope_y = slope_x / overlay.scale_x, slope_y / overlay.scale_y
        basis = np.stack([(slope_x * x).ravel(), slope_x.ravel(), (slope_y * y).ravel(),
                          slope_y.ravel()])
        normal = basis @ basis.T
        normal += np.diag(0.01 * np.diag(normal) + 1e-6)
        step = np.linalg.solve(normal, basis @ (here - gain * there).ravel()) / THUMB_PX
        step = np.clip(step, -0.05, 0.05)
        # The step turns about the middle, where scale and shift hardly depend on each other.
        scale_x, scale_y = overlay.scale_x + step[0], overlay.scale_y + step[2]
        if not (0.4 < scale_x < 2.5 and 0.4 < scale_y < 2.5):
            return overlay
        overlay = Overlay(float(scale_x), float(overlay.shift_x + step[1] - step[0] / 2),
                          float(scale_y), float(overlay.shift_y + step[3] - step[2] / 2))
        if np.abs(step).max() < 5e-4:
            break
    return overlay


def _score(first: Floats, second: Floats, overlay: Overlay) -> Agreement:
    there, rows, columns = _sampled(second, overlay)
    share = float(rows.mean() * columns.mean())
    # The smaller of both images is wholly inside the other when one is a crop.
    share /= min(1.0, 1 / max(overlay.scale_x * overlay.scale_y, 1e-6))
    if rows.sum() < THUMB_PX / 4 or columns.sum() < THUMB_PX / 4:
        return Agreement(0.0, 0.0, share, overlay)
    here, there = first[np.ix_(rows, columns)], there[np.ix_(rows, columns)]
    return Agreement(_correlation(here, there), _block_median(here, there), share, overlay)


def _correlation(a: Floats, b: Floats) -> float:
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / norm if norm > 1.0 else 0.0


def _block_median(a: Floats, b: Floats) -> float:
    """Return the median correlation over blocks of 8 x 8 with any detail in both."""
    height, width = (n // _BLOCK_PX * _BLOCK_PX for n in a.shape)

    def blocks(plane: Floats) -> Floats:
        cut = plane[:height, :width].reshape(height // _BLOCK_PX, _BLOCK_PX, -1, _BLOCK_PX)
        rows = cut.swapaxes(1, 2).reshape(-1, _BLOCK_PX * _BLOCK_PX)
        centred: Floats = rows - rows.mean(axis=1, keepdims=True)
        return centred

    a, b = blocks(a), blocks(b)
    power_a, power_b = (a * a).sum(axis=1), (b * b).sum(axis=1)
    used = (power_a > _BLOCK_PX**2) & (power_b > _BLOCK_PX**2)
    if used.sum() < 4:
        return 0.0
    values = (a * b).sum(axis=1)[used] / np.sqrt(power_a[used] * power_b[used])
    return float(np.median(values))
