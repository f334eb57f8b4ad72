"""The score test of a ratio of misses, against a maximum found by search."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from bedside.core.evidence import miss_ratio_of
from bedside.metrics import miss_ratio


def _searched(both, lost, gained, neither, ratio):
    """The statistic with the restricted maximum found by a search, not by the quadratic."""
    def cells(t):
        shares = np.exp(np.append(t, 0.0))
        p11, p01, p00 = shares / shares.sum()
        p10 = (ratio - 1) * p11 + ratio * p01
        if p10 <= 0:
            return None
        return np.array([p11, p10, p01, p00]) / (p11 + p10 + p01 + p00)

    def loss(t):
        p = cells(t)
        return 1e9 if p is None else -float(np.array([both, lost, gained, neither]) @ np.log(p))

    best = min((minimize(loss, x0, method="Nelder-Mead",
                         options={"xatol": 1e-10, "fatol": 1e-13, "maxiter": 9000})
                for x0 in ([0, 0], [-3, -3], [-1, -4], [-4, -1])), key=lambda r: r.fun)
    p11, p10, p01, _ = cells(best.x)
    n = both + lost + gained + neither
    variance = n * (p11 + p10 + ratio**2 * (p11 + p01) - 2 * ratio * p11)
    return (both + lost - ratio * (both + gained)) / math.sqrt(variance)


@pytest.mark.parametrize(("table", "ratio"), [
    ((17, 13, 10, 56), 1.0), ((1, 2, 1, 54), 3.0), ((13, 18, 10, 62), 2.0), ((6, 16, 13, 51), 1.5),
    ((17, 4, 2, 67), 0.7), ((8, 1, 1, 530), 1.25)])
def test_the_nuisance_is_at_its_restricted_maximum(table, ratio):
    found = miss_ratio.score_z(*table[:3], ratio)
    assert found == pytest.approx(_searched(*table, ratio), abs=2e-5)


def _misses(both, lost, gained, n):
    old = np.array([False] * both + [True] * lost + [False] * gained
                   + [True] * (n - both - lost - gained))
    new = np.array([False] * both + [False] * lost + [True] * gained
                   + [True] * (n - both - lost - gained))
    return old, new


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 30), st.integers(0, 15), st.integers(0, 15), st.floats(1.1, 5))
def test_test_and_interval_agree(both, lost, gained, margin):
    found = miss_ratio.miss_ratio(*_misses(both, lost, gained, 100), margin)
    if both + lost + gained == 0:
        assert found is None
        return
    ratio, low, high = miss_ratio_of(found.difference)
    if ratio is not None:
        assert ratio == pytest.approx((both + lost) / (both + gained))
        assert (low or 0) <= ratio <= (high or math.inf)
    assert (found.p_noninferior <= 0.025) == (high is not None and high <= margin * (1 + 1e-9))
    assert found.lost == lost and found.gained == gained


def test_the_same_two_points_are_little_or_a_tripling():
    little = miss_ratio.miss_ratio(*_misses(240, 20, 0, 1000), 2.0)
    much = miss_ratio.miss_ratio(*_misses(10, 20, 0, 1000), 2.0)
    assert miss_ratio_of(little.difference)[0] == pytest.approx(26 / 24)
    assert miss_ratio_of(much.difference)[0] == pytest.approx(3.0)
    assert little.p_noninferior < 1e-6
    assert much.p_noninferior > 0.5


def test_a_perfect_reference_has_no_ratio_and_no_upper_bound():
    found = miss_ratio.miss_ratio(*_misses(0, 3, 0, 100), 2.0)
    assert found.difference.value is None
    assert found.difference.low is None
    assert "misses none" in found.reason
    assert found.p_noninferior > 0.5


def test_the_share_of_false_non_inferior_answers_stays_at_its_level():
    """At a true ratio of the margin; 1,000 draws, two standard errors of room."""
    rng = np.random.default_rng(3)
    shown = 0
    for _ in range(1000):
        both, lost, gained = rng.multinomial(300, [0.08, 0.08, 0.0, 0.84])[:3]
        found = miss_ratio.miss_ratio(*_misses(both, lost, gained, 300), 2.0)
        shown += found is not None and found.p_noninferior <= 0.025
    assert shown / 1000 <= 0.025 + 2 * math.sqrt(0.025 * 0.975 / 1000)


def test_patients_with_two_images_that_go_together_prove_less_than_as_many_images():
    old, new = (np.repeat(part, 2) for part in _misses(10, 2, 1, 100))
    by_image = miss_ratio.miss_ratio(old, new, 2.0)
    by_patient = miss_ratio.miss_ratio(old, new, 2.0, np.repeat(np.arange(100), 2))
    one_each = miss_ratio.miss_ratio(old[::2], new[::2], 2.0)
    assert by_patient.p_noninferior > by_image.p_noninferior
    assert by_patient.difference.value == by_image.difference.value
    # Images of one patient are alike here, so the patients are all there is.
    assert by_patient.difference.low == pytest.approx(one_each.difference.low, rel=0.2)
    assert by_patient.clusters == 100 and by_patient.cases <= 100


@pytest.mark.parametrize(("missed", "expected"), [
    (0.0, (0.01, None)), (0.009, (0.01, None)), (0.01, (0.02, 2.0)), (0.3, (0.02, 2.0))])
def test_below_one_miss_in_a_hundred_the_ratio_is_a_margin_of_sensitivity(missed, expected):
    assert miss_ratio.limits(0.02, 2.0, missed) == pytest.approx(expected)
    assert miss_ratio.limits(0.005, 2.0, missed)[0] == 0.005, "never wider than the study's own"
    assert miss_ratio.limits(0.02, None, missed) == (0.02, None)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 40), st.integers(0, 10), st.integers(0, 10))
def test_the_endpoint_of_a_plan_is_the_test_itself(both, lost, gained):
    n, z = 400, 1.959963984540054
    rule = miss_ratio.Ratio("miss_ratio", 2.0, (both + gained) / n)
    told = rule.shown(np.array([float(gained)]), np.array([float(lost)]), n, z)[0]
    if both + lost + gained:
        assert told == (miss_ratio.score_z(both, lost, gained, 2.0) <= -z)
