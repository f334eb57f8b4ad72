"""Paired tests of AUCs against the textbook, scikit-learn and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from simulated import Scores, patients
from sklearn.metrics import roc_auc_score

from bedside.metrics import paired
from bedside.metrics.design import clusters_of
from bedside.metrics.paired_auc import difference_test, paired_auc
from bedside.metrics.spread import Spread, auc_spread
from bedside.metrics.stats import auc_influence


def _scores(seed, n=120, noise=0.3):
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.4).astype(np.int64)
    old = labels + rng.normal(0, 1, n)
    return labels, old, old + rng.normal(0, noise, n)


def _delong_by_pairs(labels, old, new):
    """The textbook double loop over pairs (DeLong et al. 1988, eqs. 3 to 6)."""
    x, y = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    v10, v01 = [], []
    for s in (old, new):
        psi = (s[x][:, None] > s[y]) + 0.5 * (s[x][:, None] == s[y])
        v10.append(psi.mean(axis=1))
        v01.append(psi.mean(axis=0))
    s10, s01 = np.cov(np.stack(v10)), np.cov(np.stack(v01))
    total = s10 / len(x) + s01 / len(y)
    return total[0, 0] + total[1, 1] - 2 * total[0, 1]


@pytest.mark.parametrize("seed", range(4))
def test_the_variance_is_the_textbook_double_loop(seed):
    labels, old, new = _scores(seed)
    if seed == 3:
        old, new = np.round(old, 1), np.round(new, 1)
    test = paired_auc("auroc", labels, old, new, 0.02)
    value = roc_auc_score(labels, new) - roc_auc_score(labels, old)
    few = 1 + 1 / labels.sum() + 1 / (1 - labels).sum()
    spread = auc_spread(labels == 1, auc_influence(labels == 1, new)[1]
                        - auc_influence(labels == 1, old)[1], np.arange(len(labels)))
    assert test.difference.value == pytest.approx(value)
    assert spread.variance == pytest.approx(few**2 * _delong_by_pairs(labels, old, new))


@pytest.mark.parametrize(("skewness", "df"), [(0.0, np.inf), (0.6, 12.0), (-0.8, 3.5), (1e-7, 40)])
def test_the_spreads_interval_is_where_its_test_rejects(skewness, df):
    spread = Spread(0.0004, skewness, df)
    low, high = spread.interval(-0.01, 0.05)
    assert spread.at_least(-0.01 - low) == pytest.approx(0.025)
    assert spread.at_most(-0.01 - high) == pytest.approx(0.025)
    # Without skewness it is Student's interval.
    if skewness == 0.0:
        assert (low, high) == pytest.approx(stats.norm.interval(0.95, -0.01, 0.02))
    assert (high + 0.01 > -0.01 - low) == (skewness > 0) or abs(skewness) < 1e-6


def test_halls_transformation_moves_towards_the_long_tail():
    """The mean of 30 exponentials: Student's interval misses it above far more often."""
    rng = np.random.default_rng(3)
    missed = np.zeros(2, np.int64)
    for _ in range(2000):
        sample = rng.exponential(size=30)
        sd = sample.std(ddof=1)
        skewness = float(((sample - sample.mean()) ** 3).mean() / sd**3 / np.sqrt(30))
        for k, s in enumerate((0.0, skewness)):
            missed[k] += Spread(sd**2 / 30, s, 29).interval(sample.mean(), 0.05)[1] < 1
    assert missed[1] < 0.7 * missed[0]


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.02, 0.05]),
       st.sampled_from(["1", "5", "1 to 8"]))
def test_test_and_bounds_agree(seed, margin, kind):
    """Non-inferiority is shown at 2.5% exactly where the bound that decides lies above −margin."""
    rng = np.random.default_rng(seed)
    whose = patients(kind, int(rng.integers(8, 160)), rng)
    positive = whose % 2 == 0
    old, new = Scores(0.9, 0.9, 0.99).draw(positive, whose, 0.5, rng)
    found = paired_auc("auroc", positive.astype(np.int64), old, new, margin, clusters_of(
        whose.tolist()))
    assert found.excluded <= found.difference.low <= found.difference.high <= found.ceiling
    if abs(found.excluded + margin) > 1e-6:
        assert (found.p_noninferior <= 0.025) == (found.excluded > -margin)


def test_patients_widen_the_interval_of_copied_images():
    """Every image five times: the images' interval shrinks, the patients' stays."""
    labels, old, new = _scores(9, n=80, noise=0.8)
    single = paired_auc("auroc", labels, old, new, 0.02)
    labels, old, new = (np.repeat(v, 5) for v in (labels, old, new))
    naive = paired_auc("auroc", labels, old, new, 0.02)
    mine = paired_auc("auroc", labels, old, new, 0.02, np.repeat(np.arange(80), 5))

    def width(t):
        return t.difference.high - t.difference.low

    assert width(naive) < 0.6 * width(single)
    assert width(mine) == pytest.approx(width(single), rel=0.02)
    assert mine.clusters == mine.cases == single.cases
    assert mine.excluded == pytest.approx(single.excluded, rel=0.02)


def test_few_patients_cannot_exclude_more_than_their_number_allows():
    labels = np.repeat([0, 1], 500)
    old = labels + np.random.default_rng(0).normal(0, 0.3, 1000)
    new = old + np.random.default_rng(1).normal(0, 1e-3, 1000)
    clusters = np.arange(1000) // 42
    found = paired_auc("auroc", labels, old, new, 0.02, clusters)
    assert found.cases < 13
    assert found.difference.low > -0.02 > found.excluded
    assert found.excluded <= paired.tango_interval(0, 0, found.cases)[0]
    assert found.p_noninferior > 0.025


def test_a_difference_without_variance_is_bounded_by_its_pairs():
    found = difference_test("auroc", "made up", 0.9, 0.9, Spread(0.0), 40, 200, 0.02)
    assert (found.excluded, found.ceiling) == pytest.approx(paired.tango_interval(0, 0, 40))


def test_models_that_rank_alike_have_no_delong_test_but_an_interval():
    labels, old, _ = _scores(1)
    test = paired_auc("auroc", labels, old, 3 * old + 1, 0.02)
    assert test.p_value is None
    assert test.p_worse is None
    assert "no estimate" in test.reason
    k = int(min(labels.sum(), (1 - labels).sum()))
    assert (test.difference.low, test.difference.high) == pytest.approx(
        paired.tango_interval(0, 0, k))
    assert test.p_noninferior > 0.025  # 48 positives cannot exclude two points
    big = np.repeat(labels, 10)
    jitter = np.repeat(old, 10) + np.arange(len(big)) * 1e-6
    assert paired_auc("auroc", big, jitter, jitter, 0.02).p_noninferior < 0.025


def test_perfect_separation_by_both():
    labels = np.array([0, 0, 0, 1, 1, 1])
    test = paired_auc("auroc", labels, labels * 2.0, labels * 3.0 - 1, 0.02)
    assert (test.old, test.new, test.difference.value) == (1.0, 1.0, 0.0)
    assert test.p_value is None
    assert test.difference.low < -0.3


@pytest.mark.parametrize("labels", [[0, 0, 0], [1, 1, 1], []])
def test_one_class_has_no_auc(labels):
    labels = np.array(labels, np.int64)
    test = paired_auc("auroc", labels, labels * 1.0, labels * 1.0, 0.02)
    assert test.difference.value is None
    assert test.difference.reason
    assert (test.p_value, test.p_noninferior, test.p_worse) == (None, None, None)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(-3, 3), st.integers(-3, 3),
                          st.integers(0, 5)), max_size=12))
def test_no_input_gives_a_nan(rows):
    labels, whose = (np.array([r[k] for r in rows], np.int64) for k in (0, 3))
    old, new = (np.array([r[k] for r in rows], np.float64) for k in (1, 2))
    tests = [test for clusters in (None, whose) for test in (
        paired_auc("auroc", labels, old, new, 0.02, clusters),
        paired.paired_proportion("s", old > 0, new > 0, 0.02, "no images", clusters))]
    for t in tests:
        numbers = [t.old, t.new, t.difference.value, t.difference.low, t.difference.high,
                   t.p_value, t.p_noninferior, t.p_worse, t.excluded, t.ceiling]
        assert all(v is None or np.isfinite(v) for v in numbers)
        for p in (t.p_value, t.p_noninferior, t.p_worse):
            assert p is None or 0 <= p <= 1
        if t.difference.value is not None:
            assert t.difference.low <= t.difference.value <= t.difference.high
        assert (t.p_value is None) <= bool(t.reason)
