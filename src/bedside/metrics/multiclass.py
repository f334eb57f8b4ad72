"""Macro one-vs-rest means: each class in turn is the positive one, with equal weight.

The signature and BadInput are those of :mod:`bedside.metrics.binary`; n is all images. A mean is
undefined where a class has no image, because a mean over fewer classes is a different quantity. All
intervals are analytic (no resampling, no seed).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bedside.core.types import Estimate
from bedside.metrics import design
from bedside.metrics.design import Ints
from bedside.metrics.inputs import Floats, Labels, checked, fault, log_odds
from bedside.metrics.stats import auc_parts, mean_interval, share


def macro_sensitivity(labels: Labels, logits: npt.NDArray[np.floating[Any]],
                      positive: int | None, clusters: Ints | None = None) -> Estimate:
    """Return the mean over classes of the share of a class's images that are recognised.

    Interval: MOVER on Wilson's intervals. The shares come from disjoint images, so they are
    independent.
    """
    return _mean_share(*checked(labels, logits, positive), clusters, own=True)


def macro_specificity(labels: Labels, logits: npt.NDArray[np.floating[Any]],
                      positive: int | None, clusters: Ints | None = None) -> Estimate:
    """Return the mean over classes of the share of other images not assigned to the class.

    Interval: MOVER on Wilson's intervals as if the shares were independent. That errs on the wide
    side: an image is taken for one class only, so false positives of two classes never correlate
    positively (and for two classes not at all).
    """
    return _mean_share(*checked(labels, logits, positive), clusters, own=False)


def macro_auroc(labels: Labels, logits: npt.NDArray[np.floating[Any]], positive: int | None,
                clusters: Ints | None = None) -> Estimate:
    """Return the mean over classes of the AUC of a class's softmax log-odds against the rest.

    Interval: MOVER on the interval of each AUC (:func:`bedside.metrics.stats.auc_interval`), with
    the correlation of the AUCs estimated from the placement values. For two classes it equals the
    interval of the one AUC.
    """
    y, z = checked(labels, logits, positive)
    reason = _undefined(y, z)
    if reason:
        return Estimate(None, n=len(y), reason=reason)
    classes = z.shape[1]
    influence = np.empty((classes, len(y)))
    values, lows, highs = np.empty(classes), np.empty(classes), np.empty(classes)
    for k in range(classes):
        one, influence[k] = auc_parts(y == k, log_odds(z, k), clusters)
        values[k], lows[k], highs[k] = one.value, one.low, one.high
    if clusters is not None:
        influence = np.stack([design.by_patient(row, clusters) for row in influence])
    low, high = mean_interval(values, lows, highs, _correlation(influence))
    mean = float(values.mean())
    return Estimate(mean, min(low, mean), max(high, mean), len(y))


def _correlation(influence: Floats) -> Floats:
    """Return the correlation (K, K) of the AUCs from the influence (K, n) of every image.

    Covariance between AUCs with different positive classes is the sum over images of the products
    of their influences; with equal positive classes that is DeLong's estimator, up to n − 1 against
    n. Where a variance is 0 the correlation is unknown and 1, the widest, is taken.
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


def _mean_share(y: Labels, z: Floats, clusters: Ints | None, own: bool) -> Estimate:
    """Return the mean over classes of the share of its own, or of other, images told rightly."""
    reason = _undefined(y, z)
    if reason:
        return Estimate(None, n=len(y), reason=reason)
    called = z.argmax(axis=1)
    shares = []
    for k in range(z.shape[1]):
        chosen = (y == k) == own
        shares.append(share(((called == k) == own)[chosen], design.of(clusters, chosen), ""))
    values = np.array([e.value for e in shares], np.float64)
    low, high = mean_interval(values, np.array([e.low for e in shares], np.float64),
                              np.array([e.high for e in shares], np.float64))
    mean = float(values.mean())
    return Estimate(mean, min(low, mean), max(high, mean), len(y))
