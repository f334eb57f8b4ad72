"""Rows of letters seen without OCR: marks of exactly one value, thin for their height, in a row.

A scanner draws text in one colour over an image that is nowhere exactly flat. Speckle and tissue
make no four such marks side by side; texture that a reader takes for text does not matter here.
Smoothed strokes that are hardly two pixels wide have no flat core and are left to the reader.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage, sparse
from scipy.sparse.csgraph import connected_components

from bedside.core.types import Box
from bedside.deid.text.masks import Floats, Mask

# Heights in pixels; contrast in grey levels to what lies around; marks that make a row.
_LOWEST_PX, _HIGHEST_PX, _LEAST_PX, _MOST_PX = 7, 60, 10, 3000
_CONTRAST = 20.0
_ROW = 4
_WIDTH, _STROKE, _THIN_PX = 2.2, 0.29, 2.6
_OVERLAP, _ALIKE, _GAP = 0.6, 1.7, 1.6
_SQUARE = ndimage.generate_binary_structure(2, 2)


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the box as (y0, x0, y1, x1), lower ends exclusive; ``mask`` (h, w) its marks;
    ``colour`` (C,) float32 theirs."""

    box: Box
    mask: Mask
    colour: Floats


@dataclass(frozen=True, slots=True)
class _Mark:
    value: int
    label: int
    box: Box

    @property
    def height(self) -> int:
        return self.box[2] - self.box[0]


def rows(values: Floats) -> list[Row]:
    """Rows of letter-like marks in a picture, (H, W, C) float32 in 0 to 255."""
    packed = _packed(values)
    labels = _flat_patches(packed)
    marks: dict[int, list[_Mark]] = {}
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        own = labels[place] == number
        if _letter_like(own) and _stands_out(values, labels, number, place):
            ys, xs = place
            value = int(packed[place][own][0])
            marks.setdefault(value, []).append(
                _Mark(value, number, (ys.start, xs.start, ys.stop, xs.stop)))
    return [_row(values, labels, chain) for found in marks.values() for chain in _chains(found)]


def _packed(values: Floats) -> npt.NDArray[np.int64]:
    eight = np.clip(np.round(values), 0, 255).astype(np.int64)
    out = eight[..., 0]
    for channel in range(1, eight.shape[2]):
        out = out << 8 | eight[..., channel]
    return out


def _flat_patches(packed: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """Labels from 1 of 8-connected patches of one value, of the size of letters; 0 elsewhere."""
    number = np.arange(packed.size, dtype=np.int32).reshape(packed.shape)
    pairs = [(number[a][same], number[b][same]) for a, b in (
        (np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:]),
        (np.s_[:-1, :-1], np.s_[1:, 1:]), (np.s_[:-1, 1:], np.s_[1:, :-1]))
        for same in [packed[a] == packed[b]]]
    one, other = (np.concatenate(side) for side in zip(*pairs, strict=True))
    graph = sparse.coo_matrix((np.ones(len(one), np.bool_), (one, other)),
                              shape=(packed.size, packed.size))
    count, labels = connected_components(graph, directed=False)
    sizes = np.bincount(labels, minlength=count)
    kept = np.flatnonzero((sizes >= _LEAST_PX) & (sizes < _MOST_PX))
    new = np.zeros(count, np.int32)
    new[kept] = np.arange(1, len(kept) + 1)
    out: npt.NDArray[np.int32] = new[labels].reshape(packed.shape)
    return out


def _letter_like(own: Mask) -> bool:
    height, width = own.shape
    if not _LOWEST_PX <= height <= _HIGHEST_PX or width > _WIDTH * height:
        return False
    padded = np.pad(own, 1)
    outline = padded & ~ndimage.binary_erosion(padded)
    # Area over half the outline: the width of a stroke.
    return bool(2 * own.sum() / outline.sum() <= max(_THIN_PX, _STROKE * height))


def _stands_out(values: Floats, labels: npt.NDArray[np.int32], number: int,
                place: tuple[slice, slice]) -> bool:
    ys, xs = (slice(max(0, s.start - 3), s.stop + 3) for s in place)
    own = labels[ys, xs] == number
    # The pixels next to a smoothed stroke are mixed with it.
    ring = ndimage.binary_dilation(own, iterations=3) & ~ndimage.binary_dilation(own)
    if not ring.any():
        return False
    around = np.median(values[ys, xs][ring], axis=0)
    return bool(np.abs(around - values[ys, xs][own][0]).max() >= _CONTRAST)


def _chains(marks: list[_Mark]) -> list[list[_Mark]]:
    """Marks of one value that stand side by side at one height, ``_ROW`` or more."""
    left = sorted(marks, key=lambda m: m.box[1])
    found = []
    while len(left) >= _ROW:
        chain = [left.pop(0)]
        for mark in list(left):
            last = chain[-1]
            tall, low = max(last.height, mark.height), min(last.height, mark.height)
            if mark.box[1] - last.box[3] > _GAP * tall:
                break
            shared = min(last.box[2], mark.box[2]) - max(last.box[0], mark.box[0])
            if shared >= _OVERLAP * low and tall <= _ALIKE * low and mark.box[1] >= last.box[3] - 2:
                chain.append(mark)
        if len(chain) >= _ROW:
            found.append(chain)
            left = [m for m in left if m not in chain]
    return found


def _row(values: Floats, labels: npt.NDArray[np.int32], chain: list[_Mark]) -> Row:
    boxes = np.array([m.box for m in chain])
    y0, x0 = boxes[:, :2].min(axis=0).tolist()
    y1, x1 = boxes[:, 2:].max(axis=0).tolist()
    mask = np.isin(labels[y0:y1, x0:x1], [m.label for m in chain])
    return Row((y0, x0, y1, x1), mask, values[y0:y1, x0:x1][mask][0])
