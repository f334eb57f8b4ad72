"""Spread of a study's results over training seeds, splits and calibration draws.

Splits of one data set share images, so that their results are correlated and the usual
variance of a mean is too small. Nadeau and Bengio (2003, Machine Learning 52:239) replace 1 / J
by 1 / J + n_test / n_train for J splits; other draws share everything but the draw and keep 1 / J.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from bedside.core.types import Estimate

LEVEL = 0.95


def mean(values: Sequence[float], test_by_train: float = 0.0, least: float = -1.0) -> Estimate:
    """Return the mean of J ≥ 1 results with a t interval (J − 1 degrees of freedom).

    Args:
        values: (J,) finite.
        test_by_train: n_test / n_train where the results are of redrawn splits, else 0.
        least: the least possible value, 0 for a metric and −1 for a difference; 1 is the most.
    """
    count, value = len(values), float(np.mean(values))
    if count < 2:
        return Estimate(value, n=count, reason="one repeat has no interval")
    half = (float(stats.t.ppf((1 + LEVEL) / 2, count - 1)) * _sd(values)
            * math.sqrt(1 / count + test_by_train))
    return Estimate(value, max(value - half, least), min(value + half, 1.0), count)


def sd(values: Sequence[float]) -> Estimate:
    """Return the standard deviation of J results with its χ² interval (J − 1 degrees of freedom).

    The interval assumes normal results; null where J < 2.
    """
    count = len(values)
    if count < 2:
        return Estimate(None, n=count, reason="one repeat has no spread")
    value = _sd(values)
    low, high = (math.sqrt((count - 1) / float(stats.chi2.ppf(p, count - 1)))
                 for p in ((1 + LEVEL) / 2, (1 - LEVEL) / 2))
    return Estimate(value, value * low, value * high, count)


def _sd(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1))


def corrected(validation: float, optimism: Estimate) -> Estimate:
    """Return a validation value less its optimism, with the interval of the optimism."""
    if optimism.value is None:
        return Estimate(None, n=optimism.n, reason=optimism.reason)
    low, high = (None if v is None else min(max(validation - v, 0.0), 1.0)
                 for v in (optimism.high, optimism.low))
    return Estimate(validation - optimism.value, low, high, optimism.n, optimism.reason)
