"""Temperature, thresholds, Brier and ECE against scikit-learn and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_curve

from bedside.core.study import EvidenceConfig
from bedside.metrics import probability

YOUDEN = EvidenceConfig()


def _data(seed=0, n=200, scale=3.0):
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.4).astype(np.int64)
    score = scale * (labels - 0.5 + rng.normal(0, 0.8, n))
    return labels, np.stack([-score / 2, score / 2], axis=1)


def test_temperature_is_logistic_regression_without_intercept():
    labels, logits = _data()
    t, reason = probability.temperature(labels, logits)
    fit = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10).fit(
        (logits[:, 1] - logits[:, 0])[:, None], labels)
    assert reason is None
    assert t == pytest.approx(1 / fit.coef_[0, 0], rel=1e-4)
    again, _ = probability.temperature(labels, 4 * logits)
    assert again == pytest.approx(4 * t, rel=1e-4)


def test_temperature_of_perfect_separation_or_one_class_is_null():
    labels = np.array([0, 0, 1, 1])
    logits = np.stack([-np.array([-2.0, -1, 1, 2]), np.array([-2.0, -1, 1, 2])], axis=1)
    assert probability.temperature(labels, logits)[0] is None
    assert "perfectly" in probability.temperature(labels, logits)[1]
    assert "one class" in probability.temperature(labels * 0, logits)[1]
    assert "say nothing" in probability.temperature(labels, logits * 0 + [[1, 0]] * 4)[1]


@pytest.mark.parametrize("seed", range(5))
def test_youden_is_the_best_point_of_sklearns_curve(seed):
    labels, logits = _data(seed)
    score = np.round(logits[:, 1] - logits[:, 0], 1 if seed % 2 else 6)
    cut, _, reason = probability.choose(labels, score, YOUDEN)
    false, true, _ = roc_curve(labels, score)
    called = score >= cut
    mine = called[labels == 1].mean() - called[labels == 0].mean()
    assert reason is None
    assert mine == pytest.approx((true - false).max())


@pytest.mark.parametrize("required", [0.5, 0.9, 0.95, 1.0])
def test_a_required_sensitivity_is_met_with_the_best_specificity(required):
    labels, logits = _data(2)
    score = logits[:, 1] - logits[:, 0]
    cut, _, _ = probability.choose(labels, score, EvidenceConfig(
        threshold="sensitivity", required_sensitivity=required))
    assert (score[labels == 1] >= cut).mean() >= required
    higher = np.sort(score[score > cut])
    if len(higher):
        assert (score[labels == 1] > higher[0]).mean() < required or required == 0


def test_a_missing_class_falls_back_with_a_reason():
    for labels in (np.zeros(5, np.int64), np.ones(5, np.int64)):
        logits = np.zeros((5, 2))
        point = probability.operating_point(labels, logits, 1, np.arange(5.0), YOUDEN)
        assert point.threshold == 0.5
        assert "no" in point.reason
        assert point.temperature is None
        assert point.temperature_reason
    point = probability.operating_point(np.zeros(0, np.int64), np.zeros((0, 2)), 1,
                                        np.zeros(0), YOUDEN)
    assert point.reason == "no validation images to choose by"


def test_several_classes_have_no_threshold():
    labels = np.array([0, 1, 2, 0, 1, 2])
    logits = np.eye(3)[labels] + np.random.default_rng(0).normal(0, 1, (6, 3))
    point = probability.operating_point(labels, logits, None, None, YOUDEN)
    assert point.threshold is None
    assert probability.decide(logits, None, None, point).tolist() == logits.argmax(1).tolist()


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.floats(-30, 30)), min_size=1, max_size=30))
def test_every_operating_point_is_finite_and_agrees_in_all_its_scales(rows):
    labels = np.array([r[0] for r in rows], np.int64)
    score = np.array([r[1] for r in rows], np.float32).astype(np.float64)
    logits = np.stack([-score / 2, score / 2], axis=1)
    point = probability.operating_point(labels, logits, 1, score, YOUDEN)
    assert np.isfinite(point.threshold_log_odds)
    assert 0 <= point.threshold <= 1
    called = probability.decide(logits, score, 1, point)
    assert np.array_equal(called == 1, score >= point.threshold_log_odds)
    found = probability.at_threshold(labels, called == 1)
    for name, e in found.items():
        assert (e.value is None) == (e.reason is not None), name


def test_brier_is_sklearns_and_its_interval_holds_it():
    labels, logits = _data()
    shares = probability.probabilities(logits, None)
    found = probability.brier(labels, shares, 1)
    assert found.value == pytest.approx(brier_score_loss(labels, shares[:, 1]))
    assert found.low < found.value < found.high
    assert probability.brier(labels, shares, None).value == pytest.approx(found.value)
    assert probability.brier(labels[:0], shares[:0], 1).value is None


def test_ece_is_the_plain_loop_and_sklearns_curve():
    labels, logits = _data(1, 500)
    p = probability.probabilities(logits, None)[:, 1]
    found = probability.ece(p, labels.astype(float))
    gap = 0.0
    for k in range(10):
        inside = (p >= k / 10) & ((p < (k + 1) / 10) | (k == 9))
        if inside.any():
            gap += inside.mean() * abs(labels[inside].mean() - p[inside].mean())
    assert found.value == pytest.approx(gap)
    assert found.low is None and found.high is None  # no interval of it covers
    assert found == probability.ece(p, labels.astype(float))
    share, mean = calibration_curve(labels, p, n_bins=10)
    bins = [b for b in probability.reliability(p, labels.astype(float)) if b.observed.n]
    assert [b.observed.value for b in bins] == pytest.approx(share.tolist())
    assert [b.mean for b in bins] == pytest.approx(mean.tolist())


def test_temperature_calibrates():
    labels, logits = _data(4, 2000, scale=12)
    t, _ = probability.temperature(labels, logits)
    raw = probability.probabilities(logits, None)[:, 1]
    warm = probability.probabilities(logits, t)[:, 1]
    assert probability.ece(warm, labels.astype(float)).value < 0.4 * probability.ece(
        raw, labels.astype(float)).value
