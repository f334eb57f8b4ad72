"""Macro-averaged metrics against scikit-learn and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from metric_samples import bounds, sample
from scipy.special import softmax
from sklearn.metrics import accuracy_score, confusion_matrix, recall_score, roc_auc_score

from bedside.metrics import evaluate
from bedside.metrics.binary import auroc
from bedside.metrics.multiclass import macro_auroc, macro_sensitivity, macro_specificity


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("coarse", [False, True])
def test_macro_metrics_agree_with_sklearn(classes: int, coarse: bool) -> None:
    labels, logits = sample(classes, 150, classes, coarse=coarse)
    logits = logits.astype(np.float64)
    called = logits.argmax(axis=1)
    found = evaluate(labels, logits, None)
    assert list(found) == ["accuracy", "macro_sensitivity", "macro_specificity", "macro_auroc"]
    assert found["accuracy"].value == pytest.approx(accuracy_score(labels, called))
    assert found["macro_sensitivity"].value == pytest.approx(
        recall_score(labels, called, average="macro"))
    per_class = []
    for k in range(classes):
        tn, fp, _, _ = confusion_matrix(labels == k, called == k).ravel()
        per_class.append(tn / (tn + fp))
    assert found["macro_specificity"].value == pytest.approx(np.mean(per_class))
    probability = softmax(logits, axis=1).round(12)  # rounding must not break ties
    if classes == 2:
        expected = roc_auc_score(labels, probability[:, 1])
    else:
        expected = roc_auc_score(labels, probability, multi_class="ovr", average="macro")
    assert found["macro_auroc"].value == pytest.approx(expected, abs=1e-9)
    assert all(e.n == 150 for e in found.values())


def test_macro_of_two_classes_is_the_binary_auc_with_its_interval() -> None:
    labels, logits = sample(2, 80, 11)
    one, both = auroc(labels, logits, 1), macro_auroc(labels, logits, None)
    assert both.value == pytest.approx(one.value)
    assert bounds(both) == pytest.approx(bounds(one))


def test_an_auc_without_variance_counts_as_fully_correlated_in_the_mean() -> None:
    # Classes 0 and 1 are separated perfectly, class 2 is not: every pair has an unknown.
    labels = np.repeat([0, 1, 2], [4, 5, 6])
    logits = np.array([[5, 0, 4.9], [0, 5, 4.9], [0, 0, 0]])[labels]
    logits[9:, 2] = [-1, 2, 1, -2, 3, 2]
    parts = [auroc(labels, logits, k) for k in range(3)]
    assert [part.value == 1 for part in parts] == [True, True, False]
    expected = np.mean([bounds(part) for part in parts], axis=0)
    assert bounds(macro_auroc(labels, logits, None)) == pytest.approx(tuple(expected))


@pytest.mark.parametrize("metric", [macro_sensitivity, macro_specificity, macro_auroc])
def test_macro_intervals_cover_as_often_as_they_say(metric) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(8)
    counts = np.array([15, 25, 40])

    def draw(times: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.repeat(np.arange(3), counts * times)
        return labels, rng.normal(size=(len(labels), 3)) + 1.6 * np.eye(3)[labels]

    truth = metric(*draw(4000), None).value
    hits = 0
    for _ in range(300):
        low, high = bounds(metric(*draw(1), None))
        hits += low <= truth <= high
    # MOVER errs on the wide side for specificity, whose parts correlate negatively.
    assert 0.92 <= hits / 300 <= 1.0
