"""Paired tests against SciPy, statsmodels, scikit-learn and published examples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from sklearn.metrics import cohen_kappa_score, roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.multitest import multipletests

from bedside.core.errors import BadInput
from bedside.metrics import paired
from bedside.metrics.bootstrap import clustered, resample
from bedside.metrics.design import clusters_of


def decisions(both, gained, lost, neither):
    """Right answers of the old and the new model."""
    old = np.repeat([True, False, True, False], [both, gained, lost, neither])
    new = np.repeat([True, True, False, False], [both, gained, lost, neither])
    return old, new


@pytest.mark.parametrize(("gained", "lost"), [(0, 1), (5, 9), (12, 2), (30, 31), (0, 40)])
def test_mcnemar_is_statsmodels_and_the_binomial_test(gained, lost):
    expected = mcnemar([[10, gained], [lost, 10]], exact=True).pvalue
    assert paired.mcnemar_exact(gained, lost) == pytest.approx(expected)
    assert paired.p_loss(gained, lost) == pytest.approx(stats.binomtest(
        lost, gained + lost, alternative="greater").pvalue)


def test_agreement_everywhere_has_no_p_value():
    assert paired.mcnemar_exact(0, 0) is None
    assert paired.p_loss(0, 0) is None
    test = paired.paired_proportion("accuracy", *decisions(9, 0, 0, 3), 0.02, "none")
    assert test.p_value is None
    assert "agree on every image" in test.reason
    assert test.difference.value == 0
    assert test.difference.low < 0 < test.difference.high


def test_tangos_interval_is_the_published_one():
    """Fagerland, Lydersen and Laake 2014, Stat. Med. 33:2850: airway reactivity before and after
    stem cell transplantation, 1, 1, 7 and 12 of 21 children."""
    low, high = paired.tango_interval(1, 7, 21)
    assert (round(low, 3), round(high, 3)) == (-0.517, -0.026)


def _likelihood_z(gained, lost, n, difference):
    """The score statistic by maximising the trinomial likelihood numerically."""
    floor = max(0.0, -difference)
    ceiling = (1 - difference) / 2 if difference >= 0 else (1 + abs(difference)) / 2

    def minus(q):
        p = np.array([q + difference, q, 1 - 2 * q - difference])
        counts = np.array([gained, lost, n - gained - lost])
        with np.errstate(divide="ignore", invalid="ignore"):
            parts = np.where(counts > 0, counts * np.log(np.maximum(p, 1e-300)), 0.0)
        return -parts.sum()

    q = optimize.minimize_scalar(minus, bounds=(floor, min(ceiling, 1)), method="bounded",
                                 options={"xatol": 1e-12}).x
    return (gained - lost - n * difference) / np.sqrt(n * (2 * q + difference - difference ** 2))


@pytest.mark.parametrize(("gained", "lost", "n"), [(3, 5, 60), (10, 2, 40), (1, 1, 500),
                                                   (7, 9, 16)])
@pytest.mark.parametrize("difference", [-0.2, -0.02, 0.05, 0.3])
def test_tangos_statistic_is_the_numeric_score_test(gained, lost, n, difference):
    ours = paired.tango_z(gained, lost, n, difference)
    assert ours == pytest.approx(_likelihood_z(gained, lost, n, difference), rel=1e-4)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 200))
def test_tangos_interval_holds_the_estimate_and_mirrors(gained, lost, rest):
    n = gained + lost + rest
    if n == 0:
        with pytest.raises(BadInput):
            paired.tango_interval(gained, lost, n)
        return
    low, high = paired.tango_interval(gained, lost, n)
    assert -1 <= low <= (gained - lost) / n <= high <= 1
    assert paired.tango_interval(lost, gained, n) == pytest.approx((-high, -low), abs=1e-9)


def test_tangos_interval_covers():
    """Near 95% with few discordant pairs, where the plain interval has nothing to say."""
    rng = np.random.default_rng(0)
    n, up, down = 150, 0.01, 0.02
    hits = 0
    for _ in range(2000):
        gained, lost, _ = rng.multinomial(n, [up, down, 1 - up - down])
        low, high = paired.tango_interval(gained, lost, n)
        hits += low <= up - down <= high
    assert 0.93 <= hits / 2000 <= 0.985


def test_no_discordant_pair_shows_two_points_from_189_images_on():
    def shown(n):
        return paired.paired_proportion("s", *decisions(n, 0, 0, 0), 0.02, "").p_noninferior

    assert shown(188) > 0.025 >= shown(189)
    assert paired.cases_to_show(0.0, 0.02, 0.025) == 189


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
def test_paired_auc_is_the_textbook_double_loop(seed):
    labels, old, new = _scores(seed)
    if seed == 3:
        old, new = np.round(old, 1), np.round(new, 1)
    test = paired.paired_auc("auroc", labels, old, new, 0.02)
    value = roc_auc_score(labels, new) - roc_auc_score(labels, old)
    sd = np.sqrt(_delong_by_pairs(labels, old, new))
    assert test.difference.value == pytest.approx(value)
    assert test.difference.low == pytest.approx(value - 1.959964 * sd, abs=1e-6)
    assert test.p_value == pytest.approx(2 * stats.norm.sf(abs(value) / sd))
    assert test.p_noninferior >= stats.norm.sf((value + 0.02) / sd) - 1e-12
    assert test.p_worse == pytest.approx(stats.norm.cdf(value / sd))


def test_models_that_rank_alike_have_no_delong_test_but_an_interval():
    labels, old, _ = _scores(1)
    test = paired.paired_auc("auroc", labels, old, 3 * old + 1, 0.02)
    assert test.p_value is None
    assert test.p_worse is None
    assert "no estimate" in test.reason
    k = int(min(labels.sum(), (1 - labels).sum()))
    assert (test.difference.low, test.difference.high) == pytest.approx(
        paired.tango_interval(0, 0, k))
    assert test.p_noninferior > 0.025  # 48 positives cannot exclude two points
    big = np.repeat(labels, 10)
    jitter = np.repeat(old, 10) + np.arange(len(big)) * 1e-6
    assert paired.paired_auc("auroc", big, jitter, jitter, 0.02).p_noninferior < 0.025


def test_perfect_separation_by_both():
    labels = np.array([0, 0, 0, 1, 1, 1])
    test = paired.paired_auc("auroc", labels, labels * 2.0, labels * 3.0 - 1, 0.02)
    assert (test.old, test.new, test.difference.value) == (1.0, 1.0, 0.0)
    assert test.p_value is None
    assert test.difference.low < -0.3


@pytest.mark.parametrize("labels", [[0, 0, 0], [1, 1, 1], []])
def test_one_class_has_no_auc(labels):
    labels = np.array(labels, np.int64)
    test = paired.paired_auc("auroc", labels, labels * 1.0, labels * 1.0, 0.02)
    assert test.difference.value is None
    assert test.difference.reason
    assert (test.p_value, test.p_noninferior, test.p_worse) == (None, None, None)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(-3, 3), st.integers(-3, 3)), max_size=12))
def test_no_input_gives_a_nan(rows):
    labels = np.array([r[0] for r in rows], np.int64)
    old = np.array([r[1] for r in rows], np.float64)
    new = np.array([r[2] for r in rows], np.float64)
    tests = [paired.paired_auc("auroc", labels, old, new, 0.02),
             paired.paired_proportion("s", old > 0, new > 0, 0.02, "no images")]
    for t in tests:
        numbers = [t.old, t.new, t.difference.value, t.difference.low, t.difference.high,
                   t.p_value, t.p_noninferior, t.p_worse, t.excluded]
        assert all(v is None or np.isfinite(v) for v in numbers)
        for p in (t.p_value, t.p_noninferior, t.p_worse):
            assert p is None or 0 <= p <= 1
        if t.difference.value is not None:
            assert t.difference.low <= t.difference.value <= t.difference.high
        assert (t.p_value is None) <= bool(t.reason)
    estimate = paired.kappa((old > 0).astype(np.int64), (new > 0).astype(np.int64), 2)
    assert (estimate.value is None) == (estimate.reason is not None)


def test_kappa_is_statsmodels_and_sklearns():
    rng = np.random.default_rng(0)
    old = rng.integers(0, 3, 300)
    new = np.where(rng.random(300) < 0.7, old, rng.integers(0, 3, 300))
    table = np.bincount(old * 3 + new, minlength=9).reshape(3, 3)
    expected = cohens_kappa(table)
    found = paired.kappa(old, new, 3)
    assert found.value == pytest.approx(cohen_kappa_score(old, new))
    assert (found.low, found.high) == pytest.approx((expected.kappa_low, expected.kappa_upp))


def test_kappa_of_one_class_is_undefined():
    same = np.zeros(5, np.int64)
    assert paired.kappa(same, same, 2).value is None
    assert paired.kappa(np.array([0, 1]), np.array([0, 1]), 2).value == 1.0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_is_statsmodels(values):
    assert paired.holm(values) == pytest.approx(multipletests(values, method="holm")[1].tolist())


def test_every_image_its_own_patient_means_no_clusters():
    assert clusters_of(["a", "b", "c"]) is None
    assert clusters_of([]) is None
    assert clusters_of(["a", "b", "a"]).tolist() == [0, 1, 0]


def test_patients_widen_the_interval_of_copied_images():
    """Every image five times: the images' interval shrinks, the patients' stays."""
    labels, old, new = _scores(9, n=80, noise=0.8)
    single = paired.paired_auc("auroc", labels, old, new, 0.02)
    labels, old, new = (np.repeat(v, 5) for v in (labels, old, new))
    naive = paired.paired_auc("auroc", labels, old, new, 0.02)
    clusters = np.repeat(np.arange(80), 5)
    scores = np.stack([old, new])
    right = (scores > 0.5) == labels
    drawn = resample(labels, scores, right, clusters, 2000, 0)
    mine = clustered(naive, drawn.spread("auroc", 0, 1), clusters[labels == 1])

    def width(t):
        return t.difference.high - t.difference.low

    assert width(naive) < 0.6 * width(single)
    assert width(mine) == pytest.approx(width(single), rel=0.12)
    assert mine.clusters == len(np.unique(clusters[labels == 1]))
    again = resample(labels, scores, right, clusters, 2000, 0)
    assert np.array_equal(again.values["auroc"], drawn.values["auroc"])


def test_the_sign_test_counts_patients():
    old, new = decisions(0, 0, 12, 0)
    test = paired.paired_proportion("sensitivity", old, new, 0.02, "")
    patients = np.repeat([0, 1], 6)
    found = clustered(test, (-1.0, -1.0, 0.0), patients, np.full(12, -1))
    assert test.p_worse == pytest.approx(0.5 ** 12)
    assert found.p_worse == pytest.approx(0.25)
    assert found.method.endswith("sign test")


@pytest.mark.parametrize("low", [-0.001, -0.4])
def test_few_patients_cannot_exclude_more_than_their_number_allows(low):
    """Resamples of 12 patients who hardly differ lie close together; that proves nothing."""
    old, new = decisions(24, 0, 0, 0)
    test = paired.paired_proportion("sensitivity", old, new, 0.02, "")
    patients = np.repeat(np.arange(12), 2)
    found = clustered(test, (low, 0.001, 0.0005), patients, np.zeros(24, np.int64))
    floor, _ = paired.tango_interval(0, 0, 12)
    assert -0.4 < floor < -0.2
    assert found.difference.low == low
    assert found.excluded == pytest.approx(min(low, floor))
    assert found.p_noninferior > 0.025


@pytest.mark.parametrize("share", [0.004, 0.01, 0.02, 0.05])
@pytest.mark.parametrize("alpha", [0.025, 0.025 / 9])
def test_so_many_cases_show_a_harmless_variant_four_times_of_five(share, alpha):
    n = paired.cases_to_show(share, 0.02, alpha)
    rng = np.random.default_rng(0)
    differ = rng.binomial(n, share, 4000)
    lost = rng.binomial(differ, 0.5)
    z = -float(paired.ndtri(alpha))
    shown = np.mean([paired.tango_z(d - x, x, n, -0.02) >= z
                     for d, x in zip(differ, lost, strict=True)])
    assert 0.78 <= shown <= 0.93, "it goes up in steps"
