"""The even frame that a scanner draws around its picture, and what is written on it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from bedside.deid.text.masks import Floats, Mask

_EXACT = 0.5
# A background covers this share of a picture; it is broader than letters, which leave no gap
# in it that is wider.
_FRAME, _OPEN_PX, _CLOSE_PX = 0.02, 15, 41


def on_background(values: Floats) -> tuple[Mask, Mask]:
    """Broad areas of the background's one level, and what is of another on them, each (H, W)."""
    grey = values.mean(axis=2)
    level = np.bincount(np.clip(np.round(grey), 0, 255).astype(int).ravel()).argmax()
    even = np.abs(values - level).max(axis=2) <= _EXACT
    if even.mean() < _FRAME:
        return np.zeros(even.shape, bool), np.zeros(even.shape, bool)
    area = even
    for size, first, then in ((_OPEN_PX, ndimage.minimum_filter, ndimage.maximum_filter),
                              (_CLOSE_PX, ndimage.maximum_filter, ndimage.minimum_filter)):
        area = then(first(area, size, mode="nearest"), size, mode="nearest")
    return area, area & ~even
