"""Figure 1: the window behind an output value, against SciPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from analyse_fixture import figure_data

from bedside.figures import (
    first_conv,
)
from bedside.figures.base import NotAvailable


@pytest.mark.parametrize(("stride", "same"), [(1, True), (2, True), (1, False), (2, False)])
def test_window_is_found_where_scipy_puts_it(stride: int, same: bool) -> None:
    signal = pytest.importorskip("scipy.signal")
    rng = np.random.default_rng(0)
    image = rng.normal(size=(13, 14)).astype(np.float32)
    weights = rng.normal(size=(3, 3, 3)).astype(np.float32)
    bias = rng.normal(size=3).astype(np.float32)
    total = [max((-(-s // stride) - 1) * stride + 3 - s, 0) for s in image.shape]
    padded = np.pad(image, [(t // 2, t - t // 2) for t in total]) if same else image
    out = np.stack([signal.correlate2d(padded, w, "valid")[::stride, ::stride] + b
                    for w, b in zip(weights, bias, strict=True)], axis=-1)
    window, patch = first_conv.find_window(image[..., None], np.maximum(out, 0),
                                           weights[..., None], bias, (2, 3))
    assert window.stride == (stride, stride)
    assert np.array_equal(patch[..., 0], padded[2 * stride:2 * stride + 3,
                                                3 * stride:3 * stride + 3])


def test_window_that_does_not_explain_the_output_is_refused() -> None:
    image, weights = np.ones((8, 8, 1), np.float32), np.ones((1, 3, 3, 1), np.float32)
    with pytest.raises(NotAvailable):
        first_conv.find_window(image, np.full((8, 8, 1), 5.5, np.float32), weights,
                               np.zeros(1, np.float32), (4, 4))


def test_worked_numbers_are_the_image_and_the_file(run: Path) -> None:
    data = figure_data(run, "first_conv")
    found = data.facts
    image = data.arrays["image"].astype(np.float64)
    top, left = found["patch_top_px"], found["patch_left_px"]
    window = image[top:top + 5, left:left + 5] / image.max()
    total = float((window * data.arrays["filters"][0, :, :, 0]).sum())
    assert total == pytest.approx(found["sum_of_products"], abs=0.01)
    assert max(found["sum_of_products"] + found["bias"], 0) == pytest.approx(
        found["output"], abs=1e-5)
    assert data.arrays["filters"].shape == (6, 5, 5, 1)


def test_cut_is_zero_outside() -> None:
    image = np.arange(12.0).reshape(3, 4, 1) + 1
    window = first_conv.cut(image, -1, 3, 3, 3)[..., 0]
    assert window.tolist() == [[0, 0, 0], [4, 0, 0], [8, 0, 0]]
