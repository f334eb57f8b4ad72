"""Calibration intercept and slope, against statsmodels, a grid search and simulation."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2
from sklearn.linear_model import LogisticRegression

from bedside.metrics.recalibration import FIRTH, PATIENTS, PROFILE, recalibrate, separated


def _data(seed, n=150, slope=0.7, shift=0.4):
    rng = np.random.default_rng(seed)
    odds = rng.normal(0.3, 2.0, n)
    return (rng.random(n) < 1 / (1 + np.exp(-(shift + slope * odds)))).astype(float), odds


@pytest.mark.parametrize("seed", range(4))
def test_estimates_are_those_of_statsmodels(seed):
    y, odds = _data(seed)
    intercept, slope, method = recalibrate(y, odds)
    offset = sm.GLM(y, np.ones((len(y), 1)), family=sm.families.Binomial(), offset=odds).fit()
    joint = sm.Logit(y, sm.add_constant(odds)).fit(disp=0)
    assert method == PROFILE
    assert intercept.value == pytest.approx(offset.params[0], abs=1e-6)
    assert slope.value == pytest.approx(joint.params[1], abs=1e-6)
    assert slope.value == pytest.approx(LogisticRegression(C=np.inf, tol=1e-10).fit(
        odds[:, None], y).coef_[0, 0], abs=1e-4)
    # A profile interval is near Wald's in a sample of this size, and not the same.
    assert (slope.low, slope.high) == pytest.approx(tuple(joint.conf_int()[1]), abs=0.1)


@pytest.mark.parametrize("seed", range(3))
def test_bounds_are_where_statsmodels_likelihood_ratio_rejects(seed):
    y, odds = _data(seed)
    intercept, slope, _ = recalibrate(y, odds)
    ones = np.ones((len(y), 1))
    binomial = sm.families.Binomial()
    top = sm.Logit(y, sm.add_constant(odds)).fit(disp=0).llf
    for bound in (slope.low, slope.high):
        held = sm.GLM(y, ones, family=binomial, offset=bound * odds).fit(tol=1e-12).llf
        assert 2 * (top - held) == pytest.approx(chi2.ppf(0.95, 1), abs=1e-5)
    # The intercept's likelihood assumes a slope of 1, so it is scaled by the jackknife's variance.
    whole = sm.GLM(y, ones, family=binomial, offset=odds).fit(tol=1e-12)
    each = np.arange(len(y))
    fits = np.array([sm.GLM(y[each != i], ones[1:], family=binomial, offset=odds[each != i]).fit(
        tol=1e-12).params[0] for i in each])
    ratio = (len(y) - 1) * fits.var() / whole.cov_params()[0, 0]
    for bound in (intercept.low, intercept.high):
        p = 1 / (1 + np.exp(-(odds + bound)))
        held = float(np.log(np.where(y == 1, p, 1 - p)).sum())
        assert 2 * (whole.llf - held) == pytest.approx(ratio * chi2.ppf(0.95, 1), rel=1e-4)


def _penalised(y, odds, a, b):
    eta = a + b * odds
    p = 1 / (1 + np.exp(-eta))
    x = np.column_stack([np.ones(len(y)), odds])
    info = (x * (p * (1 - p))[:, None]).T @ x
    return float((y * eta - np.logaddexp(0, eta)).sum() + 0.5 * np.linalg.slogdet(info)[1])


def test_separated_outcomes_have_firths_estimate_by_grid_search():
    odds = np.array([-2.0, -1.2, -0.3, 0.4, 1.0, 2.2])
    y = (odds > 0).astype(float)
    _, slope, method = recalibrate(y, odds)
    assert method == FIRTH and separated(y, odds) and not separated(y[::-1] * 0 + [0, 1] * 3, odds)
    b = np.arange(0.0, 12.0, 0.05)
    heights = np.array([max(_penalised(y, odds, a, v) for a in np.arange(-3, 3, 0.1)) for v in b])
    assert slope.value == pytest.approx(b[heights.argmax()], abs=0.06)
    inside = b[2 * (heights.max() - heights) <= chi2.ppf(0.95, 1)]
    assert slope.low == pytest.approx(inside[0], abs=0.1) or slope.low < 0 == inside[0]
    assert slope.high == pytest.approx(inside[-1], abs=0.1) or slope.high > 12


def test_one_image_a_patient_widens_for_few_patients_only_and_many_images_widen_more():
    y, odds = _data(5, 60)
    _, alone, _ = recalibrate(y, odds)
    each = np.arange(60)
    _, same, method = recalibrate(y, odds, each)
    assert method == PATIENTS and same.value == alone.value
    twice = np.repeat(each, 4)
    _, many, _ = recalibrate(y[twice], odds[twice], twice)
    _, naive, _ = recalibrate(y[twice], odds[twice])
    assert many.value == pytest.approx(alone.value, abs=1e-6)
    assert many.high - many.low > 1.7 * (naive.high - naive.low)
    assert many.high - many.low == pytest.approx(alone.high - alone.low, rel=0.25)


def test_what_cannot_be_estimated_has_a_reason():
    y, odds = _data(0, 20)
    for told in recalibrate(y[:0], odds[:0])[:2]:
        assert told.value is None and told.reason == "no images"
    assert "one patient" in recalibrate(y, odds, np.zeros(20, np.int64))[1].reason
    intercept, slope, method = recalibrate(np.zeros(20), odds)
    assert slope.value is None and "the same" in slope.reason
    assert method == FIRTH and intercept.high < 0 and np.isfinite(intercept.low)
    assert "probabilities are the same" in recalibrate(y, np.ones(20))[1].reason
    assert "near 0 or 1" in recalibrate(np.array([1.0, 0]), np.array([-400.0, 400.0]))[0].reason


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 1), st.floats(-20, 20, width=16)), min_size=1,
                max_size=25), st.booleans())
def test_every_sample_has_an_interval_about_its_value_or_a_reason(rows, paired):
    y = np.array([r[0] for r in rows], float)
    odds = np.array([r[1] for r in rows])
    whose = np.arange(len(y)) // 2 if paired else None
    for told in recalibrate(y, odds, whose)[:2]:
        if told.value is None:
            assert told.reason and told.low is None and told.high is None
        else:
            assert np.isfinite([told.low, told.value, told.high]).all()
            assert told.low <= told.value <= told.high


@pytest.mark.parametrize("clustered", [False, True])
def test_intervals_of_a_calibrated_model_hold_0_and_1(clustered):
    held, times = np.zeros(2), 150
    for seed in range(times):
        rng = np.random.default_rng(seed)
        whose = np.repeat(np.arange(40), 3)
        # One patient's images: nearly the same log-odds, and outcomes that go together.
        draws = rng.random(40)
        odds = rng.normal(0, 1.5, 40)[whose] + rng.normal(0, 0.3, 120)
        same = rng.random(40) < 0.6
        u = np.where(same[whose], draws[whose], rng.random(120))
        y = (u < 1 / (1 + np.exp(-odds))).astype(float)
        found = recalibrate(y, odds, whose if clustered else None)[:2]
        for k, right in enumerate((0.0, 1.0)):
            held[k] += found[k].low <= right <= found[k].high
    if clustered:
        assert (held >= 0.91 * times).all()
    else:
        assert held[0] < 0.88 * times  # over images, what patients share is counted thrice
