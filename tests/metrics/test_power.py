"""Power of all endpoints together, against enumeration and simulation with the tests themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from bedside.metrics import power
from bedside.metrics.paired import tango_interval, tango_z


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 400),
       st.sampled_from([0.02, 0.1]))
def test_the_rule_is_tangos_test(gained, lost, rest, margin):
    n = gained + lost + rest + 1
    rule = power.Difference("sensitivity", margin)
    told = rule.shown(np.array([gained]), np.array([lost]), n, 1.959964)[0]
    z = tango_z(gained, lost, n, -margin)
    if abs(z - 1.959964) > 1e-6:
        assert told == (z >= 1.959964)


@pytest.mark.parametrize(("pairs", "discordance", "margin"), [(60, 0.1, 0.15), (250, 0.02, 0.02)])
def test_the_power_is_the_sum_over_every_table(pairs, discordance, margin):
    """By brute force over all gained and lost."""
    total = 0.0
    for gained in range(pairs + 1):
        for lost in range(pairs + 1 - gained):
            if gained + lost > 60 or tango_z(gained, lost, pairs, -margin) < 1.959964:
                continue
            total += stats.multinomial.pmf(
                [gained, lost, pairs - gained - lost], pairs,
                [discordance / 2, discordance / 2, 1 - discordance])
    part = power.Pairs((power.Difference("sensitivity", margin),), pairs, discordance)
    assert part.power(1.0, 0.025) == pytest.approx(total, abs=1e-6)


def test_endpoints_of_one_table_are_shown_together():
    """A second, milder endpoint on the same pairs costs nothing, another class's does."""
    strict, mild = power.Difference("sensitivity", 0.02), power.Difference("other", 0.05)
    alone = power.Pairs((strict,), 500, 0.02)
    both = power.Pairs((strict, mild), 500, 0.02)
    assert both.power(1.0, 0.025) == pytest.approx(alone.power(1.0, 0.025))
    assert power.joint([alone, alone], 1.0, 0.025) == pytest.approx(alone.power(1.0, 0.025) ** 2)


@pytest.mark.parametrize(("sd", "cases"), [(0.006, 300), (0.0, 189), (0.0, 188), (0.004, 200)])
def test_the_areas_power_is_simulated(sd, cases):
    part = power.Area("auroc", 0.02, sd, cases)
    rng = np.random.default_rng(0)
    shown = 0
    for value in rng.normal(0, sd, 2000) if sd else [0.0]:
        floor, _ = tango_interval(max(value, 0) * cases, max(-value, 0) * cases, cases)
        shown += min(floor, value - 1.959964 * sd) > -0.02
    assert part.power(1.0, 0.025) == pytest.approx(shown / (2000 if sd else 1), abs=0.03)


def test_no_discordance_needs_189_pairs_for_two_points():
    part = power.Pairs((power.Difference("sensitivity", 0.02),), 100, 0.0)
    assert power.smallest(lambda n: part.power(n / 100, 0.025) >= 0.8) == 189
    assert power.smallest(lambda n: False) is None


@pytest.mark.parametrize("share", [0.004, 0.01, 0.02, 0.05])
@pytest.mark.parametrize("alpha", [0.025, 0.025 / 9])
def test_so_many_cases_show_a_harmless_variant_four_times_of_five(share, alpha):
    part = power.Pairs((power.Difference("sensitivity", 0.02),), 1000, share)
    n = power.smallest(lambda n: part.power(n / 1000, alpha) >= 0.8)
    rng = np.random.default_rng(0)
    differ = rng.binomial(n, share, 4000)
    lost = rng.binomial(differ, 0.5)
    z = -float(stats.norm.ppf(alpha))
    shown = np.mean([tango_z(d - x, x, n, -0.02) >= z for d, x in zip(differ, lost, strict=True)])
    assert 0.78 <= shown <= 0.93, "it goes up in steps"


@pytest.mark.parametrize(("count", "n"), [(0, 50), (3, 200), (17, 40)])
def test_upper_limits_are_clopper_pearson_and_chi_squared(count, n):
    assert power.upper_share(count, n) == pytest.approx(
        proportion_confint(count, n, alpha=0.4, method="beta")[1])
    assert power.upper_sd(0.01, n) == pytest.approx(0.01 * np.sqrt(n / stats.chi2.ppf(0.2, n)))
    assert power.upper_share(n, n) == 1.0


def test_the_effect_behind_a_sample_size_is_found_again():
    """What precision() adds is taken away: 40 patients of 5, 10 discordant images in 4 of them."""
    from bedside.metrics.design import PRIOR

    informed = 10 / 200 * 40
    effect = (informed * 2.5 + PRIOR * 5) / (informed + PRIOR)
    assert power.observed_effect(200, 40, 10 / 200, 200 / effect) == pytest.approx(2.5)
    assert power.observed_effect(200, 40, 0.0, 40) == 5
