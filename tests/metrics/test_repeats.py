"""Means and spreads over repeats: intervals by known formulas, and their coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bedside.core.types import Estimate
from bedside.metrics import repeats


def test_the_mean_has_students_interval():
    values = [0.91, 0.93, 0.90, 0.95, 0.92]
    found = repeats.mean(values)
    low, high = stats.t.interval(0.95, 4, np.mean(values), stats.sem(values))
    assert (found.value, found.low, found.high) == pytest.approx((np.mean(values), low, high))


def test_splits_widen_it_by_the_share_of_test_images():
    values = [0.91, 0.93, 0.90, 0.95, 0.92]
    plain, wide = repeats.mean(values), repeats.mean(values, test_by_train=0.25)
    ratio = (wide.high - wide.low) / (plain.high - plain.low)
    assert ratio == pytest.approx(np.sqrt((1 / 5 + 0.25) / (1 / 5)))


def test_bounds_are_kept():
    assert repeats.mean([0.99, 0.8, 1.0], least=0.0).high == 1.0
    assert repeats.mean([0.0, 0.3], least=0.0).low == 0.0
    assert repeats.mean([-0.9, 0.3]).low == -1.0


def test_one_repeat_has_a_value_and_no_interval():
    assert repeats.mean([0.9]) == Estimate(0.9, n=1, reason="one repeat has no interval")
    assert repeats.sd([0.9]).value is None
    assert repeats.sd([0.9]).reason


@pytest.mark.parametrize("count", [3, 10])
def test_the_interval_of_the_sd_covers(count):
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(2000):
        found = repeats.sd(rng.normal(0.9, 0.02, count).tolist())
        hits += found.low <= 0.02 <= found.high
    assert 0.935 < hits / 2000 < 0.965


def test_a_corrected_value_takes_the_optimism_off():
    found = repeats.corrected(0.95, Estimate(0.03, 0.01, 0.05, 5))
    assert (found.value, found.low, found.high) == pytest.approx((0.92, 0.90, 0.94))
    assert repeats.corrected(0.95, Estimate(None, reason="none")).value is None
    assert repeats.corrected(0.95, Estimate(0.0, -0.3, 0.3, 5)).high == 1.0
