"""Macro one-vs-rest means: each class in turn is the positive one, all classes weigh alike.

The signature and BadInput are those of :mod:`bedside.metrics.binary`; n is all images. A mean
is undefined where a class has no image, since a mean over fewer classes answers another
question. All intervals are analytic (no resampling, no seed) and treat images as independent.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bedside.metrics.inputs import Floats, Labels, checked, fault, log_odds
from bedside.metrics.stats import auc_interval, mean_interval, placements, wilson
from bedside.types import Estimate


def macro_sensitivity(labels: Labels, logits: npt.NDArray[np.floating[Any]],
                      positive: int | None) -> Estimate:
    """Mean over classes of the share of a class's images that are recognised.

    Interval: MOVER on Wilson's intervals. The shares come from disjoint images, so they are
    independent.
    """
    y, z = checked(labels, logits, positive)
    reason = _undefined(y, z)
    if reason:
        return Estimate(None, n=len(y), reason=reason)
    table = _confusion(y, z)
    return _mean_proportion(np.diag(table), table.sum(axis=1), len(y))


def macro_specificity(labels: Labels, logits: npt.NDArray[np.floating[Any]],
                      positive: int | None) -> Estimate:
    """Mean over classes of the share of other classes' images not taken for the class.

    Interval: MOVER on Wilson's intervals as if the shares were independent. That errs on the
    wide side: an image is taken for one class only, so false positives of two classes never
    correlate positively (and for two classes not at all).
    """
    y, z = checked(labels, logits, positive)
    reason = _undefined(y, z)
    if reason:
        return Estimate(None, n=len(y), reason=reason)
    table = _confusion(y, z)
    others = len(y) - table.sum(axis=1)
    return _mean_proportion(others - (table.sum(axis=0) - np.diag(table)), others, len(y))


def macro_auroc(labels: Labels, logits: npt.NDArray[np.floating[Any]], positive: int | None
                ) -> Estimate:
    """Mean over classes of the AUC of a class's softmax log-odds against the rest.

    Interval: MOVER on the interval of each AUC (:func:`bedside.metrics.stats.auc_interval`),
    with the correlation of the AUCs estimated from the images' placement values. For two
    classes it equals the interval of the one AUC.
    """
    y, z = checked(labels, logits, positive)
    reason = _undefined(y, z)
    if reason:
        return Estimate(None, n=len(y), reason=reason)
    classes = z.shape[1]
    influence = np.empty((classes, len(y)))
    values, lows, highs = np.empty(classes), np.empty(classes), np.empty(classes)
    for k in range(classes):
        values[k], variance, influence[k] = _one_against_rest(y == k, log_odds(z, k))
        count = int((y == k).sum())
        lows[k], highs[k] = auc_interval(float(values[k]), variance, count, len(y) - count)
    low, high = mean_interval(values, lows, highs, _correlation(influence))
    mean = float(values.mean())
    return Estimate(mean, min(low, mean), max(high, mean), len(y))


def _one_against_rest(mine: npt.NDArray[np.bool_], scores: Floats
                      ) -> tuple[float, float | None, Floats]:
    """AUC, DeLong's variance (None where a side has one image) and each image's influence."""
    above, below = placements(mine, scores[None])
    m, n = above.shape[1], below.shape[1]
    auc = float(above.sum() / (m * n))
    influence = np.empty(len(scores))
    influence[mine] = (above[0] - above[0].mean()) / (n * m)
    influence[~mine] = (below[0] - below[0].mean()) / (m * n)
    if min(m, n) < 2:
        return auc, None, influence
    variance = float(np.square(influence[mine]).sum() * m / (m - 1)
                     + np.square(influence[~mine]).sum() * n / (n - 1))
    return auc, variance, influence


def _correlation(influence: Floats) -> Floats:
    """Correlation (K, K) of the AUCs from the influence (K, n) of every image.

    Covariance between AUCs with different positive classes is the sum over images of the
    products of their influences; with equal positive classes that is DeLong's estimator, up to
    n − 1 against n. Where a variance is 0 the correlation is unknown and 1, the widest, is
    taken.
    """
    covariance = influence @ influence.T
    scale = np.sqrt(np.diag(covariance))
    unknown = scale == 0
    scale = np.where(unknown, 1.0, scale)
    matrix: Floats = np.clip(covariance / np.outer(scale, scale), -1.0, 1.0)
    matrix[unknown, :] = 1.0
    matrix[:, unknown] = 1.0
    return matrix


def _undefined(y: Labels, z: Floats) -> str | None:
    reason = fault(z)
    if reason:
        return reason
    absent = np.flatnonzero(np.bincount(y, minlength=z.shape[1]) == 0)
    if len(absent):
        return f"no images of class {', '.join(str(k) for k in absent)} (counting from 0)"
    return None


def _confusion(y: Labels, z: Floats) -> npt.NDArray[np.int64]:
    """Counts (K, K): row the label, column the decision."""
    classes = z.shape[1]
    flat = np.bincount(y * classes + z.argmax(axis=1), minlength=classes * classes)
    return flat.reshape(classes, classes).astype(np.int64)


def _mean_proportion(successes: npt.NDArray[np.int64], totals: npt.NDArray[np.int64], n: int
                     ) -> Estimate:
    values = successes / totals
    bounds = np.array([wilson(int(s), int(t)) for s, t in zip(successes, totals, strict=True)])
    low, high = mean_interval(values, bounds[:, 0], bounds[:, 1])
    mean = float(values.mean())
    return Estimate(mean, min(low, mean), max(high, mean), n)
