"""Similarity of two class activation maps, and agreement of a map with the lesion.

An undefined number (a flat map, no lesion outline) is None; :func:`mean` counts how many were left
out of an average.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from bedside.core.types import Estimate
from bedside.metrics.bootstrap import mean_interval

Plane = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]

WINDOW_PX = 7


def iou(one: Mask, other: Mask) -> float | None:
    """Return the intersection over union of two masks (H, W); None where both are empty."""
    union = int(np.count_nonzero(one | other))
    return int(np.count_nonzero(one & other)) / union if union else None


def pointing_hit(plane: Plane, lesion: Mask) -> bool | None:
    """Return whether the map's highest point lies in the lesion; None for a flat map or no lesion.

    Source: Zhang et al. 2016, ECCV (the pointing game). Of several highest points the first.

    Args:
        plane: (H, W).
        lesion: (H, W).
    """
    if not lesion.any() or float(np.ptp(plane)) == 0.0:
        return None
    return bool(lesion.ravel()[int(np.argmax(plane))])


def rank_correlation(reference: Plane, other: Plane) -> float | None:
    """Return Spearman's correlation of two maps' values; None where one is constant."""
    if reference.size < 2 or float(np.ptp(reference)) == 0.0 or float(np.ptp(other)) == 0.0:
        return None
    return float(spearmanr(reference.ravel(), other.ravel()).statistic)


def similarity(reference: Plane, other: Plane) -> float | None:
    """Return the structural similarity (Wang et al. 2004) on the reference's range.

    Args:
        reference: (H, W).
        other: (H, W).

    Returns:
        A value in [−1, 1], 1 for equal maps; None for a flat reference or fewer than 7 pixels.
    """
    import skimage.metrics

    measure: Any = skimage.metrics.structural_similarity

    span = float(np.ptp(reference))
    if span == 0.0 or min(reference.shape) < WINDOW_PX:
        return None
    return float(measure(
        reference.astype(np.float64), other.astype(np.float64), win_size=WINDOW_PX,
        data_range=span))


def mean(values: Sequence[float | None], low: float, high: float, none: str) -> Estimate:
    """Return the mean of the defined values, with a 95% interval over images.

    Args:
        values: each in [low, high], or None.
        low: the least possible value.
        high: the largest possible value.
        none: the reason where no value exists.
    """
    known = np.asarray([v for v in values if v is not None], np.float64)
    if not known.size:
        return Estimate(None, n=0, reason=none)
    below, above = mean_interval(np.clip((known - low) / (high - low), 0.0, 1.0))
    value = float(known.mean())
    return Estimate(value, min(low + below * (high - low), value),
                    max(low + above * (high - low), value), int(known.size))


def change(before: Sequence[float | None], after: Sequence[float | None], none: str) -> Estimate:
    """Return the mean of after − before over the images that have both, for values in [0, 1]."""
    return mean([None if a is None or b is None else b - a
                 for a, b in zip(before, after, strict=True)], -1.0, 1.0, none)
