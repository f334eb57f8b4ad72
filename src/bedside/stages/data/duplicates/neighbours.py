"""Find pairs of binary codes that differ in few bits, without comparing all with all.

The codes are sorted several times, each time by other bytes first, and each is compared with the
next few in that order. Equal beginnings bring near codes side by side in one order or another; the
work is n log n and its bound does not depend on the data: a million equal codes cost what a million
different ones cost. (Charikar 2002, STOC, section 3, with sorted orders in place of hash tables.)
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Index = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint64]

_SEED = 20220102


def distance(codes: Codes, i: Index, j: Index, turned: Codes | None = None) -> Index:
    """Return the differing bits of pairs of rows, (n,); ``turned`` is flipped in one of both."""
    total = np.zeros(len(i), np.int64)
    for word in range(codes.shape[1]):
        column = codes[:, word]
        differs = column[i] ^ column[j]
        if turned is not None:
            differs ^= turned[word]
        total += np.bitwise_count(differs)
    return total


def all_pairs(codes: Codes, most: int, turned: Codes | None = None, chunk: int = 1 << 20
              ) -> Iterator[tuple[Index, Index]]:
    """Yield chunks of pairs i < j at most ``most`` bits apart, by comparing every pair."""
    n = len(codes)
    step = max(1, chunk // max(1, n))
    for start in range(0, n, step):
        i, j = np.meshgrid(np.arange(start, min(n, start + step)), np.arange(start, n),
                           indexing="ij")
        upper = j > i
        i, j = i[upper], j[upper]
        near = distance(codes, i, j, turned) <= most
        if near.any():
            yield i[near], j[near]


def sorted_pairs(codes: Codes, most: int, rounds: int, window: int = 8,
                 turned: Codes | None = None) -> Iterator[tuple[Index, Index]]:
    """Yield chunks of pairs i < j at most ``most`` bits apart; a pair may come several times.

    Args:
        codes: (n, words) uint64.
        most: largest number of differing bits.
        rounds: number of orders. A pair with a share p of its bits differing is missed with odds
            of about (1 − (1 − p)^log₂(n / window))^rounds.
        window: how many of the next codes each is compared with.
        turned: (words,) bits that are flipped in one of both, as by mirroring.
    """
    n, words = codes.shape
    both = codes if turned is None else np.concatenate([codes, codes ^ turned])
    octets = both.view(np.uint8).reshape(len(both), 8 * words)
    rng = np.random.default_rng(_SEED)
    queue: list[int] = []
    for _ in range(rounds):
        if len(queue) < 8:
            queue = rng.permutation(8 * words).tolist()
        chosen = queue[:8]
        # Only the first three or so of a key's octets decide; each byte leads in some round.
        queue = queue[2:]
        key = np.ascontiguousarray(octets[:, chosen]).view(">u8")[:, 0].astype(np.uint64)
        order = np.argsort(key, kind="stable")
        in_order = both[order]
        for step in range(1, window + 1):
            differing = np.zeros(max(0, len(order) - step), np.uint16)
            for word in range(words):
                differing += np.bitwise_count(in_order[step:, word] ^ in_order[:-step, word])
            at = np.nonzero(differing <= most)[0]
            a, b = order[at], order[at + step]
            if turned is not None:
                # One of both must be a mirrored one, of another image.
                mixed = (a < n) != (b < n)
                a, b = a[mixed] % n, b[mixed] % n
            other = a != b
            if other.any():
                a, b = a[other], b[other]
                yield np.minimum(a, b), np.maximum(a, b)
