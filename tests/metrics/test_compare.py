"""From the tests of two endpoints to one answer: shown, worse, or neither."""

from __future__ import annotations

import numpy as np
import pytest

from bedside.core.evidence import Comparison, PairedTest
from bedside.core.types import Estimate
from bedside.metrics import paired
from bedside.metrics.compare import answers, raw_p

MARGIN = 0.02


def endpoint(metric, p_worse, low, p_noninferior=0.5):
    """A test of 200 images with a margin, of which the answer reads these numbers."""
    return PairedTest(metric, "made up", 0.9, 0.88, Estimate(-0.01, low, 0.01, 200), 1, 3,
                      margin=MARGIN, p_noninferior=p_noninferior, p_worse=p_worse, cases=200)


def answered(sensitivity, auroc):
    (found,) = answers([Comparison("v", "cpu", "float32@cpu", "test", 400, {
        "sensitivity": sensitivity, "auroc": auroc})])
    return found


@pytest.mark.parametrize(("p", "answer"), [(0.0125, "worse"), (0.0126, "not shown"),
                                           (0.02, "not shown")])
def test_two_chances_to_be_called_worse_count_twice(p, answer):
    """Either endpoint alone may condemn, so each has half of the 2.5%."""
    found = answered(endpoint("sensitivity", p, -0.05), endpoint("auroc", 0.6, -0.03))
    assert found.answer == answer
    assert found.p_worse == pytest.approx(2 * p)
    assert answered(endpoint("sensitivity", 0.6, -0.03),
                    endpoint("auroc", p, -0.05)).answer == answer


def test_a_p_value_that_counts_twice_stays_a_probability():
    found = answered(endpoint("sensitivity", 0.7, -0.05), endpoint("auroc", 0.8, -0.05))
    assert found.p_worse == 1.0


def test_a_certain_loss_inside_the_margin_is_not_worse():
    """12 of 2000 positive images lost and none gained: proved, and too small to matter."""
    old, new = np.ones(2000, bool), np.arange(2000) >= 12
    small = paired.paired_proportion("sensitivity", old, new, MARGIN, "no positive images")
    assert small.p_worse < 0.001
    assert small.difference.low > -MARGIN
    found = answered(small, endpoint("auroc", 0.5, -0.03))
    assert (found.answer, found.p_worse) == ("not shown", 1.0)


@pytest.mark.parametrize(("low", "worse"), [(-MARGIN, 0.002), (-0.0199, 1.0)])
def test_a_loss_that_may_just_reach_the_margin_can_be_worse(low, worse):
    one = Comparison("v", "cpu", "float32@cpu", "test", 400, {
        "sensitivity": endpoint("sensitivity", 0.001, low), "auroc": endpoint("auroc", 0.9, -0.03)})
    assert raw_p(one)[1] == pytest.approx(worse)


def test_shown_needs_both_endpoints():
    def found(auroc):
        return answered(endpoint("sensitivity", 0.5, -0.01, 0.001),
                        endpoint("auroc", 0.5, -0.01, auroc))

    assert (found(0.025).answer, found(0.025).p_shown) == ("shown", 0.025)
    assert found(0.026).answer == "not shown"
