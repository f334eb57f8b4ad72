"""Doubts about a network's own answers, and the floors of a study."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bedside.core.statistics import Usefulness
from bedside.core.study import BudgetConfig
from bedside.core.types import Estimate
from bedside.metrics import usefulness
from bedside.metrics.usefulness import Answers, below

CLASSES = ("benign", "malignant")


def _answers(labels, odds, threshold=0.0):
    odds = np.asarray(odds, np.float64)
    return Answers(np.asarray(labels), np.stack([-odds / 2, odds / 2], 1),
                   (odds >= threshold).astype(np.int64), None)


def _part(n, seed, shift=3.0, flip=1.0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    return _answers(labels, flip * (shift * (labels - 0.5) + rng.normal(0, 1, n)))


def of(test, val):
    return usefulness.of("v", "cpu", test, val, 1, CLASSES)


def test_a_good_network_leaves_no_doubt():
    found = of(_part(100, 0), _part(100, 1))
    assert found.doubts == {}
    assert sum(found.called.values()) == found.n == 100
    assert found.metrics["sensitivity"].value == pytest.approx(
        np.mean(_part(100, 0).called[np.arange(100) % 2 == 1]))
    assert below(found, found, BudgetConfig()) == ()


@pytest.mark.parametrize(("test", "kind"), [
    (_part(100, 0, flip=-1), "below chance"), (_part(100, 0, shift=0.0), "chance"),
    (_answers(np.arange(40) % 2, np.full(40, 3.0)), "one class"),
    (_answers([1] * 40, np.linspace(-1, 1, 40)), "no AUC"),
    (_part(100, 0, shift=0.5), "splits disagree")])
def test_each_kind_of_doubt_is_found(test, kind):
    found = of(test, _part(200, 1))
    assert kind in found.doubts
    if kind != "splits disagree":
        assert below(found, found, BudgetConfig(min_auc=0.5, min_sensitivity=0, min_specificity=0))


def test_two_halves_of_one_study_rarely_disagree():
    """Both halves drawn from one distribution: at most one study in a hundred is named."""
    named = sum("splits disagree" in of(_part(120, 2 * k), _part(80, 2 * k + 1)).doubts
                for k in range(300))
    assert named <= 8  # 1% of 300 is 3; more than 8 would come once in a hundred times


def test_a_task_of_three_classes_is_judged_by_macro_means():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    poor = Answers(labels, rng.normal(0, 1, (60, 3)), rng.integers(0, 3, 60), None)
    found = usefulness.of("v", "cpu", poor, poor, None, ("a", "b", "c"))
    assert found.doubts.keys() == {"chance"}
    assert "macro AUC" in " ".join(below(found, found, BudgetConfig()))


def _good(n=100, **metrics):
    values = {"auroc": 0.9, "sensitivity": 0.9, "specificity": 0.9} | metrics
    return Usefulness("v", "cpu", n, {k: Estimate(v, v - 0.05, v + 0.05, n)
                                      for k, v in values.items()})


@pytest.mark.parametrize(("one", "text"), [
    (_good(29), "29 test images, and the study asks for 30 at least"),
    (_good(auroc=0.699), "AUC of 0.699 on test images, and the study asks for 0.7 at least"),
    (_good(sensitivity=0.49), "sensitivity of 49.0% on test images"),
    (_good(specificity=0.49), "specificity of 49.0% on test images"), (None, "nothing is known")])
def test_every_floor_has_its_sentence(one, text):
    assert text in below(one, one, BudgetConfig())[0]


def test_the_reference_decides_first_and_then_the_cell_itself():
    good, poor = _good(), _good(sensitivity=0.2)
    assert below(good, good, BudgetConfig()) == ()
    assert below(poor, good, BudgetConfig())[0].startswith("the float32 reference: sensitivity")
    assert below(good, poor, BudgetConfig())[0].startswith("sensitivity of 20.0%")
    assert below(None, poor, BudgetConfig())[0].startswith("sensitivity of 20.0%")


def test_a_slow_target_s_sample_needs_no_thirty_images_of_its_own():
    assert below(_good(), _good(12), BudgetConfig()) == ()
    swapped = replace(_good(12), doubts={"below chance": "classes may be swapped"})
    assert below(_good(), swapped, BudgetConfig()) == ("classes may be swapped",)
