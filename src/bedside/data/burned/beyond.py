"""What of a line of text lies beyond what the detector marked: ink of the line's own level."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from bedside.data.burned.ink import Floats, Mask
from bedside.data.burned.spikes import Spike, spikes

Box = tuple[int, int, int, int]

_EXACT, _PURE, _LEAST_PX = 0.5, 0.5, 12
# A spike goes on a line that it is beside, in heights of the line, and whose rows it shares.
_GAP, _SHARED, _TALLER = 3.0, 0.4, 2.2


def colour_of(values: Floats, pure: Mask) -> Floats | None:
    """The one colour of a line whose certain ink is ``pure`` (h, w), (C,); None where it has
    several, as after compression."""
    inside = values[pure]
    if len(inside) < _LEAST_PX:
        return None
    colour = np.median(inside, axis=0).round()
    same = np.abs(inside - colour).max(axis=1) <= _EXACT
    return colour.astype(np.float32) if same.mean() >= _PURE else None


def continued(values: Floats, lines: Iterable[tuple[Box, Floats]]) -> Mask:
    """Pixels of a line's own colour that stand out beside it or within it, (H, W).

    Args:
        values: (H, W, C) float32 in 0 to 255.
        lines: the box of each line's ink as (y0, x0, y1, x1) and its colour (C,).
    """
    found = np.zeros(values.shape[:2], bool)
    lines = list(lines)
    if not lines:
        return found
    left = spikes(values, {round(float(c.mean())) for _, c in lines})
    for box, colour in lines:
        own = [s for s in left if np.abs(s.colour - colour).max() <= _EXACT]
        grown = True
        while grown:
            grown = False
            for spike in list(own):
                if _goes_on(spike, box):
                    own.remove(spike)
                    b = spike.box
                    found[b[0]:b[2], b[1]:b[3]] |= spike.mask
                    box = (min(box[0], b[0]), min(box[1], b[1]), max(box[2], b[2]),
                           max(box[3], b[3]))
                    grown = True
    return found


def _goes_on(spike: Spike, box: Box) -> bool:
    y0, x0, y1, x1 = spike.box
    tall = box[2] - box[0]
    shared = min(y1, box[2]) - max(y0, box[0])
    return (shared >= _SHARED * min(tall, y1 - y0) and y1 - y0 <= _TALLER * tall
            and x0 <= box[3] + _GAP * tall and x1 >= box[1] - _GAP * tall)
