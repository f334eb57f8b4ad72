"""Outliers of size and brightness."""

from __future__ import annotations

import numpy as np

from bedside.stages.data import outliers


def test_outliers_of_size_and_brightness() -> None:
    files = [f"{i}" for i in range(100)]
    widths = [512.0] * 98 + [4000.0, 500.0]
    means = [*np.random.default_rng(0).normal(80, 5, 99).tolist(), 250.0]
    far = outliers.outliers(files, {"width_px": widths, "mean": means}, ("width_px",))
    assert [(o.file, o.what) for o in far] == [("98", "width_px"), ("99", "mean")]
