"""Where a line of text may go on unseen: beside it the tissue is nearly of the ink's level."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from bedside.core.types import Box
from bedside.deid.text.masks import Floats, Mask

# Less than this of what lies beside a line is frame where the frame ends; of the pixels there so
# many must be within so many levels of the ink for it to be faint upon them.
_EDGE, _QUARTER, _HARDLY = 0.1, 0.25, 75.0
# Half of what lies beside a line is within so many levels of the ink where none could be seen;
# fewer pixels than this share tell nothing.
_SAME, _FREE = 15.0, 0.25


def cut_by_frame(values: Floats, lines: Iterable[tuple[Box, Floats]], area: Mask, core: Mask
                 ) -> bool:
    """Whether a line ends where the frame does: the rest may be too faint to be seen.

    Args:
        values: (H, W, C) float32 in 0 to 255.
        lines: of each line on the frame the box (y0, x0, y1, x1) and the ink's level (C,).
        area: (H, W), the frame.
        core: (H, W), ink.
    """
    for box, level in lines:
        tall = box[2] - box[0]
        for side in _sides(box):
            # Ordered from the line outwards.
            even, ink = (m[side][:, ::-1] if side[1].stop == box[1] else m[side]
                         for m in (area, core))
            if even.shape[1] < 2 * tall or even[:, tall // 2:].mean() >= _EDGE or (
                    ink[:, tall // 2:].any()):
                continue
            gap = np.abs(values[side] - level).max(axis=2)
            if np.quantile(gap, _QUARTER) < _HARDLY:
                return True
    return False


def hidden(values: Floats, lines: Iterable[tuple[Box, Floats]], known: Mask) -> bool:
    """Whether what lies beside a line is of the ink's very level, as a shadow beside dark letters.

    Args:
        values: (H, W, C) float32 in 0 to 255.
        lines: of each line the box (y0, x0, y1, x1) and the ink's level (C,).
        known: (H, W), what is taken out, and the even frame, on which every letter shows.
    """
    for box, level in lines:
        for side in _sides(box):
            free = ~known[side]
            if not free.size or free.mean() < _FREE:
                continue
            gap = np.abs(values[side] - level).max(axis=2)
            if np.median(gap[free]) < _SAME:
                return True
    return False


def _sides(box: Box) -> tuple[tuple[slice, slice], ...]:
    """What lies two heights to the left and to the right of a line."""
    y0, x0, y1, x1 = box
    far = 2 * (y1 - y0)
    return np.s_[y0:y1, max(0, x0 - far):x0], np.s_[y0:y1, x1:x1 + far]
