"""Each metric against scikit-learn and, for its interval, statsmodels or simulation."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.metrics import accuracy_score, confusion_matrix, recall_score, roc_auc_score
from statsmodels.stats.proportion import proportion_confint

from bedside.core.errors import BadInput
from bedside.core.types import Estimate
from bedside.metrics import evaluate, for_task
from bedside.metrics.binary import accuracy, auroc, sensitivity, specificity
from bedside.metrics.multiclass import macro_auroc, macro_sensitivity, macro_specificity


def sample(classes: int, n: int, seed: int, *, coarse: bool = False
           ) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.r_[np.arange(classes), np.arange(classes),
                   rng.integers(0, classes, n - 2 * classes)]
    logits = rng.normal(size=(n, classes)) + 1.5 * np.eye(classes)[labels]
    if coarse:
        logits = np.round(logits * 2) / 2  # ties, as an integer network gives
    return labels, logits.astype(np.float32)


def bounds(estimate: Estimate) -> tuple[float, float]:
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.low, estimate.high


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


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 4).flatmap(lambda k: st.tuples(
    st.just(k), st.lists(st.tuples(st.integers(0, k - 1),
                                   st.lists(st.integers(-4, 4), min_size=k, max_size=k)),
                         min_size=1, max_size=30))),
    st.booleans())
def test_every_estimate_is_whole(drawn: tuple[int, list[tuple[int, list[int]]]], named: bool
                                 ) -> None:
    classes, rows = drawn
    labels = np.array([label for label, _ in rows])
    logits = np.array([row for _, row in rows], dtype=np.float32)
    positive = classes - 1 if named else None
    found = evaluate(labels, logits, positive)
    order = np.random.default_rng(0).permutation(len(rows))
    shuffled = evaluate(labels[order], logits[order], positive)
    for name, estimate in found.items():
        if estimate.value is None:
            assert estimate.reason
            assert estimate.low is None
            assert estimate.high is None
            assert shuffled[name].value is None
            continue
        low, high = bounds(estimate)
        assert 0 <= low <= estimate.value <= high <= 1
        assert low < high
        assert shuffled[name].value == pytest.approx(estimate.value, abs=1e-12)
        assert bounds(shuffled[name]) == pytest.approx((low, high), abs=1e-9)


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


def test_for_task() -> None:
    assert for_task(2, 1) == ("accuracy", "sensitivity", "specificity", "auroc")
    macro = ("accuracy", "macro_sensitivity", "macro_specificity", "macro_auroc")
    assert for_task(2, None) == for_task(3, None) == for_task(3, 2) == macro
    for classes, positive in [(1, None), (2, 2), (2, -1)]:
        with pytest.raises(BadInput):
            for_task(classes, positive)


def test_naming_the_metrics_loads_no_scipy() -> None:
    code = ("import sys; from bedside.metrics import METRICS, for_task; for_task(2, 1); "
            "sys.exit('scipy' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_ten_thousand_images_and_twenty_variants_are_quick() -> None:
    labels, logits = sample(3, 10_000, 1)
    evaluate(labels, logits, None)  # imports
    start = time.process_time()
    for _ in range(20):
        evaluate(labels, logits, None)
        evaluate(labels % 2, logits[:, :2], 1)
    assert time.process_time() - start < 10
