"""Change of the logits by a variant, and the share of it that one cause explains.

A change common to all logits of an image alters no probability, so it is taken out first.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from bedside.core.types import Estimate
from bedside.metrics import design

Floats = npt.NDArray[np.float64]


def squared(before: Floats, after: Floats) -> Floats:
    """Return each image's mean squared change of the logits, (n,), less the common change.

    Args:
        before: (n, K) logits.
        after: (n, K) of the same images.
    """
    change = np.subtract(after, before, dtype=np.float64)
    change -= change.mean(axis=1, keepdims=True)
    found: Floats = np.square(change).mean(axis=1)
    return found


def root_mean_square(values: Floats, clusters: design.Ints | None) -> Estimate:
    """Return the square root of the mean of squares (n,), with a 95% interval over patients."""
    mean = ratio(values, np.ones_like(values), clusters)
    if mean.value is None:
        return mean
    return Estimate(math.sqrt(mean.value), None if mean.low is None else math.sqrt(mean.low),
                    None if mean.high is None else math.sqrt(mean.high), mean.n, mean.reason)


def ratio(part: Floats, whole: Floats, clusters: design.Ints | None) -> Estimate:
    """Return mean(part) / mean(whole) of the same images, with a paired 95% interval.

    The linearised variance of a ratio on the logarithm's scale (Cochran 1977, Section 6.3), summed
    by patient, with Student's t.

    Args:
        part: (n,), 0 or more.
        whole: (n,), 0 or more.
        clusters: (n,) cluster numbers, None where every image is its own patient.
    """
    n = len(part)
    if n == 0 or float(whole.sum()) == 0.0:
        return Estimate(None, n=n, reason="no image" if n == 0 else
                        "the logits of no image change, so there is nothing to explain")
    value = float(part.sum() / whole.sum())
    numbers = np.arange(n, dtype=np.int64) if clusters is None else clusters
    patients = len(np.unique(numbers))
    if patients < 2 or value == 0.0:
        return Estimate(value, n=n, reason="one patient has no interval" if value else
                        "the logits of no image change, which has no interval")
    variance = design.scatter((part - value * whole) / whole.sum(), numbers)
    half = float(student.ppf(0.975, patients - 1)) * math.sqrt(variance) / value
    # exp overflows where nothing is known; a huge limit says the same.
    return Estimate(value, value * math.exp(-min(half, 500.0)),
                    value * math.exp(min(half, 500.0)), n)


def mean_change(values: Floats, clusters: design.Ints | None) -> Estimate:
    """Return the mean of signed changes (n,) with Student's 95% interval over patients."""
    n = len(values)
    if n == 0:
        return Estimate(None, n=0, reason="no image")
    mean = float(values.mean())
    numbers = np.arange(n, dtype=np.int64) if clusters is None else clusters
    patients = len(np.unique(numbers))
    if patients < 2:
        return Estimate(mean, n=n, reason="one patient has no interval")
    half = float(student.ppf(0.975, patients - 1)) * math.sqrt(
        design.scatter((values - mean) / n, numbers))
    return Estimate(mean, mean - half, mean + half, n)
