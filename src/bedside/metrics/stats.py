"""Intervals for proportions, areas under the ROC curve and their means.

Which interval is used for what, and why: ``docs/decisions/0003-intervals.md``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit, ndtri
from scipy.stats import rankdata

from bedside.core.errors import BadInput
from bedside.core.types import Estimate
from bedside.metrics import design

Floats = npt.NDArray[np.float64]

ALPHA = 0.05
Z = float(ndtri(1 - ALPHA / 2))


# ------------------------------------------------------------------ proportions


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95% score interval of a proportion, without continuity correction.

    Source: Wilson 1927, J. Am. Stat. Assoc. 22:209; recommended by Brown, Cai and DasGupta 2001,
    Stat. Sci. 16:101.

    Raises:
        BadInput: n below 1, or successes outside [0, n].
    """
    if n < 1 or not 0 <= successes <= n:
        raise BadInput(f"{successes} successes of {n}", where="wilson",
                       remedy="Give 0 <= successes <= n and n of at least 1.")
    return score_interval(successes / n, n)


def score_interval(p: float, n: float, quantile: float = Z) -> tuple[float, float]:
    """Return the values θ with (p − θ)² <= q² θ(1 − θ) / n; wilson() for p = successes / n."""
    z2 = quantile * quantile
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = quantile / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    # Rounding must not leave 1 − 1e-17 where the algebra gives 1.
    low = 0.0 if p == 0 else min(max(centre - half, 0.0), p)
    high = 1.0 if p == 1 else max(min(centre + half, 1.0), p)
    return low, high


def proportion(successes: int, n: int, reason: str) -> Estimate:
    """Return ``successes / n`` with Wilson's interval; undefined for ``reason`` where n is 0."""
    if n == 0:
        return Estimate(None, n=0, reason=reason)
    low, high = wilson(successes, n)
    return Estimate(successes / n, low, high, n)


def share(hits: design.Bools, clusters: design.Ints | None, reason: str) -> Estimate:
    """Return the share of hits, with Wilson's interval over the effective sample size.

    How many: :func:`bedside.metrics.design.precision`, at most n. No sample claims more than the
    same patients would prove were all their images alike: where all are right nothing tells how far
    images of one patient go together, and a single error must not narrow it.

    Args:
        hits: (n,), n counts images.
        clusters: (n,) cluster numbers, or None.
        reason: why there is no share where n is 0.
    """
    n = len(hits)
    if n == 0:
        return Estimate(None, n=0, reason=reason)
    # Whole numbers first, so that 7 of 10 is 0.7.
    p = int(hits.sum()) / n
    if clusters is None or len(np.unique(clusters)) == n:
        return Estimate(p, *score_interval(p, n), n)
    size = design.precision(hits - p, clusters, max(p, 1 - p) ** 2)
    alike = design.effective(clusters)
    low, high = score_interval(p, size.size, size.quantile(ALPHA))
    return Estimate(p, min(low, score_interval(1.0, alike)[0], p),
                    max(high, score_interval(0.0, alike)[1], p), n)


# ------------------------------------------------------------------ areas under the ROC curve


def delong_covariance(labels01: npt.NDArray[Any], scores: npt.NDArray[Any]
                      ) -> tuple[Floats, Floats]:
    """Return the areas under m ROC curves of the same images, and their covariance.

    Estimator: DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44:837. Algorithm: midranks in O(m
    n log n), Sun and Xu 2014, IEEE Signal Process. Lett. 21:1389. Ties count one half.

    Args:
        labels01: (n,) of 0 and 1, at least two of each.
        scores: (m, n) floats, one row a model, higher for 1; infinities have a rank.

    Returns:
        Areas (m,) and covariance (m, m), float64.

    Raises:
        BadInput: shapes that do not fit, labels other than 0 and 1, a NaN score, fewer than
            two images of either label (the variance has no estimate).
    """
    above, below = placements(labels01, scores)
    positives, negatives = above.shape[1], below.shape[1]
    if min(positives, negatives) < 2:
        raise BadInput(f"{positives} positive and {negatives} negative images", where="delong",
                       remedy="The variance of an AUC needs two images of each class.")
    aucs: Floats = above.sum(axis=1) / (positives * negatives)
    # Counts go in whole and are scaled after, so that equal counts give a variance of exactly 0.
    covariance: Floats = (
        np.atleast_2d(np.cov(above)) / (float(negatives) ** 2 * positives)
        + np.atleast_2d(np.cov(below)) / (float(positives) ** 2 * negatives)
    )
    return aucs, covariance


def placements(labels01: npt.NDArray[Any], scores: npt.NDArray[Any]) -> tuple[Floats, Floats]:
    """Return each image's placement among the images of the other class; ties count ½.

    Args:
        labels01: (n,) of 0 and 1.
        scores: (m, n) floats.

    Returns:
        For each of the n₁ positives the negatives below it, (m, n₁); for each of the n₀
        negatives the positives above it, (m, n₀).

    Raises:
        BadInput: shapes that do not fit, labels other than 0 and 1, a NaN score.
    """
    labels01, scores = np.asarray(labels01), np.asarray(scores, dtype=np.float64)
    if labels01.ndim != 1 or scores.ndim != 2 or scores.shape[1] != labels01.size:
        raise BadInput(f"labels of shape {labels01.shape}, scores of shape {scores.shape}",
                       where="delong", remedy="Give labels (n,) and scores (m, n).")
    if not np.isin(labels01, (0, 1)).all() or np.isnan(scores).any():
        raise BadInput("a label other than 0 and 1, or a score that is not a number",
                       where="delong", remedy="Give labels of 0 and 1 and scores without NaN.")
    positive = labels01 == 1
    if positive.all() or not positive.any():
        shape = (len(scores), int(positive.sum())), (len(scores), int((~positive).sum()))
        return np.zeros(shape[0]), np.zeros(shape[1])
    # Sun and Xu 2014, eqs. 5 to 8: an image's rank among all, less its rank within its class.
    ranks = rankdata(scores, axis=1)
    above = ranks[:, positive] - rankdata(scores[:, positive], axis=1)
    below = positive.sum() - (ranks[:, ~positive] - rankdata(scores[:, ~positive], axis=1))
    return above, below


def auc_interval(auc: float, variance: float | None, positives: int, negatives: int
                 ) -> tuple[float, float]:
    """Return a 95% interval of an AUC that holds at perfect separation and in small samples.

    Three rules:

    1. The logit-transformed DeLong interval (Pepe 2003, section 5.2.4; Qin and Hotilovac 2008,
       Stat. Methods Med. Res. 17:207).
    2. Where DeLong's variance is 0 or has no estimate, the score interval with the largest
       variance that any distribution allows, θ(1 − θ) / k with k = min(positives, negatives)
       (Birnbaum and Klose 1957, Ann. Math. Stat. 28:933): Wilson's interval of k pairs.
    3. No sample claims more than perfect separation would prove. The images hold k disjoint,
       independent positive-negative pairs, so all of them are in order with probability at
       most θ**k, and perfect separation rejects every θ below (α/2)**(1/k): Clopper and
       Pearson's bound for k of k. The lower bound never lies above it, nor the upper below
       its mirror image.

    Args:
        auc: in [0, 1].
        variance: DeLong's, or None where a class has one image.
        positives: images of the positive class (patients of like size), at least 1.
        negatives: the same of the other, at least 1.
    """
    k = min(positives, negatives)
    if not variance or not 0 < auc < 1:
        low, high = score_interval(auc, k)
    else:
        half = Z * math.sqrt(variance) / (auc * (1 - auc))
        low, high = float(expit(logit(auc) - half)), float(expit(logit(auc) + half))
    most = (ALPHA / 2) ** (1 / k)
    return min(low, most, auc), max(high, 1 - most, auc)


def auc_influence(positive: design.Bools, scores: npt.NDArray[Any]) -> tuple[float, Floats]:
    """Return the AUC, and the influence (n,) of every image on it: its placement minus the mean.

    Args:
        positive: (n,), with at least one image of each kind.
        scores: (n,) floats without NaN, higher for the positive.
    """
    above, below = placements(positive, np.asarray(scores)[None])
    m, n = above.shape[1], below.shape[1]
    influence = np.empty(m + n)
    influence[positive] = (above[0] - above[0].mean()) / (n * m)
    influence[~positive] = (below[0] - below[0].mean()) / (m * n)
    return float(above.sum() / (m * n)), influence


def auc_parts(positive: design.Bools, scores: npt.NDArray[Any],
              clusters: design.Ints | None = None) -> tuple[Estimate, Floats]:
    """Return the AUC with its interval, and the influence (n,) of every image.

    Args:
        positive: as for :func:`auc_influence`.
        scores: likewise.
        clusters: (n,) cluster numbers where patients have several images: then the variance is
            Obuchowski's, and an AUC has the cases of the class with fewer patients. The
            interval is never narrower than without.
    """
    auc, influence = auc_influence(positive, scores)
    each = np.arange(len(positive))  # every image its own patient: DeLong's variance
    bounds = [auc_interval(auc, design.auc_variance(positive, influence, whose),
                           design.effective(whose[positive]), design.effective(whose[~positive]))
              for whose in ((each,) if clusters is None else (each, clusters))]
    low, high = min(b[0] for b in bounds), max(b[1] for b in bounds)
    return Estimate(auc, low, high, len(positive)), influence


def auc_estimate(labels01: npt.NDArray[Any], scores: npt.NDArray[Any],
                 clusters: design.Ints | None = None) -> Estimate:
    """Return the AUC of one score with its interval; n counts all images.

    Args:
        labels01: (n,) of 0 and 1.
        scores: (n,) floats without NaN, higher for 1.
        clusters: (n,) cluster numbers, or None where every image is its own patient.
    """
    positive = np.asarray(labels01) == 1
    if positive.all() or not positive.any():
        missing = "positive" if not positive.any() else "negative"
        return Estimate(None, n=positive.size,
                        reason=f"no {missing} images: an AUC needs both classes")
    return auc_parts(positive, scores, clusters)[0]


# ------------------------------------------------------------------ means of several estimates


def mean_interval(values: npt.NDArray[Any], lows: npt.NDArray[Any], highs: npt.NDArray[Any],
                  correlation: npt.NDArray[Any] | None = None) -> tuple[float, float]:
    """Return the 95% interval of the mean of K estimates from the interval of each (MOVER).

    Recovers each estimate's variance from its own bounds, so a mean of perfect estimates has an
    honest interval too. Source: Zou and Donner 2008, Stat. Med. 27:1693.

    Args:
        values: (K,) estimates.
        lows: (K,) lower bounds.
        highs: (K,) upper bounds.
        correlation: (K, K) between the estimates; none means independent.
    """
    values = np.asarray(values, dtype=np.float64)
    matrix = np.eye(len(values)) if correlation is None else np.asarray(correlation)
    down, up = values - np.asarray(lows), np.asarray(highs) - values
    mean = float(values.mean())
    spread_down = math.sqrt(max(float(down @ matrix @ down), 0.0)) / len(values)
    spread_up = math.sqrt(max(float(up @ matrix @ up), 0.0)) / len(values)
    return max(mean - spread_down, 0.0), min(mean + spread_up, 1.0)
