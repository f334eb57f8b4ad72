"""The table of metrics: evaluation of all, selection by task."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_samples import bounds, sample

from bedside.core.errors import BadInput
from bedside.metrics import evaluate, for_task


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


def test_for_task() -> None:
    assert for_task(2, 1) == ("accuracy", "sensitivity", "specificity", "auroc")
    macro = ("accuracy", "macro_sensitivity", "macro_specificity", "macro_auroc")
    assert for_task(2, None) == for_task(3, None) == for_task(3, 2) == macro
    for classes, positive in [(1, None), (2, 2), (2, -1)]:
        with pytest.raises(BadInput):
            for_task(classes, positive)


def test_ten_thousand_images_and_twenty_variants_are_quick() -> None:
    labels, logits = sample(3, 10_000, 1)
    evaluate(labels, logits, None)  # imports
    start = time.process_time()
    for _ in range(20):
        evaluate(labels, logits, None)
        evaluate(labels % 2, logits[:, :2], 1)
    assert time.process_time() - start < 10
