"""Places where thin strokes stand sharper than tissue ever is, seen without OCR.

A scanner's picture of tissue is smooth: beam and scan conversion spread every echo over several
pixels. What is drawn afterwards is not, smoothed letters included, so a stroke of one or two
pixels is far from the median of its neighbourhood, where straight edges are not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from bedside.core.types import Box
from bedside.deid.text.masks import Floats, Mask

Grey = npt.NDArray[np.uint8]

# A stroke stands this much farther from the median than all but a hundredth of the picture does.
TIMES, FAINTER, _QUANTILE, _LEAST_LEVELS = 2.0, 1.6, 0.99, 12.0
# Sharp pixels that lie in one window, in pixels, where there are letters.
_WINDOW, _COUNT, _JOINED = (11, 33), 16, (5, 9)
_LOWEST_PX, _TALLEST_PX, _FLAT = 4, 60, 1.5
# Pieces of a line as wide as it is high that hold sharp pixels over half the height: a line of
# letters has several, an edge, an echo or a dotted line that slopes has few.
_PIECES, _EXTENT, _MOST = 4, 0.4, 0.5


def marks(values: Grey | Floats, times: float = TIMES) -> Mask:
    """Pixels farther from the median around them than nearly all of the picture is, (H, W).

    Args:
        values: (H, W) uint8, or (H, W, C) float32 in 0 to 255.
        times: how much farther.
    """
    gap, usual = _gap(values)
    out: Mask = gap > max(_LEAST_LEVELS, times * usual)
    return out


def _gap(values: Grey | Floats) -> tuple[Any, float]:
    """How far each pixel is from the median around it, and how far all but a hundredth are of
    those that are no even background: a black screen around the tissue tells nothing of it."""
    grey: Any = values.mean(axis=2) if values.ndim == 3 else values
    middle = median(grey)
    gap = np.maximum(grey, middle) - np.minimum(grey, middle)
    inside = gap[uneven(grey)]
    return gap, float(np.quantile(inside, _QUANTILE)) if len(inside) else 0.0


def uneven(grey: npt.NDArray[Any]) -> Mask:
    """Pixels that differ from one of their four neighbours."""
    out: Mask = np.zeros(grey.shape, bool)
    for axis in (0, 1):
        turned, moved = np.moveaxis(out, axis, 0), np.moveaxis(grey, axis, 0)
        step = moved[1:] != moved[:-1]
        turned[1:] |= step
        turned[:-1] |= step
    return out


def median(plane: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The median of each pixel and its eight neighbours, edges repeated, (H, W) of any type.

    Columns of three are sorted once; of each three of them the highest of the lowest, the middle
    of the middle and the lowest of the highest hold it (Smith 1996, Xilinx XCELL 23:16).
    """
    around = np.pad(plane, 1, mode="edge")
    low, middle, high = _sorted(around[:-2], around[1:-1], around[2:])
    lowest = np.maximum(np.maximum(low[:, :-2], low[:, 1:-1]), low[:, 2:])
    highest = np.minimum(np.minimum(high[:, :-2], high[:, 1:-1]), high[:, 2:])
    inner = _sorted(middle[:, :-2], middle[:, 1:-1], middle[:, 2:])[1]
    out: npt.NDArray[Any] = _sorted(lowest, inner, highest)[1]
    return out


def _sorted(a: Any, b: Any, c: Any) -> tuple[Any, Any, Any]:
    low, high = np.minimum(a, b), np.maximum(a, b)
    return np.minimum(low, c), np.maximum(low, np.minimum(high, c)), np.maximum(high, c)


def _count(own: Mask) -> Floats:
    """How many pixels of a mask lie in the window around each, (H, W)."""
    share: Floats = ndimage.uniform_filter(own.astype(np.float32), _WINDOW, mode="constant")
    return share * (_WINDOW[0] * _WINDOW[1])


def most(own: Mask) -> float:
    """The most pixels of a mask that one window holds."""
    return float(_count(own).max())


def sharp(values: Grey | Floats, known: Mask | None = None,
          levels: tuple[float, ...] = (TIMES, FAINTER)) -> list[Box]:
    """Boxes (y0, x0, y1, x1) around sharp strokes that stand side by side like letters.

    Args:
        values: (H, W) uint8, or (H, W, C) float32 in 0 to 255.
        known: (H, W), what is left out.
        levels: how many times farther from the median than nearly all of the picture; where much
            stands close together, fewer pixels tell letters apart better than many.
    """
    gap, usual = _gap(values)
    if known is not None:
        gap[ndimage.binary_dilation(known, iterations=2)] = 0
    return [box for times in levels
            for box in _boxes(gap > max(_LEAST_LEVELS, times * usual))]


def _boxes(own: Mask) -> list[Box]:
    hot = _count(own) >= _COUNT
    if not hot.any():
        return []
    joined = ndimage.maximum_filter(hot, _JOINED, mode="constant")
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
