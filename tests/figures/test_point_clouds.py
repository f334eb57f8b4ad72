"""Figure 9: logits of the original and each scheme."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from analyse_fixture import figure_data

from bedside.figures import (
    point_clouds,
)


def test_cloud_facts_by_hand() -> None:
    before = np.array([[0.0, 2.0], [1.0, 0.0], [3.0, 0.0]], np.float32)
    after = np.array([[0.0, 3.0], [0.0, 1.0], [3.0, 0.0]], np.float32)
    found = point_clouds.compare(before, after, np.array([1, 0, 1]))
    assert found["rmse"] == pytest.approx(np.sqrt(3 / 6))
    assert found["bias"] == pytest.approx(1 / 3)
    assert (found["flips"], found["right"], found["right_to_wrong"]) == (1, 1, 1)
    assert point_clouds.confidence(np.array([[1, 5, 3]], np.float32)).tolist() == [2.0]


def test_cloud_is_the_test_split_in_one_order(run: Path) -> None:
    data = figure_data(run, "point_clouds")
    assert data.facts["split"] == "test" and data.facts["n"] == 6
    base, half = data.arrays["logits:float32"], data.arrays["logits:float16"]
    assert np.abs(base - half).max() < 1e-3
