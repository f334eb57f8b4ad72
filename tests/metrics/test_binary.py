"""Binary metrics against scikit-learn and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from metric_samples import bounds, sample
from sklearn.metrics import accuracy_score, recall_score, roc_auc_score
from statsmodels.stats.proportion import proportion_confint

from bedside.core.types import Estimate
from bedside.metrics import evaluate
from bedside.metrics.binary import accuracy, auroc, sensitivity, specificity
from bedside.metrics.multiclass import macro_auroc, macro_sensitivity


def test_a_small_table_by_hand() -> None:
    # Positives: called 1, 1, 0. Negatives: called 0, 0, 0, 1.
    labels = np.array([1, 1, 1, 0, 0, 0, 0])
    margin = np.array([2.0, 1.0, -1.0, -2.0, -3.0, -4.0, 1.5])
    logits = np.stack([np.zeros(7), margin], axis=1)
    found = evaluate(labels, logits, 1)
    assert list(found) == ["accuracy", "sensitivity", "specificity", "auroc"]
    assert {k: v.value for k, v in found.items()} == pytest.approx(
        {"accuracy": 5 / 7, "sensitivity": 2 / 3, "specificity": 3 / 4, "auroc": 10 / 12})
    assert [v.n for v in found.values()] == [7, 3, 4, 7]


@pytest.mark.parametrize("positive", [0, 1])
@pytest.mark.parametrize("coarse", [False, True])
def test_binary_metrics_agree_with_sklearn_and_statsmodels(positive: int, coarse: bool) -> None:
    labels, logits = sample(2, 120, 3, coarse=coarse)
    called = logits.argmax(axis=1)
    truth = labels == positive
    score = logits[:, positive].astype(float) - logits[:, 1 - positive].astype(float)
    found = evaluate(labels, logits, positive)
    assert found["accuracy"].value == pytest.approx(accuracy_score(labels, called))
    assert found["sensitivity"].value == pytest.approx(
        recall_score(labels, called, pos_label=positive))
    assert found["specificity"].value == pytest.approx(
        recall_score(labels, called, pos_label=1 - positive))
    assert found["auroc"].value == pytest.approx(roc_auc_score(truth, score))
    hits = {
        "accuracy": (called == labels).sum(),
        "sensitivity": ((called == positive) & truth).sum(),
        "specificity": ((called != positive) & ~truth).sum(),
    }
    for name, count in hits.items():
        expected = proportion_confint(count, found[name].n, method="wilson")
        assert bounds(found[name]) == pytest.approx(expected)


def test_undefined_is_null_with_the_denominator_and_a_reason() -> None:
    labels, logits = np.zeros(4, dtype=np.int64), np.eye(2)[[0, 0, 1, 0]]
    assert sensitivity(labels, logits, 1) == Estimate(None, n=0, reason="no positive images")
    assert specificity(labels, logits, 1).value == 0.75
    assert specificity(labels, logits, 0) == Estimate(None, n=0, reason="no negative images")
    only = auroc(labels, logits, 1)
    assert (only.value, only.n) == (None, 4)
    assert "no positive images" in (only.reason or "")
    macro = macro_sensitivity(labels, logits, None)
    assert (macro.value, macro.n) == (None, 4)
    assert "class 1" in (macro.reason or "")
    assert sensitivity(labels, logits, None).reason == "the task names no positive class"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_broken_logit_is_counted_not_averaged_away(bad: float) -> None:
    labels, logits = sample(2, 20, 0)
    logits[7, 1] = bad
    for estimate in (evaluate(labels, logits, 1) | evaluate(labels, logits, None)).values():
        assert estimate.value is None
        assert estimate.reason == "1 of 20 images have non-finite logits"
    assert sensitivity(labels, logits, 1).n == (labels == 1).sum()


def test_far_logits_do_not_tie_as_probabilities_do() -> None:
    labels = np.array([0, 1, 0, 1])
    margin = np.array([800.0, 900.0, 1000.0, 1100.0])  # softmax gives 1.0 four times
    logits = np.stack([np.zeros(4), margin], axis=1)
    assert auroc(labels, logits, 1).value == 0.75
    assert macro_auroc(labels, logits, None).value == 0.75


def test_tied_logits_fall_to_the_first_class() -> None:
    assert accuracy(np.array([0, 1]), np.zeros((2, 2)), None).value == 0.5
    assert sensitivity(np.array([0, 1]), np.zeros((2, 2)), 1).value == 0.0
