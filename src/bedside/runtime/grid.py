"""Logits of an integer output put back on the grid that their rounding to float32 left.

An integer network's logits are ``scale · (q − zero_point)``, one scale and zero point for all
classes (Jacob et al. 2018, eq. 1; the paper's eq. 4), each rounded to float32 on its own. Two
images with the same difference of integers then differ in the last digit, and their tie is lost.
The scale is recovered from the logits themselves, because no runtime but LiteRT states it, and
because whoever reads published logits can do the same. ``docs/decisions/0019-integer-logits.md``
has the proof.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# |q − zero_point| of LiteRT's symmetric int16; an int8 output stays below 256.
MOST = 2**15
# Above this expected number of grids that fit by chance, floats are left as they are.
CHANCE = 1e-3
# Share of a grid step that the rounding of two float32 covers, for each step of distance from 0.
_ROUNDING = 2.0**-22


def scale_of(logits: npt.NDArray[Any]) -> float | None:
    """Return the scale of which every logit is an integer multiple, rounded to float32, or None.

    The coarsest such grid. None where a logit is no float32 number, no grid of at most ``MOST``
    steps fits every one exactly, or so few different logits fit one by chance.

    Args:
        logits: any shape, float.
    """
    values = np.asarray(logits, np.float64).ravel()
    if not values.size or not np.isfinite(values).all():
        return None
    with np.errstate(over="ignore"):
        if not np.array_equal(values.astype(np.float32).astype(np.float64), values):
            return None
    sizes = np.unique(np.abs(values))
    sizes = sizes[sizes > 0]
    if not len(sizes):
        return None
    steps = np.arange(1, MOST + 1, dtype=np.float64)
    steps = steps[steps * (steps * _ROUNDING) ** (len(sizes) - 1) < CHANCE]
    largest = sizes[-1]
    for value in sizes[:-1]:
        ratio = value * steps / largest
        # Each of both is off by half of its last digit at most.
        steps = steps[np.abs(ratio - np.rint(ratio)) <= steps * _ROUNDING]
        if not len(steps):
            return None
    for most in steps:
        scale = _fit(sizes, np.rint(sizes * most / largest))
        if scale is not None:
            return scale
    return None


def _fit(sizes: Floats, counts: Floats) -> float | None:
    """Return the float32 whose multiples round to ``sizes``, the nearest to them, or None."""
    if counts[0] < 1:
        return None
    half = np.spacing(sizes.astype(np.float32)).astype(np.float64) / 2
    low, high = ((sizes - half) / counts).max(), ((sizes + half) / counts).min()
    first = np.float32(low)
    wanted, best, gap = sizes.astype(np.float32), None, np.inf
    for scale in (np.nextafter(first, np.float32(0)), first,
                  np.nextafter(first, np.float32(np.inf)),
                  np.nextafter(np.nextafter(first, np.float32(np.inf)), np.float32(np.inf))):
        if scale > high:
            break
        products = counts * float(scale)
        if np.array_equal(products.astype(np.float32), wanted):
            apart = float(np.abs(products - sizes).max())
            if apart < gap:
                best, gap = float(scale), apart
    return best


def exact(logits: npt.NDArray[Any]) -> Floats:
    """Return logits (n, K) as float64, on their grid where they have one, else unchanged.

    A logit moves by its float32 rounding at most. On the grid, differences of logits are exact in
    float64, so that equal differences of integers are equal: 24 bits of scale and at most 17 of
    integers fit its 53.
    """
    values: Floats = np.asarray(logits, np.float64)
    scale = scale_of(values)
    if scale is None:
        return values
    on_grid: Floats = np.rint(values / scale) * scale
    return on_grid
