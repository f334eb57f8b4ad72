"""From paired tests to one answer: shown, worse or not shown."""

from __future__ import annotations

import numpy as np
import pytest

from bedside.core.evidence import Comparison, OperatingPoint, PairedTest
from bedside.core.study import EvidenceConfig
from bedside.core.types import Estimate
from bedside.metrics import paired
from bedside.metrics.compare import Side, answers, compare, raw_p
from bedside.metrics.design import effective

MARGIN = 0.02
CONFIG = EvidenceConfig(resamples=200)


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


def side(labels, logits):
    point = OperatingPoint("youden", 1, threshold_log_odds=0.0, threshold=0.5)
    return Side(np.array([str(i) for i in range(len(labels))]), np.asarray(labels),
                np.asarray(logits, np.float64), point)


def binary(labels, odds):
    return side(labels, np.stack([np.zeros(len(labels)), odds], axis=1))


def answer(old, new, groups=None, positive=1, config=CONFIG):
    groups = [str(i) for i in range(len(old.labels))] if groups is None else groups
    (found,) = answers([compare(old, new, positive, groups, config)])
    return found


def test_a_shift_that_raises_sensitivity_at_the_cost_of_specificity_is_worse():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 1000)
    odds = np.where(labels == 1, 3.0, -2.0) + rng.normal(0, 1, 2000)
    found = answer(binary(labels, odds), binary(labels, odds + 2))
    assert found.tests["auroc"].difference.value == 0
    assert found.tests["sensitivity"].difference.value >= 0
    assert found.tests["specificity"].difference.value < -0.3
    assert found.answer == "worse"
    same = answer(binary(labels, odds), binary(labels, odds))
    assert same.answer == "shown"
    # Few are missed, so "twice as many" is a margin of sensitivity, and that is said.
    assert same.tests["sensitivity"].margin == pytest.approx(0.01)
    assert "counted from one in a hundred" in same.notes[0]


@pytest.mark.parametrize("unsure", [0, 1])
def test_an_auc_has_no_more_cases_than_the_class_with_fewer_patients(unsure):
    """300 patients with one image, 20 of the other class with 45 each."""
    labels = np.repeat([1 - unsure, unsure], [300, 900])
    groups = [f"a{i}" for i in range(300)] + [f"b{i // 45}" for i in range(900)]
    odds = np.where(labels == 1, 2.0, -2.0) + np.random.default_rng(1).normal(0, 0.5, 1200)
    found = answer(binary(labels, odds), binary(labels, odds), groups)
    assert found.tests["auroc"].cases == found.tests["auroc"].clusters == 20
    assert found.answer == "not shown"
    want = {n.metric: n for n in found.needed}["auroc"]
    assert want.kind == "patients of the rarer class"
    assert want.cases >= 189


def test_a_patient_with_half_of_the_images_is_not_half_of_the_patients():
    labels = np.ones(400, np.int64)
    groups = ["one"] * 200 + [str(i) for i in range(200)]
    sizes = np.r_[200, np.ones(200)]
    assert effective(np.unique(groups, return_inverse=True)[1]) == int(
        sizes.sum() ** 2 / (sizes ** 2).sum()) == 3
    odds = np.full(400, 2.0)
    found = answer(binary(np.r_[labels, np.zeros(400, np.int64)], np.r_[odds, -odds]),
                   binary(np.r_[labels, np.zeros(400, np.int64)], np.r_[odds, -odds]),
                   groups + [f"n{i}" for i in range(400)])
    assert found.tests["sensitivity"].cases == 3
    assert found.answer == "not shown"


def three_classes(rng, share_lost, patients=60, images=10):
    """Decisions alike within a patient; ``share_lost`` of the patients go wrong."""
    labels = np.repeat(np.arange(patients) % 3, images)
    groups = [str(i) for i in np.repeat(np.arange(patients), images)]
    old = np.eye(3)[labels] * 4 + rng.normal(0, 0.3, (len(labels), 3))
    new = old + rng.normal(0, 0.01, old.shape)
    wrong = np.repeat(rng.random(patients) < share_lost, images)
    new[wrong] = np.roll(new[wrong], 1, axis=1)
    swapped = np.repeat(rng.random(patients) < 0.1, images)
    old, new = old.copy(), new
    old[swapped & ~wrong] = np.roll(old[swapped & ~wrong], 1, axis=1)
    back = np.repeat(rng.random(patients) < 0.1, images) & ~swapped & ~wrong
    new[back] = np.roll(new[back], 1, axis=1)
    return side(labels, old), side(labels, new), groups


def test_means_over_classes_count_patients_too():
    """Decisions of ten images at once go either way as often: no loss, so hardly ever worse."""
    worse = 0
    for seed in range(40):
        old, new, groups = three_classes(np.random.default_rng(seed), 0.0)
        found = answer(old, new, groups, positive=None)
        worse += found.answer == "worse"
        assert found.answer != "shown"
    assert worse <= 4
    assert found.tests["macro_sensitivity"].clusters == 60
    assert found.tests["macro_sensitivity"].cases <= 20


def test_the_rarest_class_says_how_many_images_a_mean_takes():
    labels = np.repeat([0, 1, 2], [1000, 1000, 20])
    logits = np.eye(3)[labels] * 4.0
    found = answer(side(labels, logits), side(labels, logits), positive=None)
    assert found.answer == "not shown"
    want = {n.metric: n for n in found.needed}["macro_sensitivity"].images

    def shown(scale):
        more = np.repeat([0, 1, 2], [1000 * scale, 1000 * scale, 20 * scale])
        one = side(more, np.eye(3)[more] * 4.0)
        return answer(one, one, positive=None).tests["macro_sensitivity"].p_noninferior <= 0.025

    assert not shown(2)
    assert shown(-(-want // 2020))


def test_the_cases_needed_are_one_study_for_all_endpoints():
    """Two equal endpoints, both inconclusive: more than either alone would need, and one size."""
    rng = np.random.default_rng(2)
    labels = np.repeat([0, 1], 300)
    odds = np.where(labels == 1, 1.5, -1.5) + rng.normal(0, 1, 600)
    config = EvidenceConfig(sensitivity_margin=0.02, specificity_margin=0.02)
    old, new = binary(labels, odds), binary(labels, odds + rng.normal(0, 0.4, 600))
    found = answer(old, new, config=config)
    assert found.answer == "not shown"
    assert {n.metric for n in found.needed} >= {"sensitivity", "specificity"}
    (images,) = {n.images for n in found.needed}
    alone = answer(old, new, config=EvidenceConfig(sensitivity_margin=0.02,
                                                   specificity_margin=0.3, auc_margin=0.3))
    (single,) = alone.needed
    assert (single.metric, single.kind) == ("sensitivity", "positive images")
    assert images > single.images > 600
    assert single.cases == pytest.approx(single.images / 2, abs=1)


def test_patients_are_counted_in_every_interval():
    """Images five times over: intervals, kappa and what is needed stay those of the patients."""
    rng = np.random.default_rng(4)
    labels = np.repeat([0, 1], 150)
    odds = np.where(labels == 1, 1.5, -1.5) + rng.normal(0, 1, 300)
    after = odds + rng.normal(0, 0.3, 300)
    single = answer(binary(labels, odds), binary(labels, after))
    groups = np.repeat([str(i) for i in range(300)], 5).tolist()
    copied = answer(binary(labels.repeat(5), odds.repeat(5)),
                    binary(labels.repeat(5), after.repeat(5)), groups)

    def width(e):
        return e.high - e.low

    for name in ("accuracy", "sensitivity", "specificity", "auroc"):
        one, five = single.tests[name], copied.tests[name]
        assert width(five.difference) == pytest.approx(width(one.difference), rel=0.1)
        assert width(five.difference) >= width(one.difference) - 1e-9
        assert five.p_value == pytest.approx(one.p_value)
    assert width(copied.kappa) == pytest.approx(width(single.kappa), rel=0.1)
    assert copied.answer == single.answer == "not shown"
    assert copied.needed[0].kind == "positive patients"
    assert copied.needed[0].cases == pytest.approx(single.needed[0].cases, rel=0.25)
