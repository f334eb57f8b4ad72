"""Ratio of the shares of positives that two models miss, on the same images.

Two points of sensitivity are little where a quarter is missed and a tripling where one in a hundred
is, so the ratio has a margin of its own beside the difference.

Everything is reported as −ln(ratio), so that like every other endpoint it is negative for a loss,
and must stay above −ln(margin).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from bedside.core.evidence import MISS_RATIO, PairedTest
from bedside.core.types import Estimate
from bedside.metrics.design import Ints, precision
from bedside.metrics.paired import NO_DISCORDANT, Bools, Floats, mcnemar_exact, p_loss
from bedside.metrics.stats import ALPHA, Z

# Below this share of misses a ratio is one of very few cases. "Twice as many" is counted from here.
FEW = 0.01
METHOD = "score test of the ratio of misses"
_LARGEST = 1e6


def score_z(both: float, lost: float, gained: float, ratio: float) -> float:
    """Return the score statistic of a ratio of two paired proportions; positive above ``ratio``.

    Source: Nam and Blackwelder 2002, Stat. Med. 21:689; Tang, Tang and Chan 2003, Stat. Med.
    22:1217. The nuisance parameter, the share that only the old model misses, is at its restricted
    maximum, a root of −(1 + θ) y² + (b + c − (a + c)(θ² − 1)) y + c (θ − 1)(a + b + c) = 0 for a
    missed by both, b by the new model alone and c by the old one alone. The images that neither
    misses drop out.

    Args:
        both: positives that both models miss.
        lost: those that the new one alone misses.
        gained: those that the old one alone misses.
        ratio: the hypothesis, new over old, above 0.
    """
    a, b, c, theta = both, lost, gained, ratio
    distance = a + b - theta * (a + c)
    if distance == 0:
        return 0.0
    m = a + b + c
    linear = b + c - (a + c) * (theta * theta - 1)
    root = math.sqrt(max(linear * linear + 4 * (1 + theta) * (theta - 1) * c * m, 0.0))
    only_old = max((linear + root) / (2 * (1 + theta)), (1 - theta) * m, 0.0)
    variance = (theta - 1) * m + (theta + 1) * only_old
    if variance <= 0:
        return math.copysign(math.inf, distance)
    return distance / math.sqrt(variance)


def score_interval(both: float, lost: float, gained: float, quantile: float = Z
                   ) -> tuple[float, float | None]:
    """Return the score interval of the ratio, 95% by default; None where nothing bounds it above.

    ``quantile``: the statistic's size at both bounds.
    """
    def root(wanted: float) -> float | None:
        def off(log_ratio: float) -> float:
            return max(min(score_z(both, lost, gained, math.exp(log_ratio)), 1e6), -1e6) - wanted

        edge = math.log(_LARGEST)
        if off(-edge) <= 0 or off(edge) >= 0:
            return None
        return math.exp(float(brentq(off, -edge, edge, xtol=1e-12)))

    return root(quantile) or 0.0, root(-quantile)


def limits(sensitivity_margin: float, ratio_margin: float | None, missed: float
           ) -> tuple[float, float | None]:
    """Return the margins of sensitivity and of the ratio for a share of misses of the old model.

    Where it misses fewer than one in a hundred the ratio is counted from one in a hundred, which is
    a tighter margin of sensitivity: twice as many is one point.
    """
    if ratio_margin is None or missed >= FEW:
        return sensitivity_margin, ratio_margin
    return min(sensitivity_margin, (ratio_margin - 1) * FEW), None


def miss_ratio(old: Bools, new: Bools, margin: float, clusters: Ints | None = None
               ) -> PairedTest | None:
    """Test the ratio of misses of two models; None where neither misses any positive.

    Args:
        old: (n,) whether the old model detects each positive image.
        new: (n,) the same of the new model.
        margin: the ratio that must be excluded, above 1.
        clusters: (n,) cluster numbers, or None where every image is its own patient; then counts
            are scaled to the sample size that the design effect leaves of new − margin · old, as
            for the difference (:class:`bedside.metrics.paired.Discordance`).

    Returns:
        ``old`` and ``new`` are shares missed; the difference is −ln(ratio).
    """
    n = len(old)
    both, lost, gained = (int(np.sum(m)) for m in (~old & ~new, old & ~new, ~old & new))
    if n == 0 or both + lost + gained == 0:
        return None
    apart = (~new).astype(np.float64) - margin * ~old
    pairs = precision(apart - apart.mean(), clusters, float((1 - apart.mean()) ** 2))
    scale = pairs.size / n
    a, b, c = scale * both, scale * lost, scale * gained
    low, high = score_interval(a, b, c, pairs.quantile(ALPHA))
    value = None if min(both + gained, both + lost) == 0 else -math.log(
        (both + lost) / (both + gained))
    p = mcnemar_exact(gained, lost)
    reason = (NO_DISCORDANT if p is None else None) if value is not None else (
        "the old model misses none, so there is no ratio" if both + gained == 0
        else "the new model misses none")
    bounds = None if high is None else -math.log(high), None if low <= 0 else -math.log(low)
    return PairedTest(
        MISS_RATIO, METHOD, (both + gained) / n, (both + lost) / n,
        Estimate(value, *bounds, n, None if value is not None else reason), gained, lost, p,
        math.log(margin), pairs.tail(-score_z(a, b, c, margin)), p_loss(gained, lost),
        bounds[0], max(int(pairs.size + 1e-9), 1),
        None if clusters is None else len(np.unique(clusters)), reason, bounds[1])


@dataclass(frozen=True, slots=True)
class Ratio:
    """The test of the ratio as an endpoint of :mod:`bedside.metrics.power`.

    ``missed``: the share of positives that the old model misses. Where it misses none the endpoint
    does not exist, and passes.
    """

    metric: str
    margin: float
    missed: float

    def shown(self, gained: Floats, lost: Floats, pairs: float, quantile: float) -> Bools:
        """Return where a ratio of the margin is excluded (``power.PairEndpoint``)."""
        theta, before = self.margin, np.maximum(self.missed * pairs, gained)
        m = before + lost
        linear = lost + gained - before * (theta * theta - 1)
        root = np.sqrt(np.maximum(linear**2 + 4 * (1 + theta) * (theta - 1) * gained * m, 0.0))
        variance = (theta - 1) * m + (linear + root) / 2
        reached: Bools = (theta * before - (before - gained + lost)
                           >= quantile * np.sqrt(np.maximum(variance, 0.0)))
        return reached
