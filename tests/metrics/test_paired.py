"""Paired tests of proportions against SciPy, statsmodels and published examples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats
from simulated import Decisions, patients
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from bedside.core.errors import BadInput
from bedside.metrics import paired
from bedside.metrics.design import clusters_of, effective


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


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_is_statsmodels(values):
    assert paired.holm(values) == pytest.approx(multipletests(values, method="holm")[1].tolist())


def test_every_image_its_own_patient_means_no_clusters():
    assert clusters_of(["a", "b", "c"]) is None
    assert clusters_of([]) is None
    assert clusters_of(["a", "b", "a"]).tolist() == [0, 1, 0]


# ------------------------------------------------------------------ patients


def test_the_sign_test_counts_patients():
    old, new = decisions(0, 0, 12, 0)
    alone = paired.paired_proportion("sensitivity", old, new, 0.02, "")
    found = paired.paired_proportion("sensitivity", old, new, 0.02, "", np.repeat([0, 1], 6))
    assert alone.p_worse == pytest.approx(0.5 ** 12)
    assert found.p_worse == pytest.approx(0.25)
    assert found.method.startswith("sign test over patients")


@given(st.integers(0, 8), st.integers(0, 8), st.integers(20, 400), st.integers(2, 4))
def test_copied_images_say_no_more_than_one_of_each(gained, lost, n, each):
    """The design effect of identical images is their number, up to what few patients cost."""
    gained, lost = min(gained, n // 2), min(lost, n // 2)
    old, new = decisions(n - gained - lost, gained, lost, 0)
    alone = paired.paired_proportion("s", old, new, 0.02, "")
    copied = paired.paired_proportion("s", old.repeat(each), new.repeat(each), 0.02, "",
                                      np.arange(n).repeat(each))
    assert copied.difference.low <= alone.difference.low + 1e-9
    assert copied.difference.high >= alone.difference.high - 1e-9
    width = alone.difference.high - alone.difference.low
    assert copied.difference.high - copied.difference.low < 1.25 * width


def test_without_discordance_patients_of_unlike_size_count_as_kish_does():
    sizes = np.r_[30, np.full(19, 2)]
    clusters = np.repeat(np.arange(20), sizes)
    old = np.ones(len(clusters), bool)
    found = paired.paired_proportion("s", old, old, 0.02, "", clusters)
    kish = sizes.sum() ** 2 / (sizes ** 2).sum()
    assert effective(clusters) == int(kish)
    assert (found.difference.low, found.difference.high) == pytest.approx(
        paired.tango_interval(0, 0, kish))
    assert found.p_noninferior > 0.025


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.02, 0.05, 0.1]),
       st.sampled_from(["1", "5", "1 to 8"]))
def test_test_and_interval_agree(seed, margin, kind):
    """Non-inferiority is shown at 2.5% exactly where the lower bound lies above −margin."""
    rng = np.random.default_rng(seed)
    whose = patients(kind, int(rng.integers(5, 120)), rng)
    old, new = Decisions(0.03, 0.02).draw(whose, 0.5, rng)
    found = paired.paired_proportion("s", old, new, margin, "", clusters_of(whose.tolist()))
    assert (found.difference.low, found.difference.high) == (found.excluded, found.ceiling)
    if abs(found.excluded + margin) > 1e-6:
        assert (found.p_noninferior <= 0.025) == (found.excluded > -margin)
