"""Figure 4: number formats of each file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from analyse_fixture import figure_data

from bedside.figures import (
    operations,
)


def test_operations_name_the_formats_of_each_file(run: Path) -> None:
    rows = figure_data(run, "operations").facts["schemes"]
    assert [rows[k]["kind"] for k in ("float32", "float16", "dynamic", "int8")] == [
        "float", "float", "hybrid", "integer"]
    assert rows["float16"]["weights"]["dtype"] == "float16"
    assert rows["int8"]["bias"]["dtype"] == "int32" and rows["int8"]["quantize_before"]
    assert rows["int8"]["dequantize_at_end"] and not rows["dynamic"]["dequantize_at_end"]


def test_biases_cut_at_the_end_of_int32_are_counted(run: Path) -> None:
    limits = np.iinfo(np.int32)
    codes = np.array([limits.min, limits.min + 1, -5, 0, limits.max - 1, limits.max], np.int32)
    assert operations.saturated(codes) == 3
    rows = figure_data(run, "operations").facts["schemes"]
    assert rows["int8"]["integer_biases"] == 8 + 8 + 8 + 8 + 8 + 12 + 2
    assert rows["int8"]["saturated_biases"] == rows["float32"]["integer_biases"] == 0
