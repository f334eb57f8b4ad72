"""What goes with the ink: a rim around it, as wide as the tissue allows."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from bedside.core.types import Box
from bedside.deid.text.masks import CROSS, SQUARE, Mask

_RIM_SHARE, _WIDEST_RIM = 0.006, 3


def with_rim(core: Mask, strong: Mask, rest: Mask, boxes: list[Box], faint: list[Box]) -> Mask:
    """Ink and a rim, as wide as the tissue around allows: at most 0.6% of it. Faint lines have
    theirs first, and all that lies between their letters."""
    allowed = _RIM_SHARE * max(1, int(rest.sum()))
    mask: Mask = core | ndimage.binary_dilation(strong, SQUARE)
    # Between two strokes that nearly touch no pixel has a side without ink.
    mask |= ndimage.binary_closing(strong, SQUARE, iterations=2)
    mask = _widened(mask, rest, around(faint, core.shape), allowed)
    for y0, x0, y1, x1 in sorted(faint, key=lambda b: (b[2] - b[0]) * (b[3] - b[1])):
        wider = mask.copy()
        wider[y0:y1, x0:x1] = True
        if (wider & rest).sum() <= allowed:
            mask = wider
    return _widened(mask, rest, around(boxes, core.shape), allowed)


def around(boxes: list[Box], shape: tuple[int, ...], by: int = 2) -> Mask:
    """Inside any of the boxes, grown by so many pixels, (H, W)."""
    inside = np.zeros(shape, bool)
    for y0, x0, y1, x1 in boxes:
        inside[max(0, y0 - by):y1 + by, max(0, x0 - by):x1 + by] = True
    return inside


def _widened(mask: Mask, rest: Mask, inside: Mask, allowed: float) -> Mask:
    for _ in range(_WIDEST_RIM):
        # A smaller step where a whole one is too much, and then no other.
        for shape in (SQUARE, CROSS):
            wider = mask | ndimage.binary_dilation(mask, shape) & inside
            if (wider & rest).sum() <= allowed:
                mask = wider
                break
        if shape is not SQUARE:
            break
    return mask
