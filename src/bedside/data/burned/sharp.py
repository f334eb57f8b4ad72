"""Places where thin strokes stand sharper than tissue ever is, seen without OCR.

A scanner's picture of tissue is smooth: beam and scan conversion spread every echo over several
pixels. What is drawn afterwards is not, smoothed letters included, so a stroke of one or two
pixels is far from the median of its neighbourhood, where straight edges are not.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from bedside.data.burned.ink import Floats, Mask

Box = tuple[int, int, int, int]

_SIDE_PX = 3
# A stroke stands this much farther from the median than all but a hundredth of the picture does.
TIMES, _FAINTER, _QUANTILE, _LEAST_LEVELS = 2.0, 1.6, 0.99, 12.0
# Sharp pixels that lie in one window, in pixels, where there are letters.
_WINDOW, _COUNT = (11, 33), 16
_LOWEST_PX, _TALLEST_PX, _FLAT = 4, 60, 1.5
# Pieces of a line as wide as it is high that hold sharp pixels over half the height: a line of
# letters has several, an edge, an echo or a dotted line that slopes has few.
_PIECES, _EXTENT, _MOST = 4, 0.4, 0.5


def marks(values: Floats, times: float) -> Mask:
    """Pixels farther from the median around them than nearly all of the picture is, (H, W)."""
    grey = values.mean(axis=2)
    gap = np.abs(grey - ndimage.median_filter(grey, _SIDE_PX, mode="nearest"))
    out: Mask = gap > max(_LEAST_LEVELS, times * float(np.quantile(gap, _QUANTILE)))
    return out


def _count(own: Mask) -> Floats:
    """How many pixels of a mask lie in the window around each, (H, W)."""
    share: Floats = ndimage.uniform_filter(own.astype(np.float32), _WINDOW, mode="constant")
    return share * (_WINDOW[0] * _WINDOW[1])


def most(own: Mask) -> float:
    """The most pixels of a mask that one window holds."""
    return float(_count(own).max())


def sharp(values: Floats, known: Mask) -> list[Box]:
    """Boxes (y0, x0, y1, x1) around sharp strokes that stand side by side like letters.

    Args:
        values: (H, W, C) float32 in 0 to 255.
        known: (H, W), what is left out.
    """
    out = ndimage.binary_dilation(known, iterations=2)
    # Where much stands close together, fewer pixels tell letters apart better than many.
    return [box for times in (TIMES, _FAINTER) for box in _boxes(marks(values, times) & ~out)]


def _boxes(own: Mask) -> list[Box]:
    hot = _count(own) >= _COUNT
    joined = ndimage.binary_dilation(hot, np.ones((5, 9)))
    labels, _ = ndimage.label(joined)
    found = []
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        inside = own[place] & (labels[place] == number)
        ys, xs = (np.flatnonzero(inside.any(axis=a)) for a in (1, 0))
        if not len(ys):
            continue
        tall, wide = ys[-1] - ys[0] + 1, xs[-1] - xs[0] + 1
        if not _LOWEST_PX <= tall <= _TALLEST_PX or wide < _FLAT * tall or not _letters(
                inside[ys[0]:ys[-1] + 1, xs[0]:xs[-1] + 1]):
            continue
        y, x = place[0].start, place[1].start
        found.append((y + int(ys[0]), x + int(xs[0]), y + int(ys[-1]) + 1, x + int(xs[-1]) + 1))
    return found


def _letters(marks: Mask) -> bool:
    """Whether what is sharp reaches over the height in most of the pieces of a line."""
    tall, wide = marks.shape
    pieces = np.array_split(marks, max(1, round(wide / tall)), axis=1)
    full = 0
    for piece in pieces:
        ys = np.flatnonzero(piece.any(axis=1))
        full += bool(len(ys) and ys[-1] - ys[0] + 1 >= _EXTENT * tall)
    return full >= _PIECES and full >= _MOST * len(pieces)
