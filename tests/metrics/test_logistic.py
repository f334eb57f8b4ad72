"""Logistic regression with an offset, against statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from bedside.metrics import logistic


def _data(seed, n=120, images=3):
    rng = np.random.default_rng(seed)
    whose = np.repeat(np.arange(n // images), images)
    odds = rng.normal(0.3, 1.5, n)
    eta = 0.4 + 0.7 * odds + rng.normal(0, 0.8, n // images)[whose]
    return odds, (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(float), whose


@pytest.mark.parametrize("seed", range(5))
def test_estimates_and_information_are_those_of_statsmodels(seed):
    odds, y, _ = _data(seed)
    x = np.column_stack([np.ones(len(y)), odds])
    offset = 0.1 * np.arange(len(y)) / len(y)
    found = logistic.fit(x, y, offset)
    theirs = sm.GLM(y, x, family=sm.families.Binomial(), offset=offset).fit(tol=1e-12)
    assert found.beta == pytest.approx(theirs.params, abs=1e-7)
    assert np.linalg.inv(found.information) == pytest.approx(theirs.cov_params(), rel=1e-5)
    assert found.log_likelihood == pytest.approx(theirs.llf)
    assert logistic.covariance(found, x, y, offset, None) == pytest.approx(
        theirs.cov_params(), rel=1e-5)


def test_the_variance_over_patients_is_statsmodels_refitted_without_each():
    odds, y, whose = _data(1)
    x, zero = np.column_stack([np.ones(len(y)), odds]), np.zeros(len(y))
    found = logistic.fit(x, y, zero)
    mine = logistic.covariance(found, x, y, zero, whose)
    patients = np.unique(whose)
    fits = np.array([sm.Logit(y[whose != g], x[whose != g]).fit(disp=0, tol=1e-12).params
                     for g in patients])
    apart = fits - fits.mean(axis=0)
    assert mine == pytest.approx((len(patients) - 1) / len(patients) * apart.T @ apart, rel=1e-6)
    plain = sm.Logit(y, x).fit(disp=0, cov_type="cluster", cov_kwds={
        "groups": whose, "use_correction": False}).cov_params()
    assert (np.diag(mine) > np.diag(plain)).all()
    assert np.diag(mine) == pytest.approx(np.diag(plain), rel=0.35)


def test_with_many_patients_one_step_is_as_good(monkeypatch):
    odds, y, whose = _data(2, 450)
    x, zero = np.column_stack([np.ones(len(y)), odds]), np.zeros(len(y))
    found = logistic.fit(x, y, zero)
    full = logistic.covariance(found, x, y, zero, whose)
    monkeypatch.setattr(logistic, "_REFIT", 0)
    one_step = logistic.covariance(found, x, y, zero, whose)
    assert np.diag(one_step) == pytest.approx(np.diag(full), rel=0.05)


def test_a_patient_who_carries_the_fit_alone_does_not_break_it():
    odds = np.array([-1.0, -0.5, 0.2, 0.4, 0.9, 1.5])
    y = np.array([0, 1, 0, 1, 0, 1.0])
    x = np.column_stack([np.ones(6), odds])
    found = logistic.fit(x, y, np.zeros(6))
    spread = logistic.covariance(found, x, y, np.zeros(6), np.array([0, 0, 0, 0, 0, 1]))
    assert np.isfinite(spread).all() and (np.diag(spread) > 0).all()


def test_what_has_no_maximum_has_no_fit():
    x = np.column_stack([np.ones(6), np.arange(6.0)])
    assert logistic.fit(x, np.array([0, 0, 0, 1, 1, 1.0]), np.zeros(6)) is None
    assert logistic.fit(x[:, :1], np.ones(6), np.zeros(6)) is None
    assert logistic.fit(x[:, [1, 1]], np.array([0, 1, 0, 1, 1, 0.0]), np.zeros(6)) is None
