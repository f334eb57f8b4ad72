"""Kappa against statsmodels and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated import latent, patients
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.proportion import proportion_confint

from bedside.metrics.kappa import influences, kappa


def _decisions(seed, n=300, classes=3):
    rng = np.random.default_rng(seed)
    old = rng.integers(0, classes, n)
    return old, np.where(rng.random(n) < 0.7, old, rng.integers(0, classes, n))


@pytest.mark.parametrize("seed", range(3))
def test_kappa_and_its_variance_are_statsmodels_and_sklearns(seed):
    old, new = _decisions(seed)
    table = np.bincount(old * 3 + new, minlength=9).reshape(3, 3)
    expected = cohens_kappa(table)
    found = kappa(old, new, 3)
    assert found.value == pytest.approx(cohen_kappa_score(old, new))
    rows, columns = table.sum(axis=1) / 300, table.sum(axis=0) / 300
    parts = influences(old, new, rows, columns, found.value) / (1 - rows @ columns)
    assert np.square(parts).sum() / 300**2 == pytest.approx(expected.var_kappa)
    # Far from 1 the score interval is near the normal one.
    assert (found.low, found.high) == pytest.approx(
        (expected.kappa_low, expected.kappa_upp), abs=0.01)


def test_the_variance_by_patient_is_that_of_drawn_patients():
    rng = np.random.default_rng(1)
    whose = patients("5", 150, rng)
    old = latent(whose, 0.8, rng) < 0
    new = old ^ (latent(whose, 0.8, rng) < -1)
    old, new = old.astype(np.int64), new.astype(np.int64)
    drawn = []
    for _ in range(400):
        take = np.concatenate([np.flatnonzero(whose == c) for c in rng.integers(0, 150, 150)])
        drawn.append(cohen_kappa_score(old[take], new[take]))
    found = kappa(old, new, 2, whose)
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(np.std(drawn), rel=0.15)
    alone = kappa(old, new, 2)
    assert found.high - found.low > 1.5 * (alone.high - alone.low)


def test_agreement_everywhere_is_wilsons_and_counts_patients():
    """No disagreement: what few images can say of agreement, and few patients of less."""
    old = np.arange(60) % 2
    wilson = proportion_confint(60, 60, method="wilson")[0]
    assert kappa(old, old, 2).low == pytest.approx((wilson - 0.5) / 0.5)
    by_patient = kappa(old, old, 2, np.arange(60) // 6)
    assert by_patient.low == pytest.approx(
        (proportion_confint(10, 10, method="wilson")[0] - 0.5) / 0.5)
    assert by_patient.high == 1.0


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 4)), max_size=20))
def test_the_interval_holds_the_value_or_there_is_a_reason(rows):
    old, new, whose = (np.array([r[k] for r in rows], np.int64) for k in range(3))
    for clusters in (None, whose):
        found = kappa(old, new, 3, clusters)
        assert (found.value is None) == (found.reason is not None)
        if found.value is not None:
            assert -1 <= found.low <= found.value <= found.high <= 1


def test_kappa_of_one_class_is_undefined():
    same = np.zeros(5, np.int64)
    assert kappa(same, same, 2).value is None
    assert kappa(np.array([0, 1]), np.array([0, 1]), 2).value == 1.0
