"""Checked inputs, and log-odds against the softmax."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logit, softmax

from bedside.core.errors import BadInput
from bedside.metrics.inputs import checked, fault, log_odds


@pytest.mark.parametrize("classes", [2, 4])
def test_log_odds_are_those_of_the_softmax(classes: int) -> None:
    logits = np.random.default_rng(0).normal(size=(50, classes))
    for k in range(classes):
        assert log_odds(logits, k) == pytest.approx(logit(softmax(logits, axis=1)[:, k]), abs=1e-8)


def test_mistakes_are_bad_input_and_broken_logits_a_reason() -> None:
    with pytest.raises(BadInput, match="shape"):
        checked(np.zeros(3, np.int64), np.zeros((2, 2)), 1)
    with pytest.raises(BadInput, match="labels from 0 to 2"):
        checked(np.array([0, 2]), np.zeros((2, 2)), 1)
    assert fault(np.array([[0.0, np.nan], [0.0, 1.0]])) == "1 of 2 images have non-finite logits"
    assert fault(np.zeros((0, 2))) == "no images"
