"""Near codes are found in sorted orders as by comparing all pairs."""

from __future__ import annotations

import numpy as np

from bedside.stages.data.duplicates import near, neighbours


def test_distance_counts_bits() -> None:
    codes = near.to_codes([bytes(32), b"\xff" + bytes(31), b"\xff" * 32])
    assert neighbours.distance(codes, np.array([0, 0]), np.array([1, 2])).tolist() == [8, 256]


def test_sorted_orders_find_near_codes() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2**63, (400, 4), dtype=np.uint64)
    copies = codes[:40].copy()
    copies[:, 0] ^= np.uint64(0b101)
    codes = np.concatenate([codes, copies])
    wanted = {(i, 400 + i) for i in range(40)}

    def pairs(chunks):
        return {pair for i, j in chunks for pair in zip(i.tolist(), j.tolist(), strict=True)}

    assert pairs(neighbours.all_pairs(codes, 8)) == wanted
    assert pairs(neighbours.sorted_pairs(codes, 8, rounds=12)) == wanted
