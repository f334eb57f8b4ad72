"""Agreement of two sets of logits, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bedside.metrics.agreement import agree


def test_agreement_by_hand() -> None:
    reference = np.array([[0.0, 2.0], [1.0, 0.0]], np.float32)
    other = np.array([[0.0, 1.0], [0.0, 1.0]], np.float32)
    found = agree(other, reference)
    assert (found.n, found.changed) == (2, 1)
    assert found.rmse == pytest.approx(np.sqrt(3 / 4))
