"""Intervals of one model where patients have several images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, t
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.proportion import proportion_confint

from bedside.metrics import design, probability, subgroups
from bedside.metrics.bootstrap import mean_interval
from bedside.metrics.recalibration import recalibrate
from bedside.metrics.stats import auc_estimate, auc_influence, share


def patients(seed: int, count: int, most: int = 8, alike: float = 0.8
             ) -> tuple[np.ndarray, np.ndarray]:
    """Patient of every image, and normal values that agree within a patient."""
    rng = np.random.default_rng(seed)
    whose = np.repeat(np.arange(count), rng.integers(1, most + 1, count))
    own = np.sqrt(1 - alike) * rng.normal(size=len(whose))
    return whose, np.sqrt(alike) * rng.normal(size=count)[whose] + own


@pytest.mark.parametrize("seed", range(5))
def test_the_scatter_is_statsmodels_clustered_variance(seed: int) -> None:
    whose, z = patients(seed, 30)
    n = len(z)
    fit = OLS(z, np.ones(n)).fit(cov_type="cluster", cov_kwds={
        "groups": whose, "use_correction": False})
    assert design.scatter(z - z.mean(), whose) / n**2 * 29 / 30 == pytest.approx(
        float(fit.cov_params()[0, 0]), rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_a_share_is_wilsons_over_the_effective_sample(seed: int) -> None:
    """From a CR2 variance by explicit projection, and statsmodels' Wilson interval."""
    whose, z = patients(seed, 60)
    hits = z < norm.ppf(0.7)
    n, p = len(hits), hits.mean()
    sizes = np.bincount(whose)
    between = sum((hits[whose == k].sum() - m * p) ** 2 / (1 - m / n)
                  for k, m in enumerate(sizes))
    rare = max(p, 1 - p) ** 2 * design.PRIOR * n / 60
    most = float((sizes**2).sum() / n)
    effect = (between + rare * most) / (n * p * (1 - p) * n / (n - 1) + rare)
    assert effect > 1.5
    varies = (effect - 1) / effect * between / (between + rare * most)
    df = _satterthwaite(sizes, (effect - 1) / (most - 1)) / varies**2
    size = n / effect
    quantile = t.ppf(0.975, df)
    low, high = proportion_confint(p * size, size, alpha=2 * norm.sf(quantile), method="wilson")
    found = share(hits, whose, "")
    assert (found.value, found.n) == (pytest.approx(p), n)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def _satterthwaite(sizes: np.ndarray, alike: float) -> float:
    """Bell and McCaffrey's degrees of freedom from the whole matrix of the quadratic form."""
    own, count = sizes / sizes.sum(), len(sizes)
    residual = np.eye(count) - np.outer(own, np.ones(count))
    root = np.diag(1 / np.sqrt(1 - own))
    form = root @ residual @ np.diag(sizes * (1 + (sizes - 1) * alike)) @ residual.T @ root
    return float(np.trace(form) ** 2 / np.trace(form @ form))


@pytest.mark.parametrize("sizes", [np.full(20, 3), np.r_[30, np.full(19, 2)], np.arange(1, 9)])
@pytest.mark.parametrize("alike", [0.0, 0.4, 1.0])
def test_degrees_of_freedom_are_those_of_the_whole_matrix(sizes: np.ndarray, alike: float) -> None:
    found = design.satterthwaite(sizes.astype(np.float64), alike)
    assert found == pytest.approx(_satterthwaite(sizes.astype(np.float64), alike))
    if len(set(sizes.tolist())) == 1:
        assert found == pytest.approx(len(sizes) - 1)


@pytest.mark.parametrize("seed", range(3))
def test_the_variance_of_an_auc_is_that_of_drawn_patients(seed: int) -> None:
    whose, z = patients(seed, 300, most=5)
    positive = whose % 2 == 0
    positive[::7] = ~positive[::7]  # some patients have images of both classes
    scores = z + positive
    _, influence = auc_influence(positive, scores)
    found = design.auc_variance(positive, influence, whose)
    rng = np.random.default_rng(seed)
    rows = [np.flatnonzero(whose == c) for c in range(300)]
    drawn = []
    for _ in range(400):
        take = np.concatenate([rows[c] for c in rng.integers(0, 300, 300)])
        drawn.append(auc_influence(positive[take], scores[take])[0])
    assert found == pytest.approx(np.var(drawn), rel=0.25)
    alone = auc_estimate(positive, scores)
    together = auc_estimate(positive, scores, whose)
    assert together.value == alone.value
    assert together.low < alone.low and together.high > alone.high


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.booleans(), st.integers(0, 4)),
                min_size=1, max_size=40))
def test_patients_never_narrow_an_interval(rows: list[tuple[int, bool, bool, int]]) -> None:
    whose = np.array([r[0] for r in rows])
    truth, hits = (np.array([r[k] for r in rows], np.bool_) for k in (1, 2))
    scores = np.array([r[3] for r in rows], np.float64)
    errors = scores / 5
    for plain, own in ((share(hits, None, "none"), share(hits, whose, "none")),
                       (auc_estimate(truth, scores), auc_estimate(truth, scores, whose))):
        assert plain.value == own.value and plain.n == own.n and plain.reason == own.reason
        if plain.value is not None:
            assert own.low <= plain.low + 1e-12 and own.high >= plain.high - 1e-12
            assert 0 <= own.low <= own.value <= own.high <= 1
    low, high = mean_interval(errors, whose)
    assert 0 <= low <= errors.mean() <= high <= 1


@given(st.lists(st.booleans(), min_size=2, max_size=30))
def test_a_patient_of_one_image_each_changes_nothing(hits: list[bool]) -> None:
    right, whose = np.array(hits), np.arange(len(hits))
    scores = np.random.default_rng(len(hits)).normal(size=len(hits))
    assert share(right, whose, "") == share(right, None, "")
    one, own = auc_estimate(right, scores), auc_estimate(right, scores, whose)
    assert one.value == own.value and one.reason == own.reason
    if one.value is not None:
        assert (own.low, own.high) == (pytest.approx(one.low), pytest.approx(one.high))


def test_a_single_error_never_claims_more_than_none() -> None:
    whose = np.repeat(np.arange(30), 10)
    hits = np.ones(300, np.bool_)
    perfect = share(hits, whose, "")
    hits[7] = False
    nearly = share(hits, whose, "")
    assert nearly.low <= perfect.low + 1e-12
    assert perfect.low == pytest.approx(share(np.ones(30, np.bool_), None, "").low)
    assert share(~hits, whose, "").high >= 1 - perfect.low - 1e-12


@pytest.mark.parametrize("metric", ["share", "auc"])
def test_intervals_hold_the_truth_where_images_of_a_patient_agree(metric: str) -> None:
    """Over images they do so far too seldom, which shows that the test can tell."""
    held = np.zeros(2, np.int64)
    for seed in range(300):
        whose, z = patients(seed, 60, alike=0.9)
        truth = whose % 2
        for k, clusters in enumerate((None, whose)):
            if metric == "share":
                found, true = share(z < norm.ppf(0.8), clusters, ""), 0.8
            else:
                found, true = auc_estimate(truth, z + truth * np.sqrt(2) * norm.ppf(0.8),
                                           clusters), 0.8
            held[k] += found.low <= true <= found.high
    assert held[0] < 0.75 * 300
    assert held[1] >= 0.92 * 300


def test_calibration_and_subgroups_count_patients() -> None:
    whose, z = patients(4, 60, alike=0.95)
    truth = (z > 0).astype(np.int64)
    odds = z + np.random.default_rng(1).normal(0, 0.3, len(z))
    p = 1 / (1 + np.exp(-odds))
    shares = np.stack([1 - p, p], axis=1)
    pairs = [(probability.brier(truth, shares, 1), probability.brier(truth, shares, 1, whose)),
             *zip(recalibrate(truth.astype(float), odds)[:2],
                  recalibrate(truth.astype(float), odds, whose)[:2], strict=True)]
    pairs += list(zip(probability.at_threshold(truth, odds > 0.2).values(),
                      probability.at_threshold(truth, odds > 0.2, whose).values(), strict=True))
    groups = ["old" if k % 3 else "young" for k in whose]
    plain, own = (subgroups.describe(truth, odds, (odds > 0).astype(np.int64), "age", groups, "v",
                                     "cpu", clusters)[0] for clusters in (None, whose))
    pairs += [(a.metrics[k], b.metrics[k]) for a, b in zip(plain, own, strict=True)
              for k in a.metrics]
    pairs += [(a.observed, b.observed) for a, b in zip(
        probability.reliability(p, truth), probability.reliability(p, truth, whose), strict=True)
        if a.observed.n > 20]
    for alone, together in pairs:
        assert together.value == pytest.approx(alone.value) and together.n == alone.n
        assert together.high - together.low > alone.high - alone.low


def test_ece_and_brier_of_equal_patients_are_those_of_one_image_each() -> None:
    rng = np.random.default_rng(2)
    p = rng.uniform(size=80)
    truth = (rng.uniform(size=80) < p).astype(np.int64)
    twice = np.repeat(np.arange(80), 2)
    one, two = probability.ece(p, truth), probability.ece(p[twice], truth[twice])
    assert one.value == pytest.approx(two.value)
    error = np.square(p - truth)
    assert mean_interval(error) == pytest.approx(mean_interval(error[twice], twice))
