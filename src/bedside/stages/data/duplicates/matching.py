"""Match images that share landmarks in one arrangement, and estimate their overlay."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from bedside.stages.data.duplicates.landmarks import MIRROR, MOST, RECORD, frame
from bedside.stages.data.duplicates.neighbours import sorted_pairs
from bedside.stages.data.duplicates.registration import Overlay

Flip = Literal["", "x", "y"]
Index = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MAX_BITS = 12
MIN_VOTES = 2
# Beyond this many partners of one image only those that share most landmarks are compared.
PARTNERS = 32

_ROUNDS = 6
_WINDOW = 8
_NEAR_PX = 6.0
_NEAR_LOG_SCALE = 0.25
_MERGE = 1 << 23


@dataclass(frozen=True, slots=True)
class Match:
    """Two images by index; ``votes`` landmarks lie in one arrangement in both."""

    first: int
    second: int
    flip: Flip
    votes: int
    overlay: Overlay


class Landmarks:
    """The landmarks of many images in flat arrays, ``owner`` saying whose each is.

    Args:
        marks: packed :data:`landmarks.RECORD` entries of each image.
        sizes: height and width of each, px.
        images: the indices to be compared.
    """

    def __init__(self, marks: Sequence[bytes], sizes: Sequence[tuple[int, int]],
                 images: Sequence[int]) -> None:
        self.sizes = sizes
        self.count = len(marks)
        self.record = np.frombuffer(b"".join(marks[i] for i in images), RECORD)
        lengths = [len(marks[i]) // RECORD.itemsize for i in images]
        self.owner = np.repeat(np.asarray(images, np.int64), lengths)

    def matches(self, roots: Sequence[int]) -> Iterator[Match]:
        """Return pairs of images of different ``roots`` with at least two landmarks in common.

        Plain pairs come first, then pairs of which one is mirrored; the most alike first.
        """
        root = np.asarray(roots, np.int64)[self.owner]
        flips: tuple[Flip, ...] = ("", "x", "y")
        for flip in flips:
            # Of 100,000 images these hold millions of entries: none lives longer than needed.
            shared, swap, pair = self._by_images(self._shared(flip, root))
            begins = np.concatenate([[0], np.flatnonzero(pair[1:] != pair[:-1]) + 1])[:len(pair)]
            names, votes = pair[begins], np.diff(begins, append=len(pair))
            del pair
            for k in self._chosen(names, votes):
                here = slice(begins[k], begins[k] + votes[k])
                i, j = shared[here] // len(root), shared[here] % len(root)
                i, j = np.where(swap[here], j, i), np.where(swap[here], i, j)
                found = self._arranged(i, j, flip)
                if found is not None:
                    yield found

    def _by_images(self, shared: Index) -> tuple[Index, npt.NDArray[np.bool_], Index]:
        """Return pairs of landmarks in the order of their images, in ``pair`` as a · n + b.

        ``swap`` says where the first landmark is the second image's.
        """
        n = len(self.owner)
        pair, other = self.owner[shared // n], self.owner[shared % n]
        swap = pair > other
        pair = np.where(swap, other * self.count + pair, pair * self.count + other)
        del other
        order = np.argsort(pair, kind="stable")
        return shared[order], swap[order], pair[order]

    def _shared(self, flip: Flip, root: Index) -> Index:
        """Return pairs of landmarks i < j as i · n + j, sorted, each once."""
        n = len(root)
        turned = np.array([MIRROR[flip]], np.uint64) if flip else None
        codes = self.record["code"].astype(np.uint64)[:, None]
        merged, waiting, size = np.empty(0, np.int64), [np.empty(0, np.int64)], 0
        for i, j in sorted_pairs(codes, MAX_BITS, _ROUNDS, _WINDOW, turned):
            apart = root[i] != root[j]
            waiting.append(i[apart] * n + j[apart])
            size += int(apart.sum())
            if size > _MERGE:
                merged, waiting, size = _distinct([merged, *waiting]), [], 0
        return _distinct([merged, *waiting])

    def _chosen(self, names: Index, votes: Index) -> list[int]:
        """Return the positions of pairs with enough votes, :data:`PARTNERS` per image at most."""
        used = np.zeros(self.count, np.int64)
        enough = np.nonzero(votes >= MIN_VOTES)[0]
        chosen = []
        for k in enough[np.argsort(-votes[enough], kind="stable")].tolist():
            a, b = divmod(int(names[k]), self.count)
            if used[a] < PARTNERS and used[b] < PARTNERS:
                used[a] += 1
                used[b] += 1
                chosen.append(k)
        return chosen

    def _arranged(self, i: Index, j: Index, flip: Flip) -> Match | None:
        """Return the overlay that most of an image pair's common landmarks agree on."""
        a, b = int(self.owner[i[0]]), int(self.owner[j[0]])
        frame_a, frame_b = frame(*self.sizes[a]), frame(*self.sizes[b])
        one, two = self.record[i], self.record[j]
        ax, ay, bx, by = (v.astype(np.float64) for v in (one["x"], one["y"], two["x"], two["y"]))
        if flip == "x":
            bx = frame_b[1] - 1 - bx
        elif flip == "y":
            by = frame_b[0] - 1 - by
        scale = two["scale"].astype(np.float64) / one["scale"]
        # Each common landmark says where all others would lie.
        off_x = (ax[None] - ax[:, None]) * scale[:, None] + bx[:, None] - bx[None]
        off_y = (ay[None] - ay[:, None]) * scale[:, None] + by[:, None] - by[None]
        agrees = ((np.abs(off_x) < _NEAR_PX) & (np.abs(off_y) < _NEAR_PX) & (
            np.abs(np.log(scale[None] / scale[:, None])) < _NEAR_LOG_SCALE))
        inside = agrees[int(agrees.sum(axis=1).argmax())]
        votes = min(len(np.unique(i[inside])), len(np.unique(j[inside])))
        if votes < MIN_VOTES:
            return None
        middle = float(np.exp(np.median(np.log(scale[inside]))))
        x = _axis(ax[inside], bx[inside], frame_a[1], frame_b[1], middle)
        y = _axis(ay[inside], by[inside], frame_a[0], frame_b[0], middle)
        return Match(a, b, flip, votes, Overlay(*x, *y))


def _distinct(parts: list[Index]) -> Index:
    """Return the sorted different entries of all parts (``np.unique`` would hold one more copy)."""
    every = np.concatenate(parts)
    parts.clear()
    every.sort()
    new = np.ones(len(every), np.bool_)
    np.not_equal(every[1:], every[:-1], out=new[1:])
    return every[new]


def _axis(a: Floats, b: Floats, size_a: int, size_b: int, scale: float) -> tuple[float, float]:
    """Return scale and shift along one axis, in shares of the images' sizes."""
    a, b = (a + 0.5) / size_a, (b + 0.5) / size_b
    slope = scale * size_a / size_b
    # Landmarks far apart tell the scale better than their sizes do.
    if len(a) >= MOST // 6 and a.std() > 0.12:
        slope = float(np.polyfit(a, b, 1)[0])
    return slope, float(np.mean(b - slope * a))
