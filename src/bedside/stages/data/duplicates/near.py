"""Find duplicates and near-duplicates: equal files, equal pixels, or nearly equal images.

Near-duplicates are found in two ways. Whole images: candidates differ in at most a third of their
256-bit perceptual hash and are confirmed by the correlation of thumbnails from which slow shading
has been taken away. Parts and mirror images: candidates share landmarks in one arrangement
(``matching``) and are confirmed by laying the one over the other
(``registration``). In both, speckle and edges must agree and not the layout alone.

Above a few thousand images candidates come from sorted orders (``neighbours``):
n log n, whatever the data. Where an image has more candidates than :data:`PATIENCE` that turn out
to be other images, its further ones are left (the landmarks have a like bound of their own).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from bedside.stages.data.duplicates import matching, neighbours, registration
from bedside.stages.data.duplicates.neighbours import distance as distance
from bedside.stages.data.duplicates.thresholds import Thresholds, learn
from bedside.stages.data.scan import HASH_BITS, ScannedImage, Thumbs

Kind = Literal["same file", "same pixels", "near", "crop", "mirrored"]
Index = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint64]
Pairs = Collection[tuple[int, int]]

MAX_DISTANCE = HASH_BITS // 3
MIN_OVERLAP = 0.5
PATIENCE = 32

_EXHAUSTIVE = 4096
_ROUNDS = 48
_CONFIRM = 512
_CROP = 0.06


@dataclass(frozen=True, slots=True)
class Link:
    """Two near-duplicates, by index.

    ``score`` is a correlation, 1 where equal: of the whole thumbnails, or for a pair that was
    found by its landmarks the median over the blocks of the overlap.
    """

    first: int
    second: int
    kind: Kind
    score: float = 1.0


class Disjoint:
    """Union-find over 0 … n − 1; a set is named by its smallest member."""

    def __init__(self, n: int) -> None:
        self._parent = list(range(n))

    def find(self, i: int) -> int:
        """Return the smallest member of ``i``'s set."""
        parent = self._parent
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    def union(self, i: int, j: int) -> bool:
        """Join two sets; return False where they were joined already."""
        a, b = self.find(i), self.find(j)
        if a == b:
            return False
        self._parent[max(a, b)] = min(a, b)
        return True

    def roots(self) -> list[int]:
        """Return each member's set."""
        return [self.find(i) for i in range(len(self._parent))]


def same(keys: Sequence[str], kind: Kind) -> Iterator[Link]:
    """Return a link from the first image with a key to each later one with it."""
    first: dict[str, int] = {}
    for i, key in enumerate(keys):
        if key in first:
            yield Link(first[key], i, kind)
        else:
            first[key] = i


# ------------------------------------------------------------------ candidates


def to_codes(hashes: Sequence[bytes]) -> Codes:
    """Return hashes of 32 bytes as (n, 4) uint64."""
    return np.frombuffer(b"".join(hashes), ">u8").reshape(-1, HASH_BITS // 64).astype(np.uint64)


def candidates(codes: Codes, exhaustive: int = _EXHAUSTIVE) -> Iterator[tuple[Index, Index]]:
    """Yield chunks of pairs of rows at most :data:`MAX_DISTANCE` bits apart; a pair may come twice.

    Up to ``exhaustive`` rows every pair is compared, beyond that those that some order brings
    together: at a tenth of the bits differing (the median of true pairs) a miss among 100,000 has
    odds below 1 in 10,000.
    """
    if len(codes) <= exhaustive:
        return neighbours.all_pairs(codes, MAX_DISTANCE)
    return neighbours.sorted_pairs(codes, MAX_DISTANCE, _ROUNDS)


# ------------------------------------------------------------------ confirmation


def detail(thumbs: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the detail of thumbnails as unit vectors: (n, 64, 64) to (n, 4096) float32.

    A flat image has no detail and becomes the zero vector.
    """
    rest = registration.detail(thumbs).reshape(len(thumbs), -1)
    rest -= rest.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(rest, axis=1, keepdims=True)
    unit: npt.NDArray[np.float32] = np.where(norm > 1.0, rest / np.maximum(norm, 1.0), 0.0)
    return unit


def correlation(thumbs: Thumbs, i: Index, j: Index) -> npt.NDArray[np.float64]:
    """Return the correlation of detail for pairs of rows, (n,); two flat images correlate fully."""
    result = np.empty(len(i))
    for start in range(0, len(i), _CONFIRM):
        here = slice(start, start + _CONFIRM)
        rows, at = np.unique(np.concatenate([i[here], j[here]]), return_inverse=True)
        unit = detail(thumbs.rows(rows.tolist()))
        a, b = unit[at[:len(at) // 2]], unit[at[len(at) // 2:]]
        score = np.einsum("nk,nk->n", a, b).astype(np.float64)
        flat = ~a.any(axis=1) & ~b.any(axis=1)
        result[here] = np.where(flat, 1.0, score)
    return result


def thresholds(images: Sequence[ScannedImage], thumbs: Thumbs, sets: Disjoint, strict: bool = False
               ) -> Thresholds:
    """Return how alike the images of a data set must be to be near-duplicates.

    Args:
        images: what the scan measured.
        thumbs: rows as ``images``.
        sets: exact duplicates joined already.
        strict: whether only near-identical images may be joined.
    """
    firsts = [i for i, root in enumerate(sets.roots()) if i == root]

    def medians(first: Index, second: Index) -> npt.NDArray[np.float64]:
        return np.array([_median(thumbs, a, b)
                         for a, b in zip(first.tolist(), second.tolist(), strict=True)])

    return learn(firsts, [min(images[i].case.height_px, images[i].case.width_px) for i in firsts],
                 lambda a, b: correlation(thumbs, a, b), medians, strict,
                 [images[i].case.label for i in firsts])


def near(images: Sequence[ScannedImage], thumbs: Thumbs, sets: Disjoint, least: Thresholds,
         exhaustive: int = _EXHAUSTIVE, apart: Pairs = frozenset()) -> Iterator[Link]:
    """Join near-duplicates into ``sets`` and yield the links that joined two sets.

    Args:
        images: what the scan measured.
        thumbs: rows as ``images``.
        sets: exact duplicates joined already; one of each is compared.
        least: from :func:`thresholds`.
        exhaustive: see :func:`candidates`.
        apart: pairs (smaller index first) that are never linked.
    """
    firsts = np.array([i for i, root in enumerate(sets.roots()) if i == root], np.int64)
    join = _Join(thumbs, sets, least, np.zeros(len(images), np.int64), apart)
    yield from _whole(images, firsts, join, exhaustive)
    # Landmarks are another kind of candidate, with a patience of their own.
    join.failed[:] = 0
    yield from _parts(images, firsts, join)


@dataclass(frozen=True, slots=True)
class _Join:
    """State of confirming pairs; ``failed`` counts each image's unlike candidates."""

    thumbs: Thumbs
    sets: Disjoint
    least: Thresholds
    failed: Index
    apart: Pairs

    def open(self, a: int, b: int) -> bool:
        """Return whether a pair is still worth comparing."""
        return (min(self.failed[a], self.failed[b]) < PATIENCE
                and (min(a, b), max(a, b)) not in self.apart
                and self.sets.find(a) != self.sets.find(b))


def _whole(images: Sequence[ScannedImage], firsts: Index, join: _Join, exhaustive: int
           ) -> Iterator[Link]:
    codes, inverse = np.unique(to_codes([images[i].phash for i in firsts.tolist()]), axis=0,
                               return_inverse=True)
    inverse = inverse.reshape(-1)
    # One image stands for those of equal hash; each of them is compared with it and the next.
    order = np.argsort(inverse, kind="stable")
    begins = np.searchsorted(inverse[order], np.arange(len(codes)))
    stand = firsts[order[begins]]
    members = firsts[order]
    equal = inverse[order][1:] == inverse[order][:-1]
    yield from _confirm(members[:-1][equal], members[1:][equal], join)
    yield from _confirm(stand[inverse[order][1:]][equal], members[1:][equal], join)
    for i, j in candidates(codes, exhaustive):
        yield from _confirm(stand[i], stand[j], join)


def _confirm(i: Index, j: Index, join: _Join) -> Iterator[Link]:
    for start in range(0, len(i), _CONFIRM):
        pairs = [(a, b) for a, b in zip(i[start:start + _CONFIRM].tolist(),
                                        j[start:start + _CONFIRM].tolist(), strict=True)
                 if join.open(a, b)]
        if not pairs:
            continue
        both = np.array(pairs, np.int64)
        scores = correlation(join.thumbs, both[:, 0], both[:, 1]).tolist()
        for (a, b), score in zip(pairs, scores, strict=True):
            if not alike(join.thumbs, a, b, score, join.least):
                join.failed[[a, b]] += 1
            elif join.sets.union(a, b):
                yield Link(min(a, b), max(a, b), "near", round(score, 4))


def alike(thumbs: Thumbs, a: int, b: int, score: float, least: Thresholds) -> bool:
    """Return whether two whole images, whose detail correlates by ``score``, are one image."""
    return score >= least.floor(a, b) and (score >= least.sure or (
        score >= least.weak and _median(thumbs, a, b) >= least.whole_median))


def _median(thumbs: Thumbs, a: int, b: int) -> float:
    first, second = registration.detail(thumbs.rows([a, b]))
    return registration.agree(first, second, registration.Overlay()).median


def _parts(images: Sequence[ScannedImage], firsts: Index, join: _Join) -> Iterator[Link]:
    """Yield links between images of which one is a part or a mirror image of the other."""
    marks = matching.Landmarks([i.landmarks for i in images],
                               [(i.case.height_px, i.case.width_px) for i in images],
                               firsts.tolist())
    for match in marks.matches(join.sets.roots()):
        a, b = match.first, match.second
        if not join.open(a, b):
            continue
        first, second = registration.detail(join.thumbs.rows([a, b]))
        second = second[:, ::-1] if match.flip == "x" else second
        second = second[::-1] if match.flip == "y" else second
        found = registration.agree(first, second, match.overlay)
        if found.median < max(join.least.part_median, join.least.floor(
                a, b)) or found.overlap < MIN_OVERLAP:
            join.failed[[a, b]] += 1
        elif join.sets.union(a, b):
            yield Link(a, b, _kind(match.flip, found.overlay), round(found.median, 4))


def _kind(flip: str, overlay: registration.Overlay) -> Kind:
    if flip:
        return "mirrored"
    moved = max(abs(overlay.scale_x - 1), abs(overlay.scale_y - 1), abs(overlay.shift_x),
                abs(overlay.shift_y))
    return "crop" if moved > _CROP else "near"
