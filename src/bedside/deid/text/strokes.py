"""Detect letters without OCR: rows of strokes of one value, and dense edges.

A scanner draws text in one colour over an image that is nowhere exactly flat: speckle and tissue
make no four thin marks of one value side by side. And beam and scan conversion spread every echo
over several pixels, where what is drawn afterwards is sharp: a stroke of one or two pixels,
smoothed or not, is far from the median of its neighbourhood, where straight edges are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage, sparse
from scipy.sparse.csgraph import connected_components

from bedside.core.types import Box
from bedside.deid.text.background import Floats, Image, Mask, bounds
from bedside.deid.text.parameters import EDGES, PIXELS, STROKES


@dataclass(frozen=True, slots=True)
class Row:
    """One row of marks: the box as (y0, x0, y1, x1), lower ends exclusive; ``mask`` (h, w) of its
    marks; ``colour`` (C,) float32 of them."""

    box: Box
    mask: Mask
    colour: Floats


@dataclass(frozen=True, slots=True)
class _Mark:
    label: int
    box: Box

    @property
    def height_px(self) -> int:
        return self.box[2] - self.box[0]


def rows(values: Floats) -> list[Row]:
    """Return rows of letter-like marks in an image, (H, W, C) float32 in 0 to 255."""
    packed = _packed(values)
    labels = _flat_patches(packed)
    marks: dict[int, list[_Mark]] = {}
    for label, part in enumerate(ndimage.find_objects(labels), start=1):
        own = labels[part] == label
        if _letter_like(own) and _stands_out(values, labels, label, part):
            ys, xs = part
            marks.setdefault(int(packed[part][own][0]), []).append(
                _Mark(label, (ys.start, xs.start, ys.stop, xs.stop)))
    return [_row(values, labels, chain) for same in marks.values() for chain in _chains(same)]


def _packed(values: Floats) -> npt.NDArray[np.int64]:
    """Pack each pixel's channels into one number, (H, W)."""
    whole = np.clip(np.round(values), 0, 255).astype(np.int64)
    out = whole[..., 0]
    for channel in range(1, whole.shape[2]):
        out = out << 8 | whole[..., channel]
    return out


def _flat_patches(packed: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """Label 8-connected patches of one value and of the size of letters from 1; 0 elsewhere."""
    number = np.arange(packed.size, dtype=np.int32).reshape(packed.shape)
    pairs = [(number[a][same], number[b][same]) for a, b in (
        (np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:]),
        (np.s_[:-1, :-1], np.s_[1:, 1:]), (np.s_[:-1, 1:], np.s_[1:, :-1]))
        for same in [packed[a] == packed[b]]]
    first, second = (np.concatenate(side) for side in zip(*pairs, strict=True))
    graph = sparse.coo_matrix((np.ones(len(first), np.bool_), (first, second)),
                              shape=(packed.size, packed.size))
    count, labels = connected_components(graph, directed=False)
    sizes = np.bincount(labels, minlength=count)
    least, most = STROKES.area_px
    letters = np.flatnonzero((sizes >= least) & (sizes < most))
    new = np.zeros(count, np.int32)
    new[letters] = np.arange(1, len(letters) + 1)
    out: npt.NDArray[np.int32] = new[labels].reshape(packed.shape)
    return out


def _letter_like(own: Mask) -> bool:
    height, width = own.shape
    lowest, highest = STROKES.height_px
    if not lowest <= height <= highest or width > STROKES.wide * height:
        return False
    padded = np.pad(own, 1)
    outline = padded & ~ndimage.binary_erosion(padded)
    # Area over half the outline: the width of a stroke.
    return bool(2 * own.sum() / outline.sum() <= max(STROKES.thin_px, STROKES.stroke * height))


def _stands_out(values: Floats, labels: npt.NDArray[np.int32], label: int,
                part: tuple[slice, slice]) -> bool:
    width = STROKES.ring_px
    ys, xs = (slice(max(0, s.start - width), s.stop + width) for s in part)
    own = labels[ys, xs] == label
    # The pixels next to a smoothed stroke are mixed with it.
    ring = ndimage.binary_dilation(own, iterations=width) & ~ndimage.binary_dilation(own)
    if not ring.any():
        return False
    around = np.median(values[ys, xs][ring], axis=0)
    return bool(np.abs(around - values[ys, xs][own][0]).max() >= STROKES.contrast)


def _chains(marks: list[_Mark]) -> list[list[_Mark]]:
    """Return marks of one value that stand side by side at one height, four or more."""
    left = sorted(marks, key=lambda m: m.box[1])
    out = []
    while len(left) >= STROKES.row:
        chain = [left.pop(0)]
        for mark in list(left):
            last = chain[-1]
            low, high = sorted((last.height_px, mark.height_px))
            if mark.box[1] - last.box[3] > STROKES.gap * high:
                break
            shared = min(last.box[2], mark.box[2]) - max(last.box[0], mark.box[0])
            if (shared >= STROKES.overlap * low and high <= STROKES.alike * low
                    and mark.box[1] >= last.box[3] - 2):
                chain.append(mark)
        if len(chain) >= STROKES.row:
            out.append(chain)
            left = [m for m in left if m not in chain]
    return out


def _row(values: Floats, labels: npt.NDArray[np.int32], chain: list[_Mark]) -> Row:
    boxes = np.array([m.box for m in chain])
    y0, x0 = boxes[:, :2].min(axis=0).tolist()
    y1, x1 = boxes[:, 2:].max(axis=0).tolist()
    mask = np.isin(labels[y0:y1, x0:x1], [m.label for m in chain])
    return Row((y0, x0, y1, x1), mask, values[y0:y1, x0:x1][mask][0])


# ------------------------------------------------------------------ edge density


def sharp_pixels(values: Image | Floats, times: float = EDGES.times) -> Mask:
    """Return pixels farther from the median around them than nearly all of the image, (H, W).

    Args:
        values: (H, W) uint8, or (H, W, C) float32 in 0 to 255.
        times: how much farther.
    """
    gap, usual = _sharpness(values)
    out: Mask = gap > max(EDGES.least, times * usual)
    return out


def _sharpness(values: Image | Floats) -> tuple[Any, float]:
    """Return each pixel's distance from the median around it, and the 99th percentile of those
    outside an even background: a black screen around the tissue says nothing about it."""
    grey: Any = values.mean(axis=2) if values.ndim == 3 else values
    middle = median(grey)
    gap = np.maximum(grey, middle) - np.minimum(grey, middle)
    inside = gap[uneven(grey)]
    return gap, float(np.quantile(inside, EDGES.quantile)) if len(inside) else 0.0


def uneven(grey: npt.NDArray[Any]) -> Mask:
    """Return the pixels that differ from one of their four neighbours."""
    out: Mask = np.zeros(grey.shape, bool)
    for axis in (0, 1):
        turned, moved = np.moveaxis(out, axis, 0), np.moveaxis(grey, axis, 0)
        step = moved[1:] != moved[:-1]
        turned[1:] |= step
        turned[:-1] |= step
    return out


def median(plane: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the median of each pixel and its eight neighbours, edges repeated, (H, W).

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


def edge_density(sharp: Mask) -> Floats:
    """Return the number of sharp pixels in the window around each pixel, (H, W)."""
    rows_px, columns_px = EDGES.window_px
    share: Floats = ndimage.uniform_filter(sharp.astype(np.float32), EDGES.window_px,
                                           mode="constant")
    return share * (rows_px * columns_px)


def dense_edges(values: Image | Floats, known: Mask | None = None,
                times: tuple[float, ...] = (EDGES.times, EDGES.fainter)) -> list[Box]:
    """Return boxes (y0, x0, y1, x1) around sharp strokes that stand side by side like letters.

    Args:
        values: (H, W) uint8, or (H, W, C) float32 in 0 to 255.
        known: (H, W), what is left out.
        times: how many times farther from the median than nearly all of the image; where much
            stands close together, fewer pixels tell letters apart better than many.
    """
    gap, usual = _sharpness(values)
    if known is not None:
        gap[ndimage.binary_dilation(known, iterations=EDGES.known_px)] = 0
    return [box for t in times for box in _dense_boxes(gap > max(EDGES.least, t * usual))]


def _dense_boxes(sharp: Mask) -> list[Box]:
    dense = edge_density(sharp) >= EDGES.dense
    if not dense.any():
        return []
    labels, _ = ndimage.label(ndimage.maximum_filter(dense, EDGES.join_px, mode="constant"))
    out = []
    for label, part in enumerate(ndimage.find_objects(labels), start=1):
        inside = sharp[part] & (labels[part] == label)
        if not inside.any():
            continue
        y0, x0, y1, x1 = bounds(inside)
        height, width = y1 - y0, x1 - x0
        if PIXELS.lowest_px <= height <= PIXELS.tallest_px and width >= EDGES.wide * height and (
                _letters(inside[y0:y1, x0:x1])):
            y, x = part[0].start, part[1].start
            out.append((y + y0, x + x0, y + y1, x + x1))
    return out


def _letters(sharp: Mask) -> bool:
    """Return whether sharp pixels span the height in most pieces of a line."""
    height, width = sharp.shape
    pieces = np.array_split(sharp, max(1, round(width / height)), axis=1)
    full = 0
    for piece in pieces:
        ys = np.flatnonzero(piece.any(axis=1))
        full += bool(len(ys) and ys[-1] - ys[0] + 1 >= EDGES.extent * height)
    return full >= EDGES.pieces and full >= EDGES.most * len(pieces)
