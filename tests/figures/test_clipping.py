"""Clipped activations and the bias of the logits."""

from __future__ import annotations

import numpy as np
import pytest
from analyse_fixture import figure_data

from bedside.core.types import Task
from bedside.figures import causes, clipping, inputs
from bedside.runfolder import stored
from bedside.runfolder.predictions import Predictions


def predictions(logits: np.ndarray) -> Predictions:
    n = len(logits)
    return Predictions(np.array([str(i) for i in range(n)]), np.array(["val"] * n),
                       np.zeros(n, np.int64), logits.astype(np.float32))


def test_bias_is_the_mean_shift_of_the_margin() -> None:
    base = np.array([[0.0, 2.0], [1.0, 0.0], [0.5, 0.0]])
    moved = base + np.array([0.0, 0.25])
    bias = clipping._bias({"float32": predictions(base), "int8": predictions(moved)}, "int8",
                          Task(("benign", "malignant"), "malignant"))
    assert bias["shift"] == pytest.approx(0.25)
    assert bias["confidence"] == pytest.approx((0.25 - 0.25 - 0.25) / 3)
    assert bias["shift_low"] <= 0.25 <= bias["shift_high"]


def test_a_share_per_layer_lies_between_0_and_1(run) -> None:
    facts = figure_data(run, "clipping").facts
    shares = [v for v in facts["variants"]["int8"]["clipped"] if v is not None]
    assert shares and all(0 <= v <= 1 for v in shares)


def test_the_causes_are_tested_on_the_same_validation_images(run) -> None:
    facts = figure_data(run, "clipping").facts
    assert list(facts["causes"]) == ["int8"]
    found = facts["causes"]["int8"]
    assert found["n"] == facts["images"] == sum(c.split == "val" for c in stored.cases(run))
    assert found["threshold"] == stored.operating_points(run, "tiny").locked.threshold_log_odds
    assert set(found["rows"]) == set(causes.NAMES)
    # Evaluated before, in a process of its own: the same file gives the same logits.
    saved = {k: stored.predictions(run, f"tiny-{k}", "cpu").of("val").logits
             for k in ("float32", "int8")}
    moved = np.diff(saved["int8"] - saved["float32"])[:, 0]
    assert found["rows"]["variant"]["shift"]["value"] == pytest.approx(moved.mean(), abs=1e-5)


def test_every_range_of_the_float_network_is_watched(run) -> None:
    original = inputs.original_of(run, "tiny")
    every, seen, ranges = clipping._watch(run, original, inputs.validation_cases(run))
    graph = inputs.variant_graph(run, original)
    assert set(ranges) == {t.name for t in graph.tensors if t.dtype == "float32" and not t.buffer}
    for layer, histogram in zip(every, seen, strict=True):
        assert ranges[layer.output] == (histogram.low, histogram.high)


def test_the_main_variant_and_the_one_that_clips_most_are_tested() -> None:
    table = {k: {"clipped": [None, v]} for k, v in (
        ("int8", 0.0), ("int8+mse", 0.1), ("int8+percentile", 0.3))}
    assert clipping._tested(table) == ["int8", "int8+percentile"]
