"""Smallest and largest value of one image: the input of every estimator."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt


def extremes(values: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Return the smallest and the largest value.

    Raises:
        ValueError: a value is not finite. Python's ``min`` would pass over a NaN in silence.
    """
    low, high = float(values.min()), float(values.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError("a value is not finite")
    return low, high
