"""The report's statistics once more, from independent libraries or by brute force.

For :mod:`recompute`; nothing here imports the product. Values and tests come from scikit-learn,
statsmodels and scipy. What no library has is computed from its definition: restricted likelihoods
by a root of the Lagrange multiplier, areas by comparing every pair, bounds by a root of the test.
Every image counts as independent.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom, norm, t
from sklearn.metrics import brier_score_loss, cohen_kappa_score, roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

Array = np.ndarray[Any, Any]
Interval = tuple[float, float, float]
Z = float(norm.ppf(0.975))
_EMPTY = 1e-8  # of an image, in a cell of a table that holds none


def share(hits: Array) -> Interval:
    """Return the share of hits (n,) with Wilson's interval."""
    value = float(hits.mean())
    return value, *wilson_of(value, len(hits))


def brier(positive: Array, probability: Array) -> float:
    """Return the Brier score of probabilities (n,) of a positive."""
    return float(brier_score_loss(positive, probability))


# ------------------------------------------------------------------ areas under the ROC curve


def placements(positive: Array, scores: Array) -> tuple[Array, Array]:
    """Return the share of negatives below each positive, and of positives above each negative."""
    above = scores[positive][:, None] - scores[~positive][None]
    won = (above > 0) + 0.5 * (above == 0)
    return won.mean(axis=1), won.mean(axis=0)


def area(positive: Array, scores: Array) -> Interval:
    """Return the AUC with its logit-DeLong interval.

    Without a variance Wilson's of the rarer class's k images; never beyond what k ordered pairs
    of k can prove (Clopper and Pearson), as decision 0003 says.
    """
    value = float(roc_auc_score(positive, scores))
    parts = placements(positive, scores)
    k = min(len(p) for p in parts)
    variance = sum(float(np.var(p, ddof=1)) / len(p) for p in parts) if k > 1 else 0.0
    if variance > 0 and 0 < value < 1:
        middle = math.log(value / (1 - value))
        half = Z * math.sqrt(variance) / (value * (1 - value))
        low, high = (1 / (1 + math.exp(-x)) for x in (middle - half, middle + half))
    else:
        low, high = wilson_of(value, k)
    most = float(proportion_confint(k, k, method="beta")[0])
    return value, min(low, most, value), max(high, 1 - most, value)


def wilson_of(value: float, n: float) -> tuple[float, float]:
    """Return Wilson's interval of a share ``value`` among n, which need not be whole."""
    low, high = proportion_confint(value * n, n, method="wilson")
    return float(low), float(high)


class AreaDifference(NamedTuple):
    """New minus old with its interval, the bounds that decide, and p-values.

    ``p`` is two-sided, None without a variance; ``p_noninferior`` one-sided, of a loss of the
    margin or more.
    """

    value: float
    low: float
    high: float
    floor: float
    ceiling: float
    p: float | None
    p_noninferior: float


def area_difference(positive: Array, old: Array, new: Array, margin: float) -> AreaDifference:
    """Compare two areas of the same images.

    As decision 0011 says: DeLong's variance times (1 + 1/m + 1/n)², Hall's cubic, Student's t with
    Satterthwaite's degrees of freedom and the images' kurtosis; the floor of k disjoint pairs.
    """
    value = float(roc_auc_score(positive, new)) - float(roc_auc_score(positive, old))
    moves = [a - b for a, b in zip(placements(positive, new), placements(positive, old),
                                   strict=True)]
    sizes = [len(m) for m in moves]
    k = min(sizes)
    pairs = max(value, 0.0) * k, max(-value, 0.0) * k, k
    floor, few = tango(*pairs), tango_p(*pairs, margin)
    parts = [(m - m.mean()) / len(m) for m in moves]
    own = [float(np.var(m, ddof=1)) / len(m) for m in moves] if k > 1 else [0.0, 0.0]
    if sum(own) <= 1e-15:
        return AreaDifference(value, *floor, *floor, None, few)
    skew = sum(float((p**3).sum()) for p in parts) / sum(own) ** 1.5
    doubt = 0.0
    for part, v, n in zip(parts, own, sizes, strict=True):
        if v > 0:
            excess = max(float(np.mean(part**4) / np.mean(part**2) ** 2) - 3, 0.0)
            doubt += v * v * (2 / (n - 1) + excess / n)
    df = max(2 * sum(own) ** 2 / doubt, 2.0)
    sd = math.sqrt(sum(own)) * (1 + sum(1 / n for n in sizes))

    def hall(x: float) -> float:
        """Return the studentised distance corrected for skewness."""
        return x + skew * x**2 / 3 + skew**2 * x**3 / 27 + skew / 6

    def bound(q: float) -> float:
        edge = 10.0 + abs(q)
        while hall(-edge) > q or hall(edge) < q:
            edge *= 2
        return value - sd * float(brentq(lambda x: hall(x) - q, -edge, edge, xtol=1e-13))

    q = float(t.ppf(0.975, df))
    low, high = max(min(bound(q), value), -1.0), min(max(bound(-q), value), 1.0)
    tail = float(t.sf(abs(hall(value / sd)), df))
    return AreaDifference(value, low, high, min(low, floor[0]), max(high, floor[1]),
                          min(2 * tail, 1.0),
                          max(float(t.sf(hall((value + margin) / sd), df)), few))


# ------------------------------------------------------------------ paired decisions


def mcnemar_p(gained: int, lost: int) -> float | None:
    """Return the exact two-sided p-value; None without a discordant image."""
    if gained + lost == 0:
        return None
    return float(mcnemar([[0, gained], [lost, 0]], exact=True).pvalue)


def null_z(counts: Array, weights: Array) -> float:
    """Return the score statistic of Σ p·w = 0 for a table of counts.

    The likelihood is largest under it at p ∝ counts / (1 + λ w), whose λ is a root.
    """
    distance = float(counts @ weights)
    counts = np.where(counts > 0, counts, _EMPTY)
    low, high = -1 / weights.max(), -1 / weights.min()

    def off(multiplier: float) -> float:
        return float((counts * weights / (1 + multiplier * weights)).sum())

    inside = 1 - 1e-15
    multiplier = brentq(off, low * inside, high * inside, xtol=1e-300, rtol=1e-15, maxiter=500)
    variance = float((counts * weights**2 / (1 + multiplier * weights)).sum())
    return distance / math.sqrt(variance)


def tango_p(gained: float, lost: float, n: float, margin: float) -> float:
    """Return Tango's one-sided p-value of a loss of ``margin`` or more."""
    counts = np.array([gained, lost, n - gained - lost])
    return float(norm.sf(null_z(counts, np.array([1 + margin, margin - 1, margin]))))


def miss_ratio_p(both: int, lost: int, gained: int, margin: float) -> float:
    """Return the one-sided p-value of ``margin`` times as many misses, or more."""
    counts = np.array([both, lost, gained], dtype=np.float64)
    return float(norm.cdf(null_z(counts, np.array([1 - margin, 1.0, -margin]))))


def holm(p_values: list[float]) -> list[float]:
    """Return Holm's adjusted p-values."""
    return [float(p) for p in multipletests(p_values, method="holm")[1]] if p_values else []


def _crossing(statistic: Callable[[float], float], wanted: float, low: float, high: float) -> float:
    return float(brentq(lambda x: statistic(x) - wanted, low, high, xtol=1e-12))


def tango(gained: float, lost: float, n: float) -> tuple[float, float]:
    """Return Tango's interval of a paired difference, (gained − lost) / n."""
    counts = np.array([gained, lost, n - gained - lost])
    value, edge = (gained - lost) / n, 1e-9

    def z(d: float) -> float:
        if abs(d - value) < 1e-14:
            return 0.0
        return null_z(counts, np.array([1 - d, -1 - d, -d]))

    low = -1.0 if value <= -1 + edge else _crossing(z, Z, -1 + edge, value)
    high = 1.0 if value >= 1 - edge else _crossing(z, -Z, value, 1 - edge)
    return low, high


def miss_ratio(both: int, lost: int, gained: int) -> tuple[float | None, float, float | None]:
    """Return the ratio of misses, new over old, with its score interval; None where unbounded."""
    counts = np.array([both, lost, gained], dtype=np.float64)

    def z(log_ratio: float) -> float:
        ratio = math.exp(log_ratio)
        weights = np.array([1 - ratio, 1.0, -ratio])
        return 0.0 if abs(counts @ weights) < 1e-12 else null_z(counts, weights)

    old, new, edge = both + gained, both + lost, math.log(1e6)
    high = None if z(edge) >= -Z else math.exp(_crossing(z, -Z, -edge, edge))
    low = 0.0 if z(-edge) <= Z else math.exp(_crossing(z, Z, -edge, edge))
    return new / old if old and new else None, low, high


def kappa(old: Array, new: Array) -> Interval | None:
    """Return Cohen's kappa of two models' calls (n,); None where both always call one class.

    The interval is Wilson's of the agreement at the observed chance, with the sample size that
    gives kappa the variance of Fleiss, Cohen and Everitt (decision 0003).
    """
    n = len(old)
    table = np.array([[np.sum((old == a) & (new == b)) for b in (0, 1)] for a in (0, 1)])
    chance = float(table.sum(axis=0) @ table.sum(axis=1)) / n**2
    if chance >= 1:
        return None
    agreed = float(np.trace(table)) / n
    variance = float(cohens_kappa(table).var_kappa) * (1 - chance) ** 2
    size = agreed * (1 - agreed) / variance if variance > 1e-18 else n
    low, high = ((x - chance) / (1 - chance) for x in wilson_of(agreed, max(size, 1)))
    value = float(cohen_kappa_score(old, new))
    return value, max(min(low, value), -1.0), max(high, value)


def detectable(n: int) -> float | None:
    """Return the smallest loss that n positives prove four times in five; None where none."""
    least = next(k for k in range(1, 60) if binom.sf(k - 1, k, 0.5) <= 0.025)
    if n < least:
        return None
    return float(brentq(lambda p: binom.sf(least - 1, n, p) - 0.8, 1e-9, 1.0))
