"""Bootstrap over patients: intervals where images of one patient are not independent.

Whole patients are drawn with replacement, so each resample is a vector of weights over the
images; every metric is computed from weighted counts, all models at once. Seeded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr
from scipy.stats import binom
from scipy.stats import t as student

from bedside.core.evidence import PairedTest
from bedside.core.types import Estimate
from bedside.metrics.design import effective, scatter
from bedside.metrics.paired import tango_interval, tango_z
from bedside.metrics.stats import Z

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

CHUNK = 100
METHOD = "bootstrap over patients"


@dataclass(frozen=True, slots=True)
class Resampled:
    """Values (resamples, models) by metric; NaN where a resample lacks what a metric needs."""

    values: dict[str, Floats]

    def spread(self, metric: str, old: int, new: int) -> tuple[float, float, float] | None:
        """Return the 2.5% and 97.5% points and the SD of new − old; None without any."""
        difference = self.values[metric][:, new] - self.values[metric][:, old]
        known = difference[np.isfinite(difference)]
        if len(known) < 20:
            return None
        low, high = np.percentile(known, [2.5, 97.5])
        return float(low), float(high), float(known.std(ddof=1))


def resample(labels01: Ints, scores: Floats, right: Bools, clusters: Ints, resamples: int,
             seed: int) -> Resampled:
    """Draw patients and compute accuracy, sensitivity, specificity and AUC of every model.

    Args:
        labels01: (n,) of 0 and 1.
        scores: (m, n), one row a model, higher for 1.
        right: (m, n), whether a model's decision is right.
        clusters: (n,) from 0 on, a number a patient.
        resamples: how many.
        seed: of the draw.
    """
    rng = np.random.default_rng(seed)
    positive = labels01 == 1
    places = [_order(s, positive) for s in scores]
    answers = right.T.astype(np.float32)
    parts: dict[str, list[Floats]] = {k: [] for k in ("accuracy", "sensitivity", "specificity",
                                                      "auroc")}
    for start in range(0, resamples, CHUNK):
        size = min(CHUNK, resamples - start)
        # Whole numbers below 2^24, which float32 adds exactly, in half the memory.
        weights = draw(rng, int(clusters.max()) + 1, size)[:, clusters]
        on, off = weights * positive, weights * ~positive
        for name, w in (("accuracy", weights), ("sensitivity", on), ("specificity", off)):
            total = w.sum(axis=1, keepdims=True)
            with np.errstate(invalid="ignore", divide="ignore"):
                parts[name].append((w @ answers / np.where(total > 0, total, np.nan)).astype(
                    np.float64))
        parts["auroc"].append(np.stack(
            [_auc(weights[:, positive], weights, *p) for p in places], axis=1))
    return Resampled({k: np.concatenate(v) for k, v in parts.items()})


def draw(rng: np.random.Generator, count: int, size: int) -> npt.NDArray[np.float32]:
    """Count how often each of ``count`` cases is drawn when ``count`` are, (size, count)."""
    chosen = rng.integers(0, count, (size, count)) + count * np.arange(size)[:, None]
    return np.bincount(chosen.ravel(), minlength=size * count).reshape(size, count).astype(
        np.float32)


def _order(scores: Floats, positive: Bools) -> tuple[Ints, Ints, Ints]:
    """Sort negatives by score, and count how many lie below, and not above, each positive."""
    off = np.flatnonzero(~positive)
    order = off[np.argsort(scores[off], kind="stable")]
    ranked, on = scores[order], scores[positive]
    return (order.astype(np.int64), np.searchsorted(ranked, on, side="left").astype(np.int64),
            np.searchsorted(ranked, on, side="right").astype(np.int64))


def _auc(on: npt.NDArray[np.float32], off: npt.NDArray[np.float32], order: Ints, below: Ints,
         upto: Ints) -> Floats:
    """Compute the weighted AUC (resamples,): weight of negatives below each positive.

    Args:
        on: (resamples, positives) weights.
        off: (resamples, n) weights of all images.
        order: from :func:`_order`, as are ``below`` and ``upto``.
    """
    running = np.zeros((len(on), len(order) + 1), np.float32)
    np.cumsum(off[:, order], axis=1, out=running[:, 1:])
    won = (np.einsum("ij,ij->i", on, running[:, below], dtype=np.float64)
           + np.einsum("ij,ij->i", on, running[:, upto], dtype=np.float64)) / 2
    pairs = on.sum(axis=1, dtype=np.float64) * running[:, -1]
    with np.errstate(invalid="ignore", divide="ignore"):
        areas: Floats = np.where(pairs > 0, won / np.where(pairs > 0, pairs, 1), np.nan)
    return areas


def clustered(test: PairedTest, spread: tuple[float, float, float] | None, counted: Ints,
              changes: Ints | None = None) -> PairedTest:
    """Replace a paired test's interval and tests over images by those over patients.

    Args:
        test: of the images as if they were independent.
        spread: from :meth:`Resampled.spread`.
        counted: cluster numbers of the images that the metric counts (for an AUC those of the
            class with fewer patients): of :func:`effective` independent cases there are.
        changes: (counted,) +1 gained, −1 lost, 0 as before, for the exact sign test over
            patients; None for an AUC.
    """
    value = test.difference.value
    cases, patients = effective(counted), len(np.unique(counted))
    if value is None or cases == 0:
        return test
    if spread is None:
        reason = f"{patients} patients are too few to resample"
        return replace(test, method=METHOD, p_value=None, p_noninferior=None, p_worse=None,
                       cases=cases, clusters=patients, excluded=-1.0, reason=reason,
                       difference=replace(test.difference, low=-1.0, high=1.0))
    low, high, sd = spread
    gained, lost = _balance(counted, changes, cases, value)
    p_value: float | None
    p_worse: float | None
    floor, ceiling = tango_interval(gained, lost, cases)
    if sd == 0:
        low, high = floor, ceiling
    p_value, p_worse = _sign(counted, changes) if changes is not None else (
        (None, None) if sd == 0 else (float(2 * ndtr(-abs(value) / sd)), float(ndtr(value / sd))))
    shown = None
    if test.margin is not None:
        few = float(ndtr(-tango_z(gained, lost, cases, -test.margin)))
        own = 0.0 if sd == 0 else float(ndtr(-(value + test.margin) / sd))
        shown = max(few, own)
    none = None if p_value is not None else (
        "no patient's images differ on balance, so no test of a difference exists")
    return replace(test, method=METHOD if changes is None else f"{METHOD}, sign test",
                   difference=Estimate(value, min(low, value), max(high, value),
                                       test.difference.n),
                   p_value=p_value, p_worse=p_worse, p_noninferior=shown, cases=cases,
                   clusters=patients,
                   excluded=min(low, floor), reason=none)


def _balance(counted: Ints, changes: Ints | None, cases: int, value: float) -> tuple[float, float]:
    """Count cases gained and lost, with one patient's images offset against each other.

    Gains of some patients do not hide the losses of others: a small variance that came about by
    chance would else show too much.
    """
    if changes is None:
        return max(value, 0.0) * cases, max(-value, 0.0) * cases
    net = np.bincount(counted, weights=changes) * cases / len(counted)
    return float(net[net > 0].sum()), float(-net[net < 0].sum())


def _sign(counted: Ints, changes: Ints) -> tuple[float | None, float | None]:
    """Compute the exact sign test over patients: two-sided, and one-sided against a loss."""
    net = np.bincount(counted, weights=changes)
    up, down = int((net > 0).sum()), int((net < 0).sum())
    n = up + down
    if n == 0:
        return None, None
    return (float(min(1.0, 2 * binom.cdf(min(up, down), n, 0.5))),
            float(binom.sf(down - 1, n, 0.5)))


def mean_interval(values: Floats, clusters: Ints | None = None) -> tuple[float, float]:
    """Return the 95% interval of the mean of values in [0, 1].

    Student's t, over patients where they have several images; where the values do not vary, or
    there are fewer than ten, the score interval with the largest variance values in [0, 1] can
    have, μ(1 − μ).

    Args:
        values: (n,).
        clusters: (n,) cluster numbers, or None where every image is its own patient.
    """
    n, mean = len(values), float(values.mean())
    patients, alike = n, n
    variance = float(values.var(ddof=1)) / n if n > 1 else 0.0
    if clusters is not None:
        patients, alike = len(np.unique(clusters)), effective(clusters)
        variance = max(variance, scatter(values - mean, clusters) / n**2)
    if patients < 10 or variance == 0:
        z2 = Z * Z
        centre = (mean + z2 / (2 * alike)) / (1 + z2 / alike)
        half = Z / (1 + z2 / alike) * math.sqrt(
            max(mean * (1 - mean), 0) / alike + z2 / (4 * alike * alike))
        return max(0.0, min(centre - half, mean)), min(1.0, max(centre + half, mean))
    half = float(student.ppf(0.975, patients - 1)) * math.sqrt(variance)
    return max(0.0, mean - half), min(1.0, mean + half)
