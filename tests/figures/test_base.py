"""A figure's data on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bedside.core.errors import BadInput
from bedside.figures.base import FigureData


def test_figure_data_comes_back_as_it_was(tmp_path: Path) -> None:
    data = FigureData({"a": np.arange(3, dtype=np.int8)},
                      {"n": np.float32(0.5), "shape": (1, 2), "t": {"x": np.int64(3)}})
    data.save(tmp_path)
    again = FigureData.load(tmp_path)
    assert again.facts == {"n": 0.5, "shape": [1, 2], "t": {"x": 3}}
    assert again.arrays["a"].dtype == np.int8 and again.unavailable is None


def test_facts_that_are_not_finite_and_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        FigureData(facts={"x": float("nan")}).save(tmp_path)
    with pytest.raises(ValueError):
        FigureData({"a": np.array([{}], dtype=object)}).save(tmp_path)


def test_damaged_data_is_one_message(tmp_path: Path) -> None:
    FigureData({"a": np.zeros(2)}).save(tmp_path)
    (tmp_path / "data.npz").write_bytes(b"PK not a zip")
    with pytest.raises(BadInput, match=r"data\.npz"):
        FigureData.load(tmp_path)
    (tmp_path / "facts.json").write_text(json.dumps([1]))
    with pytest.raises(BadInput, match=r"facts\.json"):
        FigureData.load(tmp_path)
