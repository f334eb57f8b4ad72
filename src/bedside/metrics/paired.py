"""Paired tests of two models on the same images; differences are new minus old.

Which interval and which test is used, and why: ``docs/decisions/0011-paired-tests.md``. Nothing
here raises for data in which a number is undefined; it is null with a reason.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri
from scipy.stats import binom

from bedside.core.errors import BadInput
from bedside.core.evidence import PairedTest
from bedside.core.types import Estimate
from bedside.metrics.stats import Z, delong_covariance, placements, wilson

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

POWER, POWER_Z = 0.8, 0.8416212335729143  # and its normal quantile

NO_DISCORDANT = "the two models agree on every image, so no test of their difference exists"


# ------------------------------------------------------------------ proportions


def mcnemar_exact(gained: int, lost: int) -> float | None:
    """Return McNemar's two-sided exact p-value; None where no image is discordant.

    Conditional on the discordant images, each side has probability one half (McNemar 1947,
    Psychometrika 12:153; the binomial test of ``gained`` against ½).

    Raises:
        BadInput: a negative count.
    """
    _counts(gained, lost)
    n = gained + lost
    if n == 0:
        return None
    return float(min(1.0, 2.0 * binom.cdf(min(gained, lost), n, 0.5)))


def p_loss(gained: float, lost: float) -> float | None:
    """Return the one-sided exact p-value of no loss: P(at least ``lost`` discordant ones)."""
    n = gained + lost
    return None if n == 0 else float(binom.sf(lost - 1, n, 0.5))


def tango_z(gained: float, lost: float, n: float, difference: float) -> float:
    """Return Tango's score statistic of a difference between paired proportions.

    Source: Tango 1998, Stat. Med. 17:891, eqs. 5 to 8. Positive where the data lie above
    ``difference``.

    Args:
        gained: pairs right in the new model only.
        lost: pairs right in the old model only.
        n: all pairs.
        difference: the hypothesis, new minus old, in (−1, 1).
    """
    distance = gained - lost - n * difference
    if distance == 0:
        return 0.0
    a = 2.0 * n
    b = -gained - lost + (2.0 * n - gained + lost) * difference
    c = -lost * difference * (1.0 - difference)
    nuisance = (math.sqrt(max(b * b - 4.0 * a * c, 0.0)) - b) / (2.0 * a)
    variance = n * (2.0 * nuisance + difference * (1.0 - difference))
    if variance <= 0:
        return math.copysign(math.inf, distance)
    return distance / math.sqrt(variance)


def tango_interval(gained: float, lost: float, n: float) -> tuple[float, float]:
    """Return Tango's 95% score interval of (gained − lost) / n.

    Raises:
        BadInput: counts that do not fit.
    """
    _counts(gained, lost)
    if n < 1 or gained + lost > n * (1 + 1e-9):
        raise BadInput(f"{gained} gained and {lost} lost of {n}", where="tango_interval",
                       remedy="Give counts of pairs among n of at least 1.")
    value = (gained - lost) / n
    edge = 1e-12

    def root(quantile: float, low: float, high: float) -> float:
        def shifted(d: float) -> float:
            return max(min(tango_z(gained, lost, n, d), 1e6), -1e6) - quantile

        return float(brentq(shifted, low, high, xtol=1e-12))

    low = -1.0 if value <= -1 + edge else root(Z, -1 + edge, value)
    high = 1.0 if value >= 1 - edge else root(-Z, value, 1 - edge)
    return low, high


def paired_proportion(metric: str, old: Bools, new: Bools, margin: float | None, none: str
                      ) -> PairedTest:
    """Test the difference of two models' proportions on the same images.

    Args:
        metric: its name.
        old: (n,) whether the old model is right.
        new: (n,) the same of the new model.
        margin: the largest loss that does not matter, a fraction, or None.
        none: the reason where n is 0.

    Returns:
        Exact McNemar p-values, Tango's interval, and where there is a margin the score test of
        non-inferiority (Tango 1998, Section 3).
    """
    n = len(old)
    if n == 0:
        return PairedTest(metric, "McNemar exact, Tango", None, None,
                          Estimate(None, n=0, reason=none), margin=margin, reason=none)
    gained, lost = int((new & ~old).sum()), int((old & ~new).sum())
    low, high = tango_interval(gained, lost, n)
    p = mcnemar_exact(gained, lost)
    return PairedTest(
        metric, "McNemar exact, Tango", float(old.mean()), float(new.mean()),
        Estimate((gained - lost) / n, low, high, n), gained, lost, p, margin,
        _noninferior(gained, lost, n, margin), p_loss(gained, lost), low, n,
        reason=NO_DISCORDANT if p is None else None)


def _noninferior(gained: float, lost: float, n: float, margin: float | None) -> float | None:
    if margin is None:
        return None
    return float(ndtr(-tango_z(gained, lost, n, -margin)))


def _counts(gained: float, lost: float) -> None:
    if gained < 0 or lost < 0:
        raise BadInput(f"{gained} gained and {lost} lost", where="paired",
                       remedy="Counts are 0 or more.")


# ------------------------------------------------------------------ areas under the ROC curve


def paired_auc(metric: str, labels01: npt.NDArray[np.int64], old: Floats, new: Floats,
               margin: float | None) -> PairedTest:
    """Test two areas under the ROC curve of the same images (DeLong).

    Source: DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44:837. Where both rank the images
    alike the variance is 0 and DeLong's test does not exist; then the difference is tested on the k
    disjoint pairs of a positive and a negative that the images hold.

    Args:
        metric: its name.
        labels01: (n,) of 0 and 1.
        old: (n,) scores without NaN.
        new: (n,) the same of the new model.
        margin: as for :func:`paired_proportion`.
    """
    method = "DeLong"
    positives, n = int(labels01.sum()), len(labels01)
    pairs = min(positives, n - positives)
    if pairs == 0:
        side = "positive" if positives == 0 else "negative"
        reason = f"no {side} images: an AUC needs both classes"
        return PairedTest(metric, method, None, None, Estimate(None, n=n, reason=reason),
                          margin=margin, reason=reason)
    both = np.stack([old, new])
    if pairs == 1:
        above, _ = placements(labels01, both)
        aucs = above.sum(axis=1) / (positives * (n - positives))
        variance = 0.0
    else:
        aucs, covariance = delong_covariance(labels01, both)
        variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    return difference_test(metric, method, float(aucs[0]), float(aucs[1]), variance, pairs, n,
                           margin)


def difference_test(metric: str, method: str, old: float, new: float, variance: float,
                    pairs: int, n: int, margin: float | None) -> PairedTest:
    """Test a paired difference from its variance, bounded by ``pairs`` independent cases.

    Args:
        metric: its name.
        method: how the variance came about.
        old: the old model's value in [0, 1].
        new: the new model's.
        variance: of the difference; 0 (to rounding) where both models rank alike.
        pairs: independent cases that each would show a loss.
        n: images.
        margin: as for :func:`paired_proportion`.
    """
    value = new - old
    gained, lost = max(value, 0.0) * pairs, max(-value, 0.0) * pairs
    floor, ceiling = tango_interval(gained, lost, pairs)
    few = _noninferior(gained, lost, pairs, margin)
    if variance <= 1e-15:
        reason = ("the variance of the difference has no estimate: both models rank the images "
                  "alike, or a class has one image")
        return PairedTest(metric, method, old, new, Estimate(value, floor, ceiling, n), None,
                          None, None, margin, few, _below(gained, lost, pairs), floor,
                          pairs, reason=reason)
    sd = math.sqrt(variance)
    low, high = max(value - Z * sd, -1.0), min(value + Z * sd, 1.0)
    own = None if margin is None else float(ndtr(-(value + margin) / sd))
    return PairedTest(
        metric, method, old, new, Estimate(value, low, high, n), None, None,
        float(2 * ndtr(-abs(value) / sd)), margin,
        None if own is None or few is None else max(own, few), float(ndtr(value / sd)),
        min(low, floor), pairs)


def _below(gained: float, lost: float, pairs: float) -> float | None:
    z = tango_z(gained, lost, pairs, 0.0)
    return None if z == 0 else float(ndtr(z))


# ------------------------------------------------------------------ agreement


def kappa(old: npt.NDArray[np.int64], new: npt.NDArray[np.int64], classes: int) -> Estimate:
    """Return Cohen's kappa of two models' decisions with its 95% interval.

    Source: Cohen 1960, Educ. Psychol. Meas. 20:37; large-sample standard error of Fleiss, Cohen and
    Everitt 1969, Psychol. Bull. 72:323.
    """
    n = len(old)
    if n == 0:
        return Estimate(None, n=0, reason="no images")
    table = np.bincount(old * classes + new, minlength=classes * classes).reshape(
        classes, classes) / n
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    agreed, chance = float(np.trace(table)), float(rows @ columns)
    if chance >= 1 - 1e-12:
        return Estimate(None, n=n, reason="both models always decide for the same class, so "
                                          "agreement beyond chance is undefined")
    value = (agreed - chance) / (1 - chance)
    if agreed == 1.0:
        # No disagreement: the formula's error is 0, and what few images can say is Wilson's.
        return Estimate(1.0, _all_agree(n, chance), 1.0, n)
    around = rows[None, :] + columns[:, None]
    on = float((np.diag(table) * (1 - np.diag(around) * (1 - value)) ** 2).sum())
    squares = table * around ** 2
    off = (1 - value) ** 2 * float(squares.sum() - np.trace(squares))
    rest = (value - chance * (1 - value)) ** 2
    sd = math.sqrt(max(on + off - rest, 0.0) / n) / (1 - chance)
    return Estimate(value, max(value - Z * sd, -1.0), min(value + Z * sd, 1.0), n)


def _all_agree(n: int, chance: float) -> float:
    return max((wilson(n, n)[0] - chance) / (1 - chance), -1.0)


# ------------------------------------------------------------------ multiplicity and power


def holm(p_values: list[float]) -> list[float]:
    """Return Holm's adjusted p-values, in the given order (Holm 1979, Scand. J. Stat. 6:65)."""
    order = np.argsort(p_values, kind="stable")
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[int(i)]))
        adjusted[int(i)] = running
    return adjusted


def cases_to_show(discordant: float, margin: float, alpha: float) -> int:
    """Return the independent cases that show a harmless variant non-inferior at 80% power.

    Harmless: the true difference is 0, and ``discordant`` of the cases differ. The power is that of
    Tango's test itself, summed over what may be lost and gained: its normal approximation (Nam
    1997, Biometrics 53:1422) promises 80% where few pairs differ and gives half of it.

    Args:
        discordant: share of discordant pairs, in [0, 1].
        margin: in (0, 1).
        alpha: one-sided level.
    """
    z = float(-ndtri(alpha))
    least = math.ceil(z * z * (1 - margin) / margin)
    low, high = least, max(least, math.ceil((z + POWER_Z) ** 2 * discordant / margin ** 2))
    if _power(low, discordant, margin, z) >= POWER:
        return low
    while _power(high, discordant, margin, z) < POWER:
        low, high = high, math.ceil(1.2 * high)
    while high - low > max(1, high // 200):  # the power is not quite monotone: near enough
        middle = (low + high) // 2
        low, high = (low, middle) if _power(middle, discordant, margin, z) >= POWER else (
            middle, high)
    return high


@lru_cache(maxsize=4096)
def _power(n: int, discordant: float, margin: float, z: float) -> float:
    """Return P(Tango's test excludes a loss of the margin), ``discordant`` of n pairs differing."""
    if discordant == 0:
        return float(tango_z(0, 0, n, -margin) >= z)
    spread = 5 * math.sqrt(n * discordant) + 5
    counts = range(max(0, int(n * discordant - spread)), min(n, int(n * discordant + spread)) + 1)
    total = 0.0
    for count in counts:
        # The more of them are lost, the less is shown: the most that may be.
        low, high = -1, count
        while low < high:
            middle = (low + high + 1) // 2
            shown = tango_z(count - middle, middle, n, -margin) >= z
            low, high = (middle, high) if shown else (low, middle - 1)
        if low >= 0:
            total += float(binom.pmf(count, n, discordant) * binom.cdf(low, count, 0.5))
    return total
