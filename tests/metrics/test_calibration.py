"""Debiased error, consistency test and smooth curve: brute force, patsy and simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit, softmax

from bedside.core.types import Estimate
from bedside.metrics import calibration, probability


def _data(seed, n=300, slope=1.0, shift=0.0):
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 1.8, n)
    return odds, (rng.random(n) < expit(shift + slope * odds)).astype(float)


def test_the_squared_error_is_unbiased_over_every_outcome():
    """Kumar's estimator against the sum over all 2^8 outcomes, each with its probability."""
    p = np.array([0.2, 0.2, 0.3, 0.3, 0.6, 0.7, 0.7, 0.8])
    truth = np.array([0.1, 0.3, 0.4, 0.4, 0.8, 0.8, 0.6, 0.8])
    number = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    expected = naive = 0.0
    for outcome in itertools.product((0.0, 1.0), repeat=8):
        y = np.array(outcome)
        chance = float(np.where(y == 1, truth, 1 - truth).prod())
        expected += chance * calibration.squared_error(p, y, number)
        naive += chance * sum(0.5 * (p[number == k].mean() - y[number == k].mean()) ** 2
                              for k in (0, 1))
    right = sum(0.5 * (p[number == k].mean() - truth[number == k].mean()) ** 2 for k in (0, 1))
    # Within a bin of unequal truths the outcomes' variance is below that of their mean.
    unequal = sum(0.5 * truth[number == k].var() / 3 for k in (0, 1))
    assert expected == pytest.approx(right - unequal, abs=1e-12)
    assert naive > right + 0.02


def test_a_calibrated_model_has_an_error_near_0_and_the_plain_one_has_not():
    debiased, plain = [], []
    for seed in range(60):
        odds, y = _data(seed, 200)
        p = expit(odds)
        debiased.append(calibration.squared_error(p, y, calibration.equal_bins(p)))
        plain.append(probability.ece(p, y).value)
    assert abs(np.mean(debiased)) < 2.5 * np.std(debiased) / np.sqrt(60)
    assert np.mean(plain) > 0.05


@given(st.lists(st.floats(0, 1, width=16), min_size=2, max_size=80))
def test_bins_of_equal_size_hold_two_images_or_more_and_equals_together(values):
    p = np.array(values)
    number = calibration.equal_bins(p)
    assert np.bincount(number).min() >= 2
    assert len(np.unique(number)) <= 10
    order = np.argsort(p, kind="stable")
    assert (np.diff(number[order]) >= 0).all()
    assert (number[:, None] == number)[p[:, None] == p].all()


def test_the_variance_of_bins_counts_patients():
    odds, y = _data(3, 60)
    twice = np.repeat(np.arange(60), 3)
    p = expit(odds)
    number = calibration.equal_bins(p[twice])
    naive = calibration.squared_error(p[twice], y[twice], number)
    own = calibration.squared_error(p[twice], y[twice], number, twice)
    assert own < naive
    # Three equal images a patient say what one says.
    assert own == pytest.approx(calibration.squared_error(p, y, calibration.equal_bins(p)))
    assert calibration.debiased_error(p[:1], y[:1]).reason


@pytest.mark.parametrize("clustered", [False, True])
def test_the_consistency_test_has_its_level_and_finds_what_is_wrong(clustered):
    rejected, times = 0, 200
    for seed in range(times):
        rng = np.random.default_rng(seed)
        whose = np.repeat(np.arange(60), 2)
        odds = rng.normal(0, 1.5, 60)[whose] + rng.normal(0, 0.3, 120)
        u = rng.random(60)[whose] if clustered else rng.random(120)
        y = (u < expit(odds)).astype(float)
        p = calibration.consistency(expit(odds), y, whose if clustered else None)
        rejected += p < 0.05
    assert rejected <= 0.05 * times + 2.6 * np.sqrt(0.05 * 0.95 * times)
    assert rejected > 0
    odds, y = _data(0, 400, slope=2.2)
    assert calibration.consistency(expit(odds), y) < 0.01
    assert calibration.consistency(expit(odds), y, np.arange(400) // 2) < 0.05


def test_togetherness_is_that_of_the_draws():
    rng = np.random.default_rng(1)
    whose = np.repeat(np.arange(4000), 3)
    p = expit(rng.normal(0, 1.5, 12000))
    for share in (0.0, 0.4, 1.0):
        shared = (rng.random(4000) < share)[whose]
        y = (np.where(shared, rng.random(4000)[whose], rng.random(12000)) < p).astype(float)
        assert calibration.togetherness(p, y, whose) == pytest.approx(share, abs=0.07)
    pairs = [(i, j) for i in range(30) for j in range(i + 1, 30) if whose[i] == whose[j]]
    found = sum((y[i] - p[i]) * (y[j] - p[j]) for i, j in pairs)
    most = sum(min(p[i], p[j]) - p[i] * p[j] for i, j in pairs)
    assert calibration.togetherness(p[:30], y[:30], whose[:30]) == pytest.approx(
        min(max(found / most, 0), 1))


def test_consistency_is_the_plain_loop():
    odds, y = _data(4, 40, slope=1.5)
    p = expit(odds)
    rng = np.random.default_rng(9)
    seen, larger = probability.ece(p, y).value, 0
    for _ in range(1000):
        rows = rng.integers(0, 40, 40)
        drawn = (rng.random(40) < p[rows]).astype(float)
        larger += probability.ece(p[rows], drawn).value >= seen - 1e-12
    assert calibration.consistency(p, y, None, 9) == pytest.approx((1 + larger) / 1001)


def test_the_spline_spans_the_space_of_patsys_natural_one():
    from patsy import dmatrix

    x = np.linspace(-3, 3, 50)
    knots = np.array([-2.0, -0.5, 0.7, 2.2])
    mine = calibration._spline(x, knots)
    theirs = np.asarray(dmatrix(
        "cr(x, knots=inner, lower_bound=low, upper_bound=high)",
        {"x": x, "inner": knots[1:-1], "low": knots[0], "high": knots[-1]}))
    inside = (x >= knots[0]) & (x <= knots[-1])
    left, _, _, _ = np.linalg.lstsq(theirs[inside], mine[inside], rcond=None)
    assert np.abs(theirs[inside] @ left - mine[inside]).max() < 1e-8
    # Linear beyond the outer knots.
    assert np.abs(np.diff(mine[x > knots[-1]], n=2, axis=0)).max() < 1e-10


def test_the_curve_follows_the_truth_and_its_band_holds_it():
    held = total = 0
    for seed in range(40):
        odds, y = _data(seed, 400, slope=0.5, shift=0.3)
        points, why = calibration.curve(odds, y)
        assert why is None
        truth = np.array([expit(0.3 + 0.5 * logit(p.predicted)) for p in points])
        held += sum(p.low <= t <= p.high for p, t in zip(points, truth, strict=True))
        total += len(points)
        assert all(p.low <= p.observed <= p.high for p in points)
    assert 0.90 <= held / total <= 0.99


@pytest.mark.parametrize(("n", "why"), [(10, "too few for a curve"), (100, "separated")])
def test_a_curve_that_does_not_exist_has_a_reason(n, why):
    odds = np.linspace(-2, 2, n)
    points, reason = calibration.curve(odds, (odds > 0).astype(float))
    assert points == () and why in reason
    assert "different" in calibration.curve(np.zeros(50), np.arange(50) % 2 * 1.0)[1]


@pytest.mark.parametrize(("slope", "shift", "said"), [
    (1.0, 0.0, "no miscalibration found"), (2.0, 0.0, "under-confident"),
    (0.4, 0.0, "over-confident"), (1.0, 1.2, "probabilities are too low"),
    (1.0, -1.2, "probabilities are too high")])
def test_words_are_decided_by_intervals(slope, shift, said):
    odds, y = _data(2, 600, slope, shift)
    found = calibration.assess(odds, y)
    assert said in calibration.words(found)
    excluded = (found.slope.low > 1 or found.slope.high < 1 or found.intercept.low > 0
                or found.intercept.high < 0 or found.consistency_p < 0.05)
    assert bool(found.findings) == excluded


def test_the_review_case_is_no_longer_called_about_right():
    """A slope whose interval excludes 1 is named, whatever the temperature's point says."""
    for seed in range(200):
        odds, y = _data(seed, 120, slope=1.5)
        found = calibration.assess(odds, y)
        if found.slope.low > 1 and found.slope.low < 1.1:
            assert calibration.words(found) == "under-confident"
            return
    pytest.fail("no such sample")


def test_what_is_predicted_is_the_positive_class_or_the_most_probable():
    rng = np.random.default_rng(0)
    labels, logits = rng.integers(0, 3, 40), rng.normal(0, 2, (40, 3))
    odds, true = calibration.predicted(labels, logits, None, 1.7)
    shares = softmax(logits / 1.7, axis=1)
    assert expit(odds) == pytest.approx(shares.max(axis=1))
    assert np.array_equal(true, shares.argmax(axis=1) == labels)
    odds, true = calibration.predicted(labels % 2, logits[:, :2], 1, 0.5)
    assert expit(odds) == pytest.approx(softmax(logits[:, :2] / 0.5, axis=1)[:, 1])
    assert np.array_equal(true, labels % 2 == 1)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 30), st.integers(0, 2**31), st.booleans(), st.booleans())
def test_every_sample_is_assessed_without_a_nan(n, seed, paired, coarse):
    rng = np.random.default_rng(seed)
    odds, y = rng.normal(0, 2, n), rng.integers(0, 2, n).astype(float)
    if coarse:
        odds = np.round(odds)
    whose = np.arange(n) // 3 if paired and n else None
    found = calibration.assess(odds, y, whose)
    for told in (found.intercept, found.slope, calibration.debiased_error(expit(odds), y, whose)):
        assert isinstance(told, Estimate)
        assert (told.value is None) == (told.reason is not None)
    assert (found.consistency_p is None) == (found.reason is not None)
    assert bool(found.curve) != bool(found.curve_reason)
    assert all(np.isfinite([p.predicted, p.observed, p.low, p.high]).all() for p in found.curve)
