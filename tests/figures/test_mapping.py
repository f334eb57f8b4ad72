"""Figure 3: the quantization formulas, and what the files hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from analyse_fixture import figure_data
from hypothesis import given
from hypothesis import strategies as st

from bedside.figures import (
    mapping,
)

reals = st.floats(-1e4, 1e4, allow_nan=False, width=32)


def test_golden_case_of_the_papers_figure_3() -> None:
    scale, zero = mapping.asymmetric(-0.5, 1.5)
    assert scale == pytest.approx(2 / 255, rel=1e-12)
    assert zero == -64


@given(reals, reals)
def test_asymmetric_holds_zero_exactly_and_errs_half_a_step(a: float, b: float) -> None:
    low, high = min(a, b, 0.0), max(a, b, 0.0)
    if high - low < 1e-6:
        return
    scale, zero = mapping.asymmetric(min(a, b), max(a, b))
    assert -128 <= zero <= 127
    assert mapping.quantize(np.zeros(1), scale, zero)[0] == zero
    values = np.linspace(low, high, 41)
    again = mapping.dequantize(mapping.quantize(values, scale, zero), scale, zero)
    # At the ends the rounded zero point may cost half a step more.
    assert np.abs(again - values).max() <= scale * 1.0001


@given(st.lists(reals, min_size=1, max_size=30))
def test_symmetric_weights_stay_in_127_and_keep_their_sign(values: list[float]) -> None:
    weights = np.asarray(values)
    if np.abs(weights).max() < 1e-6:
        return
    scale = mapping.symmetric(float(np.abs(weights).max()))
    codes = mapping.quantize(weights, scale, 0, -127, 127)
    assert np.abs(codes).max() == 127
    assert np.abs(weights - scale * codes).max() <= scale / 2 * (1 + 1e-9)
    assert np.array_equal(mapping.quantize(-weights, scale, 0, -127, 127), -codes)


def test_empty_ranges_are_refused() -> None:
    with pytest.raises(ValueError):
        mapping.asymmetric(0.0, 0.0)
    with pytest.raises(ValueError):
        mapping.symmetric(0.0)


def test_files_follow_the_formulas(run: Path) -> None:
    found = figure_data(run, "mapping").facts
    weights, activations = found["weights"], found["activations"]
    assert weights["per_channel"] and weights["zero_point"] == 0
    assert weights["scale_relative_error"] < 1e-5
    assert weights["codes_differing_from_formula"] == 0
    assert weights["codes_low"] >= -127 and weights["codes_high"] <= 127
    assert activations["scale"] == pytest.approx(activations["scale_by_formula"], rel=1e-4)
    assert activations["zero_point"] == activations["zero_point_by_formula"]
    assert activations["largest_rounding_error"] <= activations["scale"] * 0.5001
