"""Paired answers within groups."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, fisher_exact

from bedside.metrics import paired, strata


def _found(labels, before, after, groups, **more):
    return strata.strata(np.asarray(labels), np.asarray(before), np.asarray(after),
                         {"size": groups}, "v", "cpu", **more)


def test_the_losses_of_small_lesions_stand_apart_from_the_average():
    # 19 small lesions, of which float32 finds 7 and the variant 5; 60 large ones, all found.
    small = [True] * 7 + [False] * 12
    after = [True] * 5 + [False] * 14
    found = _found([1] * 79, small + [True] * 60, after + [True] * 60,
                   ["under 10 mm"] * 19 + ["20 mm and over"] * 60)
    by_group = {s.group: s for s in found}
    low = by_group["under 10 mm"]
    assert (low.n, low.lost, low.gained) == (19, 2, 0)
    assert (low.old, low.new) == (pytest.approx(7 / 19), pytest.approx(5 / 19))
    assert low.difference.value == pytest.approx(-2 / 19)
    assert (low.difference.low, low.difference.high) == pytest.approx(paired.tango_interval(0, 2,
                                                                                            19))
    assert strata.worst(found, "v", "cpu") == low
    assert strata.worst(found, "other", "cpu") is None


def test_the_interaction_is_an_exact_test_by_draws():
    """Where nothing is gained the statistic orders tables as Fisher's exact test does."""
    here, rest = np.array([-1] * 4 + [0] * 15), np.array([-1] + [0] * 59)
    found = strata.interaction(here, rest, None)
    exact = fisher_exact([[4, 15], [1, 59]])[1]
    assert found == pytest.approx(exact, abs=0.01)


def test_an_interaction_by_patient_is_no_stronger_than_its_patients():
    here, rest = np.repeat([-1, 0, 0, 0], 10), np.repeat([0] * 12, 10)
    by_image = strata.interaction(here, rest, None)
    by_patient = strata.interaction(here, rest, (np.repeat(np.arange(4), 10),
                                                 np.repeat(np.arange(4, 16), 10)))
    assert by_image < 0.01
    assert by_patient == pytest.approx(4 / 16, abs=0.03)


def test_where_nobody_changes_there_is_no_interaction():
    assert strata.interaction(np.zeros(5, np.int64), np.zeros(9, np.int64), None) is None
    assert strata.interaction(np.array([], np.int64), np.array([1]), None) is None


@pytest.mark.parametrize("n", [6, 12, 40, 300])
def test_the_loss_that_can_be_found_has_the_power_it_says(n):
    loss = strata.detectable(n)
    counts = np.arange(n + 1)
    # Losses only: McNemar's exact test, one-sided at 2.5%.
    rejected = np.array([(paired.p_loss(0, k) or 1.0) <= 0.025 for k in counts])
    assert binom.pmf(counts, n, loss)[rejected].sum() == pytest.approx(0.8, abs=1e-6)


def test_five_cases_find_no_loss_at_all():
    assert strata.detectable(5) is None


def test_one_image_and_unknown_groups_are_shown_and_never_the_worst():
    found = _found([1, 1, 0], [True, True, False], [False, False, False], ["a", "not given", "a"])
    assert {(s.group, s.metric, s.n) for s in found} == {
        ("a", "sensitivity", 1), ("not given", "sensitivity", 1), ("a", "specificity", 1)}
    assert strata.worst(found, "v", "cpu") is None
