"""Paired tests of macro-averaged metrics."""

from __future__ import annotations

import numpy as np
import pytest

from bedside.metrics import paired_macro
from bedside.metrics.paired_auc import paired_auc


def _scores(seed, n=120, noise=0.3):
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.4).astype(np.int64)
    old = labels + rng.normal(0, 1, n)
    return labels, old, old + rng.normal(0, noise, n)


def test_macro_auc_of_two_classes_is_the_auc_and_its_variance():
    labels, old, new = _scores(5)
    both = [np.stack([-s / 2, s / 2], axis=1) for s in (old, new)]
    macro = paired_macro.auroc(labels, both[0], both[1], 0.02)
    single = paired_auc("auroc", labels, old, new, 0.02)
    assert macro.difference.value == pytest.approx(single.difference.value)
    assert macro.difference.low == pytest.approx(single.difference.low, rel=0.05)


def test_macro_sensitivity_is_the_mean_change_of_recall():
    labels = np.array([0, 0, 1, 1, 2, 2, 2, 2])
    old = np.array([1, 1, 1, 0, 1, 1, 1, 1], bool)
    new = np.array([1, 0, 1, 1, 1, 1, 1, 1], bool)
    test = paired_macro.sensitivity(labels, old, new, 3, 0.02)
    assert test.difference.value == pytest.approx((-0.5 + 0.5 + 0) / 3)
    assert test.difference.low < test.difference.value < test.difference.high
    assert paired_macro.sensitivity(labels, old, new, 4, 0.02).difference.value is None


@pytest.mark.parametrize("right", [True, False])
def test_macro_sensitivity_is_sure_where_every_image_is_gained_or_lost(right):
    """The interval then has no width on one side, and nothing may be divided by it."""
    labels = np.repeat([0, 1, 2], 40)
    new = np.full(len(labels), right)
    test = paired_macro.sensitivity(labels, ~new, new, 3, 0.02)
    assert test.difference.value == (1.0 if right else -1.0)
    sure = (test.p_worse, test.p_noninferior)
    assert sure == pytest.approx((1.0, 0.0) if right else (0.0, 1.0), abs=1e-6)
