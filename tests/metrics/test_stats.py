"""Intervals against statsmodels, scipy, a brute-force DeLong and a published example."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binomtest, norm
from sklearn.metrics import roc_auc_score
from statsmodels.stats.proportion import proportion_confint

from bedside.core.errors import BadInput
from bedside.metrics.stats import (
    auc_estimate,
    auc_interval,
    delong_covariance,
    mean_interval,
    proportion,
    wilson,
)

# Scores of small whole numbers: many ties, and monotone maps of them are exact.
SAMPLES = st.lists(st.tuples(st.integers(0, 1), st.integers(-6, 6)), min_size=4, max_size=40)


def split(sample: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    labels, scores = (np.array(column) for column in zip(*sample, strict=True))
    return labels, scores.astype(np.float64)


def two_of_each(sample: list[tuple[int, int]]) -> bool:
    ones = sum(label for label, _ in sample)
    return 2 <= ones <= len(sample) - 2


def delong(labels: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    aucs, covariance = delong_covariance(labels, np.asarray(scores)[None])
    return float(aucs[0]), float(covariance[0, 0])


def brute_delong(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """DeLong et al. 1988, eqs. 1 to 6, pair by pair: structural components and their moments."""
    models = len(scores)
    v10, v01, aucs = [], [], []
    for row in scores:
        x, y = row[labels == 1], row[labels == 0]
        psi = [[1.0 if a > b else 0.5 if a == b else 0.0 for b in y] for a in x]
        aucs.append(sum(map(sum, psi)) / (len(x) * len(y)))
        v10.append([sum(line) / len(y) for line in psi])
        v01.append([sum(line[j] for line in psi) / len(x) for j in range(len(y))])
    cov = np.zeros((models, models))
    for r in range(models):
        for s in range(models):
            for parts in (v10, v01):
                n = len(parts[r])
                moment = sum((a - aucs[r]) * (b - aucs[s])
                             for a, b in zip(parts[r], parts[s], strict=True)) / (n - 1)
                cov[r, s] += moment / n
    return np.array(aucs), cov


# ------------------------------------------------------------------ Wilson


@pytest.mark.parametrize("n", [1, 2, 7, 42, 156, 10_000])
def test_wilson_agrees_with_statsmodels_and_scipy(n: int) -> None:
    for k in sorted({0, 1, n // 3, n // 2, n - 1, n}):
        ours = wilson(k, n)
        assert ours == pytest.approx(proportion_confint(k, n, method="wilson"), abs=1e-12)
        theirs = binomtest(k, n).proportion_ci(method="wilson")
        assert ours == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_its_value_and_mirrors(pair: tuple[int, int]) -> None:
    k, n = pair
    low, high = wilson(k, n)
    assert 0 <= low <= k / n <= high <= 1
    assert low < high
    assert wilson(n - k, n) == pytest.approx((1 - high, 1 - low), abs=1e-12)


def test_wilson_reaches_the_ends_exactly() -> None:
    for n in range(1, 300):
        assert wilson(n, n)[1] == 1.0
        assert wilson(0, n)[0] == 0.0


@pytest.mark.parametrize(("k", "n"), [(0, 0), (-1, 5), (6, 5)])
def test_wilson_refuses_what_is_no_proportion(k: int, n: int) -> None:
    with pytest.raises(BadInput):
        wilson(k, n)


def test_a_proportion_of_nothing_is_undefined() -> None:
    estimate = proportion(0, 0, "no positive images")
    assert estimate.value is None
    assert estimate.low is None
    assert estimate.reason == "no positive images"


# ------------------------------------------------------------------ DeLong


# DeLong, DeLong and Clarke-Pearson 1988: albumin, total protein and K-G score of 43 patients
# with ovarian cancer and complete records, 12 of them without benefit of surgery. Listed in
# the SAS/STAT User's Guide, PROC LOGISTIC, "Comparing Receiver Operating Characteristic
# Curves", whose output gives the areas, standard errors and contrasts below.
ALB_0 = [3.0, 2.8, 0.9, 2.5, 3.6, 4.2, 4.0, 3.0, 3.3, 1.7, 2.9, 2.8]
TP_0 = [5.8, 4.8, 4.0, 5.7, 6.7, 7.6, 6.6, 4.7, 6.8, 4.0, 5.7, 6.2]
KG_0 = [10, 6, 5, 8, 4, 4, 6, 8, 6, 7, 9, 8]
ALB_1 = [3.2, 3.9, 3.2, 1.6, 3.8, 3.7, 3.2, 3.8, 4.1, 3.6, 4.3, 2.3, 3.5, 3.8, 4.5, 3.7, 3.1,
         4.1, 4.3, 4.3, 3.2, 2.6, 3.7, 3.3, 4.2, 3.5, 2.1, 4.0, 3.3, 3.7, 3.6]
TP_1 = [6.3, 6.8, 5.8, 5.6, 5.7, 6.7, 5.4, 6.6, 6.6, 5.7, 7.0, 4.4, 5.8, 6.8, 7.4, 7.4, 6.6,
        8.2, 7.0, 6.5, 5.1, 4.7, 6.1, 6.3, 7.7, 6.2, 4.8, 7.0, 5.7, 6.9, 6.6]
KG_1 = [5, 3, 3, 5, 5, 6, 4, 6, 5, 5, 4, 6, 6, 7, 5, 5, 6, 6, 5, 4, 5, 6, 5, 7, 6, 5, 7, 7, 6, 5,
        5]


def test_delong_reproduces_the_published_ovarian_cancer_example() -> None:
    labels = np.repeat([0, 1], [12, 31])
    scores = np.array([ALB_0 + ALB_1, TP_0 + TP_1, [10 - v for v in KG_0 + KG_1]])
    aucs, cov = delong_covariance(labels, scores)
    assert aucs.round(4).tolist() == [0.7366, 0.6478, 0.7258]
    assert np.sqrt(np.diag(cov)).round(4).tolist() == [0.0927, 0.1000, 0.1028]
    difference = [math.sqrt(cov[i, i] + cov[2, 2] - 2 * cov[i, 2]) for i in (0, 1)]
    assert [round(d, 4) for d in difference] == [0.0953, 0.1046]


@pytest.mark.parametrize("seed", range(4))
def test_covariance_agrees_with_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.r_[0, 0, 1, 1, rng.integers(0, 2, 30)]
    scores = rng.normal(size=(3, 34)) + labels * rng.uniform(0, 2, (3, 1))
    scores[1] = scores[1].round()  # ties
    aucs, cov = delong_covariance(labels, scores)
    expected_aucs, expected_cov = brute_delong(labels, scores)
    np.testing.assert_allclose(aucs, expected_aucs, rtol=1e-12)
    np.testing.assert_allclose(cov, expected_cov, rtol=1e-9, atol=1e-15)
    assert delong(labels, scores[1]) == pytest.approx((aucs[1], cov[1, 1]))


@settings(deadline=None)
@given(SAMPLES.filter(two_of_each))
def test_delong_with_ties_agrees_with_brute_force_and_sklearn(
    sample: list[tuple[int, int]]
) -> None:
    labels, scores = split(sample)
    auc, variance = delong(labels, scores)
    expected_auc, expected_cov = brute_delong(labels, scores[None])
    assert auc == pytest.approx(expected_auc[0], abs=1e-12)
    assert auc == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert variance == pytest.approx(expected_cov[0, 0], abs=1e-12)


def test_equal_placements_give_a_variance_of_exactly_zero() -> None:
    # A third is no binary fraction: rounding would leave 1e-33 here.
    labels = np.repeat([1, 0], [7, 3])
    assert delong(labels, np.zeros(10)) == (0.5, 0.0)
    assert delong(labels, labels.astype(float))[1] == 0.0


@pytest.mark.parametrize("labels", [[1, 1, 1, 1], [1, 0, 0, 0], [0, 2, 1, 1]])
def test_delong_refuses_what_has_no_variance(labels: list[int]) -> None:
    with pytest.raises(BadInput):
        delong(np.array(labels), np.arange(4.0))


def test_delong_refuses_nan_and_misfit_shapes() -> None:
    with pytest.raises(BadInput):
        delong(np.array([0, 0, 1, 1]), np.array([0.0, 1.0, np.nan, 2.0]))
    with pytest.raises(BadInput):
        delong_covariance(np.array([0, 0, 1, 1]), np.zeros((2, 5)))


# ------------------------------------------------------------------ the AUC's interval


@settings(deadline=None)
@given(SAMPLES)
def test_auc_estimate_properties(sample: list[tuple[int, int]]) -> None:
    labels, scores = split(sample)
    estimate = auc_estimate(labels, scores)
    if estimate.value is None:
        assert len(set(labels)) == 1
        assert estimate.reason
        return
    assert estimate.low is not None
    assert estimate.high is not None
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert estimate.low < estimate.high
    assert auc_estimate(labels, scores**3 + 5) == estimate  # monotone map
    order = np.random.default_rng(len(sample)).permutation(len(sample))
    shuffled = auc_estimate(labels[order], scores[order])
    assert (shuffled.value, shuffled.low, shuffled.high) == pytest.approx(
        (estimate.value, estimate.low, estimate.high), abs=1e-12)
    mirror = auc_estimate(1 - labels, scores)
    assert (mirror.value, mirror.low, mirror.high) == pytest.approx(
        (1 - estimate.value, 1 - estimate.high, 1 - estimate.low), abs=1e-9)


@pytest.mark.parametrize(("positives", "negatives"), [(1, 1), (1, 30), (5, 50), (42, 114)])
def test_perfect_separation_is_bounded_as_clopper_and_pearson_bound_k_of_k(
    positives: int, negatives: int
) -> None:
    labels = np.repeat([1, 0], [positives, negatives])
    estimate = auc_estimate(labels, labels.astype(float))
    k = min(positives, negatives)
    assert (estimate.value, estimate.high) == (1.0, 1.0)
    assert estimate.low == pytest.approx(beta.ppf(0.025, k, 1))


def test_a_nearly_perfect_sample_never_claims_more_than_a_perfect_one() -> None:
    labels = np.repeat([1, 0], [30, 30])
    perfect = np.r_[np.arange(30, 60), np.arange(30)].astype(float)
    swapped = perfect.copy()
    swapped[[0, 59]] = swapped[[59, 0]]  # one pair of 900 in the wrong order
    assert auc_estimate(labels, swapped).value == pytest.approx(1 - 1 / 900)
    assert auc_estimate(labels, swapped).low <= auc_estimate(labels, perfect).low  # type: ignore[operator]


def test_a_constant_score_is_uncertain_not_certainly_a_half() -> None:
    labels = np.repeat([1, 0], [10, 90])
    estimate = auc_estimate(labels, np.zeros(100))
    expected = proportion_confint(5, 10, method="wilson")
    assert (estimate.low, estimate.high) == pytest.approx(expected)


def coverage(positives: int, negatives: int, truth: float, replicates: int, *,
             missed_outright: bool = False) -> float:
    rng = np.random.default_rng(20)
    labels = np.repeat([1, 0], [positives, negatives])
    hits = 0
    for _ in range(replicates):
        if missed_outright:  # a share of the positives scores below every negative
            shift = np.where(rng.random(positives) < 1 - truth, -50.0, 50.0)
        else:
            shift = np.full(positives, math.sqrt(2) * norm.ppf(truth))
        scores = rng.normal(size=len(labels)) + np.r_[shift, np.zeros(negatives)]
        estimate = auc_estimate(labels, scores)
        assert estimate.low is not None
        assert estimate.high is not None
        hits += estimate.low <= truth <= estimate.high
    return hits / replicates


@pytest.mark.parametrize("truth", [0.7, 0.85, 0.95])
@pytest.mark.parametrize(("positives", "negatives"), [(30, 30), (15, 45)])
def test_interval_covers_as_often_as_it_says(
    positives: int, negatives: int, truth: float
) -> None:
    assert 0.92 <= coverage(positives, negatives, truth, 300) <= 0.99


def test_interval_covers_where_a_kind_of_lesion_is_missed_outright() -> None:
    assert coverage(15, 45, 0.9, 300, missed_outright=True) >= 0.92


def test_interval_is_the_logit_one_away_from_the_ends() -> None:
    low, high = auc_interval(0.8, 0.03**2, 100, 100)
    centre, half = math.log(4), norm.ppf(0.975) * 0.03 / 0.16
    assert low == pytest.approx(1 / (1 + math.exp(half - centre)))
    assert high == pytest.approx(1 / (1 + math.exp(-half - centre)))


# ------------------------------------------------------------------ means


def test_mean_of_independent_estimates_adds_variances_and_of_equal_ones_keeps_them() -> None:
    values, lows, highs = np.array([0.5, 0.5]), np.array([0.4, 0.4]), np.array([0.6, 0.6])
    half = 0.1 / math.sqrt(2)
    assert mean_interval(values, lows, highs) == pytest.approx((0.5 - half, 0.5 + half))
    assert mean_interval(values, lows, highs, np.ones((2, 2))) == pytest.approx((0.4, 0.6))


def test_mean_of_perfect_shares_has_room_below() -> None:
    low, _ = wilson(20, 20)
    bounds = mean_interval(np.ones(2), np.full(2, low), np.ones(2))
    assert bounds == pytest.approx((1 - (1 - low) / math.sqrt(2), 1.0))
