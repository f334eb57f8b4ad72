"""Pictures that are the same: byte for byte, pixel for pixel, or nearly so.

Near duplicates are found in two steps. Candidates differ in at most a third of their 256-bit
perceptual hash; they are confirmed on pixels, by the correlation of thumbnails from which slow
shading has been taken away, so that speckle and edges must agree and not the layout alone.
On BUSI's 624 images this finds the pairs an eye finds and, of those looked at, no other:
re-exports, crops by a few pixels, the same frame with and without calipers, neighbouring
frames of one sweep.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from bedside.data.scan import HASH_BITS, THUMB_PX, Thumbs

Kind = Literal["same file", "same pixels", "near"]
Index = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint64]

MAX_DISTANCE = HASH_BITS // 3
MIN_CORRELATION = 0.5

_BLUR_SIGMA_PX = 6.0
_EXHAUSTIVE = 6000
_BANDS = 16
_CHUNK = 1 << 20
_CONFIRM = 512


@dataclass(frozen=True, slots=True)
class Link:
    """Two images, by index, that are one picture; ``score`` is the correlation, 1 where equal."""

    first: int
    second: int
    kind: Kind
    score: float = 1.0


class Disjoint:
    """Union-find over 0 … n − 1; a set is named by its smallest member."""

    def __init__(self, n: int) -> None:
        self._parent = list(range(n))

    def find(self, i: int) -> int:
        """The smallest member of ``i``'s set."""
        parent = self._parent
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    def union(self, i: int, j: int) -> bool:
        """Join two sets; False where they were one already."""
        a, b = self.find(i), self.find(j)
        if a == b:
            return False
        self._parent[max(a, b)] = min(a, b)
        return True

    def roots(self) -> list[int]:
        """Each member's set."""
        return [self.find(i) for i in range(len(self._parent))]


def same(keys: Sequence[str], kind: Kind) -> Iterator[Link]:
    """A link from the first image with a key to each later one with it."""
    first: dict[str, int] = {}
    for i, key in enumerate(keys):
        if key in first:
            yield Link(first[key], i, kind)
        else:
            first[key] = i


# ------------------------------------------------------------------ candidates


def to_codes(hashes: Sequence[bytes]) -> Codes:
    """Hashes of 32 bytes as (n, 4) uint64."""
    return np.frombuffer(b"".join(hashes), ">u8").reshape(-1, HASH_BITS // 64).astype(np.uint64)


def distance(codes: Codes, i: Index, j: Index) -> npt.NDArray[np.int64]:
    """Number of differing bits for pairs of rows, (n,)."""
    total = np.zeros(len(i), np.int64)
    for word in range(codes.shape[1]):
        column = codes[:, word]
        total += np.bitwise_count(column[i] ^ column[j])
    return total


def candidates(codes: Codes, exhaustive: int = _EXHAUSTIVE) -> Iterator[tuple[Index, Index]]:
    """Chunks of pairs of rows at most :data:`MAX_DISTANCE` bits apart; a pair may come twice.

    Up to ``exhaustive`` rows every pair is compared. Beyond that, pairs that agree to 2 bits in
    one of 16 bands of 16 bits: at a tenth of the bits differing (the median of true pairs) a
    miss has odds below 1e-9, at a fifth 1 in 1000, and one pair in thirty is compared.
    """
    pairs = _all_pairs if len(codes) <= exhaustive else _banded_pairs
    for i, j in pairs(codes):
        near = distance(codes, i, j) <= MAX_DISTANCE
        if near.any():
            yield i[near], j[near]


def _all_pairs(codes: Codes) -> Iterator[tuple[Index, Index]]:
    n = len(codes)
    step = max(1, _CHUNK // max(1, n))
    for start in range(0, n, step):
        i, j = np.meshgrid(np.arange(start, min(n, start + step)), np.arange(start, n),
                           indexing="ij")
        upper = j > i
        yield i[upper], j[upper]


def _masks() -> list[int]:
    ones = [1 << b for b in range(16)]
    twos = [a | b for k, a in enumerate(ones) for b in ones[k + 1:]]
    return [0, *ones, *twos]


def _banded_pairs(codes: Codes) -> Iterator[tuple[Index, Index]]:
    n = len(codes)
    bands = [(codes[:, b // 4] >> np.uint64(16 * (b % 4)) & np.uint64(0xFFFF)).astype(np.int64)
             for b in range(_BANDS)]
    values = np.arange(1 << 16)
    tables = [np.bincount(v, minlength=1 << 16) for v in bands]
    work = sum(int(t @ t[values ^ m]) for t in tables for m in _masks())
    if work > n * n:
        # Hashes that crowd into few buckets (blank or drawn pictures): banding gains nothing.
        yield from _all_pairs(codes)
        return
    for value, table in zip(bands, tables, strict=True):
        order = np.argsort(value, kind="stable")
        start = np.concatenate([[0], np.cumsum(table)])
        for mask in _masks():
            partner = value ^ mask
            yield from _expand(order, start[partner], table[partner])


def _expand(order: Index, start: Index, count: Index) -> Iterator[tuple[Index, Index]]:
    """Pairs of each row with the ``count`` rows of its partner bucket, in chunks."""
    ends = np.cumsum(count)
    low = 0
    while low < len(count):
        done = int(ends[low - 1]) if low else 0
        high = max(low + 1, int(np.searchsorted(ends, done + _CHUNK, side="right")))
        part = count[low:high]
        i = np.repeat(np.arange(low, high), part)
        within = np.arange(len(i)) - np.repeat(np.cumsum(part) - part, part)
        j = order[np.repeat(start[low:high], part) + within]
        upper = j > i
        yield i[upper], j[upper]
        low = high


# ------------------------------------------------------------------ confirmation


def _blur_matrix(n: int, sigma: float) -> npt.NDArray[np.float32]:
    """A Gaussian filter along one axis as a matrix, (n, n); rows sum to 1 at the edges too."""
    at = np.arange(n)
    weights = np.exp(-0.5 * ((at[:, None] - at[None]) / sigma) ** 2)
    matrix: npt.NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)
                                       ).astype(np.float32)
    return matrix


_BLUR = _blur_matrix(THUMB_PX, _BLUR_SIGMA_PX)


def detail(thumbs: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Thumbnails less their Gaussian blur, as unit vectors: (n, 64, 64) to (n, 4096) float32.

    A flat image has no detail and becomes the zero vector.
    """
    planes = thumbs.astype(np.float32)
    rest = (planes - _BLUR @ planes @ _BLUR.T).reshape(len(planes), -1)
    rest -= rest.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(rest, axis=1, keepdims=True)
    unit: npt.NDArray[np.float32] = np.where(norm > 1.0, rest / np.maximum(norm, 1.0), 0.0)
    return unit


def correlation(thumbs: Thumbs, i: Index, j: Index) -> npt.NDArray[np.float64]:
    """Correlation of detail for pairs of rows, (n,); two flat images correlate fully."""
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


def near(hashes: Sequence[bytes], thumbs: Thumbs, sets: Disjoint,
         exhaustive: int = _EXHAUSTIVE) -> Iterator[Link]:
    """Join near duplicates into ``sets`` and yield the links that joined two sets.

    Args:
        hashes: one 32-byte hash an image.
        thumbs: rows as ``hashes``.
        sets: exact duplicates joined already; one of each is compared.
        exhaustive: see :func:`candidates`.
    """
    firsts = np.array([i for i, root in enumerate(sets.roots()) if i == root], np.int64)
    codes, inverse = np.unique(to_codes([hashes[i] for i in firsts.tolist()]), axis=0,
                               return_inverse=True)
    inverse = inverse.reshape(-1)
    # One image stands for those of equal hash; each of them is compared with it and the next.
    order = np.argsort(inverse, kind="stable")
    begins = np.searchsorted(inverse[order], np.arange(len(codes)))
    stand = firsts[order[begins]]
    members = firsts[order]
    equal = inverse[order][1:] == inverse[order][:-1]
    yield from _confirm(members[:-1][equal], members[1:][equal], thumbs, sets)
    yield from _confirm(stand[inverse[order][1:]][equal], members[1:][equal], thumbs, sets)
    for i, j in candidates(codes, exhaustive):
        yield from _confirm(stand[i], stand[j], thumbs, sets)


def _confirm(i: Index, j: Index, thumbs: Thumbs, sets: Disjoint) -> Iterator[Link]:
    for start in range(0, len(i), _CONFIRM):
        pairs = [(a, b) for a, b in zip(i[start:start + _CONFIRM].tolist(),
                                        j[start:start + _CONFIRM].tolist(), strict=True)
                 if sets.find(a) != sets.find(b)]
        if not pairs:
            continue
        both = np.array(pairs, np.int64)
        for (a, b), score in zip(pairs, correlation(thumbs, both[:, 0], both[:, 1]).tolist(),
                                 strict=True):
            if score >= MIN_CORRELATION and sets.union(a, b):
                yield Link(min(a, b), max(a, b), "near", round(score, 4))
