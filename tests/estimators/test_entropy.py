"""Ranges of least divergence against scipy and plain loops."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from bedside import estimators
from bedside.estimators import entropy

RNG = np.random.default_rng(7)


def _watch(name, images):
    watcher = estimators.observer(name)
    for image in images:
        watcher.update(np.asarray(image, np.float32))
    return watcher.limits()


def test_divergence_is_scipys():
    from scipy import stats

    p, q = RNG.integers(1, 50, 40).astype(float), RNG.integers(1, 50, 40).astype(float)
    assert entropy.divergence(p, q) == pytest.approx(stats.entropy(p, q))
    assert entropy.divergence(np.array([1.0, 1.0]), np.array([1.0, 0.0])) == np.inf


def test_a_windows_divergence_agrees_with_a_plain_loop():
    from scipy import stats

    counts = np.bincount(np.clip(RNG.gamma(2, 300, 60_000), 0, 2999).astype(int), minlength=3000)
    for stop in (512, 700, 1301, 3000):
        inside = counts[:stop].astype(float)
        reference = inside.copy()
        reference[-1] += counts[stop:].sum()
        spread = np.zeros(stop)
        edges = [i * stop // entropy.LEVELS for i in range(entropy.LEVELS + 1)]
        for a, b in itertools.pairwise(edges):
            used = [i for i in range(a, b) if reference[i] > 0]
            for i in used:
                spread[i] = max(inside[a:b].sum() / len(used), 1e-9)
        assert entropy.window_divergence(counts, 0, stop) == pytest.approx(
            stats.entropy(reference, spread), rel=1e-6)


def test_entropy_keeps_a_uniform_distribution_and_cuts_what_lies_far_outside_it():
    uniform = RNG.uniform(0, 1, (20, 20_000)).astype(np.float32)
    assert _watch("entropy", uniform)[1] > 0.97
    far = np.append(uniform.ravel(), np.float32([3.0]))
    assert 0.9 < _watch("entropy", [far])[1] < 1.5
