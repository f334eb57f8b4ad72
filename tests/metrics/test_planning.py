"""Planned studies: scores behind a discordance, and what cannot be planned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtri
from simulated import Scores

from bedside.core.errors import BadInput
from bedside.metrics.planning import (
    Assumptions,
    placement_variance,
    plan,
    score_correlation,
)
from bedside.metrics.spread import auc_spread
from bedside.metrics.stats import auc_influence

GIVEN = Assumptions(0.4)


@pytest.mark.parametrize(("sensitivity", "discordance"), [(0.9, 0.02), (0.75, 0.1), (0.95, 0.005)])
def test_scores_of_this_correlation_differ_so_often(sensitivity, discordance):
    mean = float(ndtri(sensitivity))
    alike = score_correlation(mean, discordance)
    rng = np.random.default_rng(0)
    common = mean + np.sqrt(alike) * rng.normal(size=400_000)
    old, new = (common + np.sqrt(1 - alike) * rng.normal(size=400_000) >= 0 for _ in range(2))
    assert (old != new).mean() == pytest.approx(discordance, rel=0.06)


@pytest.mark.parametrize(("area", "correlation"), [(0.9, 0.98), (0.8, 0.9)])
def test_the_aucs_scatter_is_delongs(area, correlation):
    rng = np.random.default_rng(1)
    positive = np.arange(8000) < 3000
    old, new = Scores(area, area, correlation).draw(positive, np.arange(8000), 0.0, rng)
    difference = auc_influence(positive, new)[1] - auc_influence(positive, old)[1]
    each = placement_variance(float(ndtri(area)), correlation)
    assert each / 3000 + each / 5000 == pytest.approx(
        auc_spread(positive, difference, np.arange(8000)).variance, rel=0.08)


def test_a_plan_grows_with_discordance_patients_and_targets():
    low, middle, high = plan(GIVEN, (0.01, 0.03), 0.025)
    assert low.images < middle.images < high.images
    assert middle.discordance == pytest.approx(0.02)
    for found in (low, middle, high):
        assert 0.8 <= found.power <= min(found.each.values())
        assert set(found.each) == {"sensitivity", "miss_ratio", "specificity", "auroc"}
        assert found.positives + found.negatives == found.images
    (clustered,) = plan(replace(GIVEN, cases_per_patient=4), (0.03, 0.03), 0.025)
    assert high.patients > clustered.patients > high.images / 4
    (many,) = plan(replace(GIVEN, targets=4), (0.03, 0.03), 0.025)
    assert many.images > high.images
    (alike,) = plan(replace(GIVEN, specificity_margin=0.02, prevalence=0.5), (0.03, 0.03), 0.025)
    assert alike.each["sensitivity"] > 0.87, "two equal endpoints share the power"


def test_without_discordance_the_rarer_class_needs_189():
    (found,) = plan(Assumptions(0.25), (0.0, 0.0), 0.025)
    assert found.positives == pytest.approx(189, abs=2)


@pytest.mark.parametrize(("change", "discordance", "flag"), [
    ({"sensitivity_margin": 0.0}, (0.01, 0.02), "--sensitivity-margin"),
    ({"specificity_margin": 1.0}, (0.01, 0.02), "--specificity-margin"),
    ({"auc_margin": float("nan")}, (0.01, 0.02), "--auc-margin"),
    ({"prevalence": 0.0}, (0.01, 0.02), "--prevalence"),
    ({"sensitivity": 1.0}, (0.01, 0.02), "--sensitivity"),
    ({}, (0.03, 0.01), "--discordance"),
    ({}, (-0.1, 0.1), "--discordance"),
    ({}, (0.1, 1.0), "--discordance"),
    ({"cases_per_patient": 0.0}, (0.01, 0.02), "--cases-per-patient"),
    ({"correlation": 1.5}, (0.01, 0.02), "--correlation"),
    ({"targets": 0}, (0.01, 0.02), "--targets"),
    ({"power": 1.0}, (0.01, 0.02), "--power"),
    ({"sensitivity_margin": 1e-6}, (0.1, 0.2), "plan-study"),
])
def test_what_cannot_be_planned_is_refused(change, discordance, flag):
    with pytest.raises(BadInput) as caught:
        plan(replace(GIVEN, **change), discordance, 0.025)
    assert caught.value.where == flag
