"""Paired differences of macro one-vs-rest means, for tasks without a positive class."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr

from bedside.core.evidence import PairedTest
from bedside.core.types import Estimate
from bedside.metrics.design import Ints, by_patient, effective, of, scatter
from bedside.metrics.inputs import Floats, Labels, log_odds
from bedside.metrics.paired import Bools, Discordance
from bedside.metrics.paired_auc import difference_test
from bedside.metrics.spread import Spread
from bedside.metrics.stats import ALPHA, auc_influence

FARTHEST = 8.0  # normal quantiles beyond which a p-value is 6e-16


def absent(labels: Labels, classes: int) -> str | None:
    """Return why a macro mean is undefined, or None."""
    none = np.flatnonzero(np.bincount(labels, minlength=classes) == 0)
    if not len(none):
        return None
    return f"no images of class {', '.join(str(k) for k in none)} (counting from 0)"


def sensitivity(labels: Labels, old: Bools, new: Bools, classes: int, margin: float,
                clusters: Ints | None = None) -> PairedTest:
    """Test the mean over classes of the change of recall; MOVER on each class's Tango interval.

    Classes are disjoint images and so independent (Zou and Donner 2008, Stat. Med. 27:1693), but
    for patients with images of several: their changes correlate as their sums do. A p-value is
    the level at which the interval reaches the hypothesis, so that both agree at every level.

    Args:
        labels: (n,) in [0, K).
        old: (n,) whether the old model is right.
        new: the same of the new model.
        classes: K.
        margin: the largest loss that does not matter.
        clusters: (n,) cluster numbers, or None where every image is its own patient.
    """
    name, n = "macro_sensitivity", len(labels)
    method = "MOVER on Tango" + ("" if clusters is None else " over the effective sample size")
    reason = absent(labels, classes)
    if reason is not None:
        return PairedTest(name, method, None, None, Estimate(None, n=n, reason=reason),
                          margin=margin, reason=reason)
    sides = [labels == k for k in range(classes)]
    found = [Discordance.of(old[s], new[s], of(clusters, s)) for s in sides]
    change = new.astype(np.float64) - old
    values = np.array([change[s].mean() for s in sides])
    correlation = np.eye(classes)
    if clusters is not None:
        correlation = correlated(np.stack([by_patient(
            np.where(s, change - v, 0.0) / s.sum(), clusters)
            for s, v in zip(sides, values, strict=True)]))
    mean, before = float(values.mean()), float(np.mean([old[s].mean() for s in sides]))

    def bounds(alpha: float) -> tuple[float, float]:
        lows, highs = np.array([d.interval(alpha) for d in found]).T
        down, up = values - lows, highs - values
        return (mean - math.sqrt(max(float(down @ correlation @ down), 0.0)) / classes,
                mean + math.sqrt(max(float(up @ correlation @ up), 0.0)) / classes)

    low, high = bounds(ALPHA)
    cases = min(max(int(d.pairs.size + 1e-9), 1) for d in found)
    return PairedTest(
        name, method, before, before + mean, Estimate(mean, low, high, n),
        int((new & ~old).sum()), int((old & ~new).sum()), None, margin,
        _level(bounds, mean, -margin), 1.0 - _level(bounds, mean, 0.0) if mean else None, low,
        n if clusters is None else cases,
        None if clusters is None else len(np.unique(clusters)),
        "a mean of several classes has no exact test", high)


def _level(bounds: Callable[[float], tuple[float, float]], value: float, hypothesis: float
           ) -> float:
    """Return the one-sided p-value of "at most ``hypothesis``": where a bound reaches it."""
    side = 0 if value >= hypothesis else 1

    def gap(z: float) -> float:
        return bounds(float(2 * ndtr(-z)))[side] - hypothesis

    # A bound that never reaches the hypothesis, or always: no image is left on that side.
    if abs(value - hypothesis) < 1e-12:
        tail = 0.5
    elif gap(FARTHEST) * (1 if side == 0 else -1) > 0:
        tail = float(ndtr(-FARTHEST))
    else:
        tail = float(ndtr(-brentq(gap, 1e-9, FARTHEST, xtol=1e-6)))
    return tail if side == 0 else 1.0 - tail


def correlated(influence: Floats) -> Floats:
    """Return the correlation (K, K) of K means from their influence by patient (K, patients).

    Where a variance is 0 the correlation is unknown and 1, the widest, is taken.
    """
    covariance = influence @ influence.T
    scale = np.sqrt(np.diag(covariance))
    unknown = scale == 0
    scale = np.where(unknown, 1.0, scale)
    matrix: Floats = np.clip(covariance / np.outer(scale, scale), -1.0, 1.0)
    matrix[unknown, :] = 1.0
    matrix[:, unknown] = 1.0
    np.fill_diagonal(matrix, 1.0)
    return matrix


def auroc(labels: Labels, old: Floats, new: Floats, margin: float, clusters: Ints | None = None
          ) -> PairedTest:
    """Test the mean over classes of the change of one-vs-rest AUC, from each image's influence.

    Args:
        labels: (n,) in [0, K).
        old: (n, K) logits.
        new: (n, K) logits.
        margin: the largest loss that does not matter.
        clusters: (n,) cluster numbers, or None where every image is its own patient.
    """
    name, classes, n = "macro_auroc", old.shape[1], len(labels)
    method = "DeLong, macro one-vs-rest" + ("" if clusters is None else ", over patients")
    reason = absent(labels, classes)
    if reason is not None:
        return PairedTest(name, method, None, None, Estimate(None, n=n, reason=reason),
                          margin=margin, reason=reason)
    means, influence = [], np.zeros(n)
    for logits, sign in ((old, -1.0), (new, 1.0)):
        areas = []
        for k in range(classes):
            area, part = auc_influence(labels == k, log_odds(logits, k))
            areas.append(area)
            influence += sign * part / classes
        means.append(float(np.mean(areas)))
    whose = np.arange(n) if clusters is None else clusters
    sides = [whose[labels == k] for k in range(classes)]
    rarest = min(effective(side) for side in sides)
    # The rarest class counts most in a mean over classes, and so do its degrees of freedom.
    return difference_test(
        name, method, means[0], means[1], Spread(scatter(influence, whose), 0.0,
                                                 max(rarest - 1, 1)), rarest, n, margin,
        None if clusters is None else min(len(np.unique(side)) for side in sides))
