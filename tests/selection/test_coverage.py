"""Selection that covers the feature space."""

from __future__ import annotations

import itertools

import numpy as np

from bedside.selection import Pool, coverage

RNG = np.random.default_rng(3)
IDS = tuple(f"c{i:03d}" for i in range(60))


def _pick(count, seed, rows, ids=IDS):
    return coverage.choose(Pool(ids, ("benign",) * len(ids), lambda: rows), count, seed)


def _radius(rows, chosen):
    distance = np.linalg.norm(rows[:, None] - rows[None, list(chosen)], axis=2)
    return distance.min(axis=1).max()


def test_coverage_is_within_twice_the_smallest_radius_possible():
    rows = RNG.normal(size=(12, 2)).astype(np.float32)
    spread = (rows - rows.mean(0)) / rows.std(0)
    ids = IDS[:12]
    for count in (2, 3, 4):
        best = min(_radius(spread, c) for c in itertools.combinations(range(12), count))
        for seed in range(5):
            chosen = [ids.index(i) for i in _pick(count, seed, rows, ids)]
            assert _radius(spread, chosen) <= 2 * best + 1e-6


def test_coverage_copes_with_images_that_are_alike():
    assert len(set(_pick(30, 0, np.zeros((60, 5), np.float32)))) == 30
