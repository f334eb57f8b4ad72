"""Change of the logits and shares of it, against a bootstrap and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bedside.metrics import damage


def test_a_change_common_to_all_logits_is_none() -> None:
    rng = np.random.default_rng(0)
    before = rng.normal(size=(20, 3))
    assert damage.squared(before, before + rng.normal(size=(20, 1))) == pytest.approx(0)
    # Of two logits it is a quarter of the squared change of their difference.
    two = rng.normal(size=(20, 2))
    after = two + rng.normal(size=(20, 2))
    moved = (after[:, 1] - after[:, 0]) - (two[:, 1] - two[:, 0])
    assert damage.squared(two, after) == pytest.approx(moved ** 2 / 4)


def test_the_interval_of_a_ratio_is_the_bootstraps() -> None:
    rng = np.random.default_rng(1)
    whole = rng.gamma(2, 1, 400)
    part = 0.4 * whole * rng.gamma(4, 0.25, 400)
    e = damage.ratio(part, whole, None)
    assert e.value == pytest.approx(part.sum() / whole.sum())
    found = stats.bootstrap((part, whole), lambda a, b, axis: a.sum(axis) / b.sum(axis),
                            paired=True, method="percentile", rng=rng, n_resamples=4000)
    assert e.low == pytest.approx(found.confidence_interval.low, rel=0.02)
    assert e.high == pytest.approx(found.confidence_interval.high, rel=0.02)


def test_ninety_five_of_a_hundred_intervals_hold_the_ratio() -> None:
    rng = np.random.default_rng(2)
    inside = 0
    for _ in range(1000):
        whole = rng.gamma(2, 1, 60)
        e = damage.ratio(whole * rng.gamma(2, 0.15, 60), whole, None)
        inside += e.low <= 0.3 <= e.high
    assert 0.92 <= inside / 1000 <= 0.975


def test_images_of_one_patient_widen_the_interval() -> None:
    rng = np.random.default_rng(3)
    whole = np.repeat(rng.gamma(2, 1, 30), 4)
    part = np.repeat(rng.gamma(2, 1, 30), 4)
    alone, together = (damage.ratio(part, whole, c) for c in (None, np.arange(120) // 4))
    assert together.value == alone.value
    assert np.log(together.high / together.low) > 1.7 * np.log(alone.high / alone.low)


def test_the_mean_change_has_students_interval() -> None:
    values = np.random.default_rng(4).normal(0.1, 1, 25)
    e = damage.mean_change(values, None)
    found = stats.ttest_1samp(values, 0).confidence_interval()
    assert (e.low, e.high) == pytest.approx((found.low, found.high))
    root = damage.root_mean_square(values ** 2, None)
    assert root.value == pytest.approx(np.sqrt((values ** 2).mean())) and root.low < root.value


@pytest.mark.parametrize(("part", "whole", "value"), [
    ([], [], None), ([0.0, 0.0], [0.0, 0.0], None), ([0.0, 0.0], [1.0, 2.0], 0.0),
    ([1.0], [2.0], 0.5)])
def test_what_has_no_interval_says_why(part, whole, value) -> None:
    e = damage.ratio(np.array(part), np.array(whole), None)
    assert e.value == value and e.low is None and e.reason
