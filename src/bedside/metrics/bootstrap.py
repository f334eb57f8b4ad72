"""Bootstrap over patients: intervals where images of one patient are not independent.

Whole patients are drawn with replacement, so each resample is a vector of weights over the
images; every metric is computed from weighted counts, all models at once. Seeded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from bedside.metrics.design import effective, scatter
from bedside.metrics.stats import Z

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

CHUNK = 100


@dataclass(frozen=True, slots=True)
class Resampled:
    """Values (resamples, models) by metric; NaN where a resample lacks what a metric needs."""

    values: dict[str, Floats]


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
