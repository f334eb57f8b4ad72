"""Clipped activations and the bias of the logits."""

from __future__ import annotations

import numpy as np
import pytest
from analyse_fixture import figure_data

from bedside.core.types import Task
from bedside.figures import clipping
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
