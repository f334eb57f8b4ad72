"""The echo map of a synthetic breast: layered tissue and a lesion.

Lengths are millimetres, levels are decibels of amplitude. Thicknesses and relative levels were
set by eye against published images; only a lesion's findings are used here, never its class.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bedside.synthetic.speckle import F32, Grid, amplitude, fibres, smooth_field, smooth_line

_OUTLINE_POINTS = 512


@dataclass(frozen=True, slots=True)
class Findings:
    """The features of one case before it is imaged.

    ``aspect`` is height over width. ``irregularity``, ``spiculation`` and ``indistinctness``
    run from 0 to 1. ``posterior_db`` is the echo behind the lesion against the same depth
    beside it.
    """

    label: str
    age: float
    size_mm: float
    aspect: float
    irregularity: float
    spiculation: float
    indistinctness: float
    posterior_db: float


# ------------------------------------------------------------------ layered tissue


@dataclass(frozen=True, slots=True)
class Tissue:
    """Echo map of a breast without a lesion, all (H, W) float32.

    ``level_db``: diffuse scattering. ``specular``: linear amplitude of interfaces (skin, septa,
    fascia). ``gain_db``: what the beam has lost or gained on the way, the same for both.
    """

    level_db: F32
    specular: F32
    gain_db: F32


def breast(rng: np.random.Generator, grid: Grid) -> Tissue:
    """Draw skin, fat, fibroglandular tissue, retromammary fat, pectoral muscle and maybe ribs.

    Returns:
        The echo map; nothing in it depends on a lesion.
    """
    z, px = grid.depth_mm, grid.mm_per_px
    dense = float(rng.beta(1.6, 1.6))

    def boundary(depth_mm: float, wave_mm: float, cell_mm: float) -> F32:
        curve = smooth_line(rng, grid, cell_mm)
        return np.float32(depth_mm) + np.float32(wave_mm) * curve

    at = rng.uniform(1.2, 2.0)
    skin = boundary(at, 0.07, 12)
    at += rng.uniform(3, 8) - 2 * dense
    gland_top = boundary(at, 1.0, 6)
    at += 6 + 13 * dense + rng.uniform(-2, 3)
    gland_bottom = boundary(at, 1.4, 8)
    at = min(at + rng.uniform(3, 9), 0.72 * float(z[-1, 0]))
    muscle_top = boundary(at, 0.5, 16)
    muscle_bottom = muscle_top + np.float32(rng.uniform(6, 10))

    lobules = smooth_field(rng, grid, (rng.uniform(1.6, 2.6), rng.uniform(3.5, 6.0)))
    streaks = smooth_field(rng, grid, (rng.uniform(0.9, 1.5), rng.uniform(5.0, 10.0)))
    mottle = smooth_field(rng, grid, (rng.uniform(0.7, 1.2), rng.uniform(1.3, 2.6)))

    def below(curve: F32, softness_mm: float) -> F32:
        step: F32 = (z - curve) * np.float32(1 / softness_mm)
        step += np.float32(0.5)
        return np.clip(step, 0, 1, out=step)

    fat = np.float32(rng.uniform(-10, -7))
    in_gland = below(gland_top, 1.0)
    in_gland -= below(gland_bottom, 2.5)
    in_muscle = below(muscle_top, 0.5)
    # Fat lobules lie between the strands of the gland: more of them in a fatty breast.
    strands = np.float32(0.8) * mottle
    strands += np.float32(0.7) * lobules
    strands += np.float32(dense - 0.4)
    np.clip(strands, -1.2, 1.0, out=strands)
    strands *= np.float32(rng.uniform(3.0, 7.5))
    strands -= fat + np.float32(1.5)
    in_gland *= strands
    level = in_gland
    level += fat
    level += np.float32(1.3) * streaks
    level += np.float32(1.0) * mottle
    level += (np.float32(rng.uniform(-3, 0)) + np.float32(1.6) * streaks) * in_muscle
    level += np.float32(rng.uniform(4, 8)) * (1 - below(skin, 0.2))
    level -= np.float32(rng.uniform(2, 7)) * below(muscle_bottom, 4.0)

    # Septa and ligaments between the lobules, fibres of the gland and the muscle.
    specular = fibres(lobules, 0.28 / px)
    specular *= np.float32(rng.uniform(0.5, 1.1))
    fine = fibres(streaks, 0.24 / px)
    fine *= np.float32(rng.uniform(0.1, 0.4)) + np.float32(rng.uniform(0.1, 0.5)) * in_muscle
    specular += fine
    specular *= np.clip(np.float32(0.35) + np.float32(0.6) * mottle, 0.02, 1.5)
    for curve, thick_mm, echo in ((skin, 0.16, 1.0), (gland_top, 0.18, 0.9),
                                  (gland_bottom, 0.18, 0.5), (muscle_top, 0.25, 1.0),
                                  (muscle_bottom, 0.25, 0.6)):
        broken = np.clip(0.45 + 0.5 * smooth_line(rng, grid, 3.0), 0.02, 1.5)
        rows = slice(max(0, int((curve.min() - 4 * thick_mm) / px)),
                     max(0, int((curve.max() + 4 * thick_mm) / px)) + 2)
        near = (z[rows] - curve) * np.float32(1 / thick_mm)
        specular[rows] += np.float32(echo) * broken / np.square(1 + np.square(near))
    specular[:max(1, round(0.6 / px))] += np.float32(0.8)
    specular *= amplitude(np.asarray(fat + 16, np.float32))

    gain = _gain(rng, grid, at)
    if rng.random() < 0.25:
        _add_rib(rng, grid, float(muscle_bottom.mean()), specular, gain)
    return Tissue(level, specular, gain)


def _gain(rng: np.random.Generator, grid: Grid, muscle_mm: float) -> F32:
    """Return attenuation that the time-gain compensation leaves, and shadows from the surface."""
    z = grid.depth_mm
    residual = (rng.uniform(0.08, 0.30) * np.maximum(z - 6, 0)
                + rng.uniform(0.0, 0.5) * np.maximum(z - muscle_mm, 0))
    contact = smooth_line(rng, grid, 3.0)
    column = np.minimum(rng.uniform(0.3, 1.0) - contact, 0) * rng.uniform(0.5, 5.0)
    drift = rng.uniform(0.5, 2.5) * smooth_line(rng, grid, 18)
    ramp = np.minimum(z / 25, 1)
    gain: F32 = ramp * (column + drift).astype(np.float32) - residual.astype(np.float32)
    gain += np.float32(rng.uniform(-26, -18))
    return gain


def _add_rib(rng: np.random.Generator, grid: Grid, top_mm: float, specular: F32, gain: F32) -> None:
    """Add a bright convex surface under the muscle with little behind it."""
    z, x = grid.depth_mm, grid.across_mm
    offset = (x - np.float32(rng.uniform(0, float(x[-1])))) * np.float32(1 / rng.uniform(5, 8))
    inside = np.clip(1 - np.square(offset), 0, 1)
    top = np.float32(top_mm + 3) - np.float32(3) * np.sqrt(inside)
    near = (z - top) * np.float32(1 / 0.4)
    specular += np.float32(0.8) * inside / np.square(1 + np.square(near))
    gain -= np.float32(13) * np.minimum(1.5 * inside, 1) * np.clip((z - top) / 5, 0, 1)


# ------------------------------------------------------------------ lesion


def _outline(rng: np.random.Generator, case: Findings) -> tuple[F32, float, float]:
    """Return the outline's radius by polar angle, (512,) float32 in mm, and half axes' factors.

    The angle is that of the ellipse's own frame: a point lies at
    (across, depth) = radius · (width factor · cos, height factor · sin).
    """
    angle = np.linspace(0, 2 * np.pi, _OUTLINE_POINTS, endpoint=False)
    radius = np.ones(_OUTLINE_POINTS)
    for order in range(2, 9):
        swing = (0.02 + 0.17 * case.irregularity) * rng.normal() / order**0.6
        radius += 0.8 * swing * np.cos(order * angle + rng.uniform(0, 2 * np.pi))
    radius = np.maximum(radius, 0.45)
    count = int(rng.integers(8, 20))
    reach = 0.32 * case.spiculation * rng.uniform(0.1, 1.0, count)
    width = rng.uniform(0.03, 0.13, count)
    away = np.abs((angle - rng.uniform(0, 2 * np.pi, (count, 1)) + np.pi) % (2 * np.pi) - np.pi)
    radius += reach @ np.exp(-away / width[:, None])
    across, depth = radius * np.cos(angle), radius * np.sin(angle)
    wide = math.sqrt(1 / case.aspect) / float(np.ptp(across))
    tall = math.sqrt(case.aspect) / float(np.ptp(depth))
    # Size is the largest diameter: the widest shadow of the outline over all directions.
    turn = np.linspace(0, np.pi, 36, endpoint=False)[:, None]
    shadow = across * wide * np.cos(turn) + depth * tall * np.sin(turn)
    scale = case.size_mm / float(np.max(np.ptp(shadow, axis=1)))
    return radius.astype(np.float32), wide * scale, tall * scale


@dataclass(frozen=True, slots=True)
class Lesion:
    """A lesion on the grid; the arrays cover the window ``rows`` × ``columns``.

    ``distance_mm`` is measured roughly, from the outline, positive outside.
    """

    rows: slice
    columns: slice
    mask: npt.NDArray[np.bool_]
    distance_mm: F32


def place_lesion(rng: np.random.Generator, case: Findings, grid: Grid) -> Lesion:
    """Draw the outline of a case's lesion and put it between skin and muscle.

    The mask's largest diameter is ``case.size_mm`` and its box's height over width
    ``case.aspect``, both to the pixel.
    """
    radius, wide, tall = _outline(rng, case)
    angle = np.linspace(0, 2 * np.pi, _OUTLINE_POINTS, endpoint=False)
    across, depth = radius * np.cos(angle) * wide, radius * np.sin(angle) * tall
    field = grid.height_px * grid.mm_per_px
    breadth = grid.width_px * grid.mm_per_px
    top = rng.uniform(3.0, max(3.5, min(16.0, 0.62 * field - np.ptp(depth))))
    middle_z = float(top - depth.min())
    room = max(0.0, 0.5 * breadth - 0.5 * float(np.ptp(across)) - 1.0)
    middle_x = 0.5 * breadth + float(np.clip(rng.normal(0, 6), -room, room)) \
        - 0.5 * float(across.max() + across.min())

    margin = 2.5
    rows, columns = (
        slice(max(0, int((centre + edge.min() - margin) / grid.mm_per_px)),
              min(count, math.ceil((centre + edge.max() + margin) / grid.mm_per_px)))
        for centre, edge, count in ((middle_z, depth, grid.height_px),
                                    (middle_x, across, grid.width_px)))
    z = (grid.depth_mm[rows] - np.float32(middle_z)) * np.float32(1 / tall)
    x = (grid.across_mm[columns] - np.float32(middle_x)) * np.float32(1 / wide)
    turn = np.arctan2(z, x) * np.float32(_OUTLINE_POINTS / (2 * np.pi))
    out = np.hypot(z, x)
    edge = radius[(turn + np.float32(_OUTLINE_POINTS)).astype(np.intp) % _OUTLINE_POINTS]
    distance: F32 = (out - edge) * np.float32(math.sqrt(wide * tall))
    mask = distance < 0
    # The smallest lesions on the smallest grids: the pixel at the centre always belongs.
    mask[min(mask.shape[0] - 1, int(middle_z / grid.mm_per_px) - rows.start),
         min(mask.shape[1] - 1, int(middle_x / grid.mm_per_px) - columns.start)] = True
    return Lesion(rows, columns, mask, distance)


def add_lesion(rng: np.random.Generator, case: Findings, lesion: Lesion, grid: Grid,
                level: F32, specular: F32, gain: F32) -> None:
    """Write the lesion into the echo map, in place."""
    window = (lesion.rows, lesion.columns)
    texture = smooth_field(rng, grid, (0.8, 1.0))[window]
    # Strands of tumour and tissue interlock across an indistinct margin.
    rough = lesion.distance_mm + np.float32(0.45 * case.indistinctness) * texture
    inside = np.clip(np.float32(0.5) - rough * np.float32(1 / (0.3 + case.indistinctness)), 0, 1)
    anechoic = rng.random() < 0.35 and case.irregularity < 0.5
    echo = np.float32(rng.uniform(-34, -24) if anechoic else rng.uniform(-22, -16))
    grain = np.float32(rng.uniform(0.5, 1.0) + 1.2 * case.irregularity)
    level[window] += inside * (echo + grain * texture - level[window])
    specular[window] *= 1 - inside

    # Circumscribed: a thin capsule seen where it lies across the beam. Indistinct: an
    # echogenic halo without an edge.
    capsule = fibres(lesion.distance_mm, 0.16 / grid.mm_per_px)
    capsule *= np.float32(rng.uniform(0.2, 1.0) * (1 - case.indistinctness))
    specular[window] += capsule
    halo = np.exp(-np.square((rough - np.float32(0.9)) * np.float32(1 / 0.9)))
    level[window] += np.float32(5.0 * case.indistinctness) * halo

    # Echo behind the lesion follows the path through it, relative to its thickest column.
    path = np.cumsum(inside, axis=0)
    path *= np.float32(case.posterior_db / max(float(path[-1].max()), 1e-3))
    gain[window] += path
    deep = grid.depth_mm[lesion.rows.stop:]
    if len(deep):
        away = (deep - deep[0]) * np.float32(1 / 30)
        gain[lesion.rows.stop:, lesion.columns] += path[-1] * (1 - 0.6 * np.minimum(away, 1))
    # Refraction at the sides of a smooth curved wall leaves two thin shadows.
    sides = np.flatnonzero(lesion.mask.any(axis=0)) + lesion.columns.start
    thin = sum(np.exp(-np.square((grid.across_mm - grid.across_mm[s]) * np.float32(1 / 0.5)))
               for s in (sides[0], sides[-1]))
    start = (lesion.rows.start + lesion.rows.stop) // 2
    away = grid.depth_mm[start:] - grid.depth_mm[start]
    fade = np.exp(-away / np.float32(0.8 * case.size_mm))
    gain[start:] -= np.float32(5.0 * (1 - case.irregularity)) * fade * thin
