"""Paired tests of two models' proportions on the same images; differences are new minus old.

Which interval and which test is used, and why: ``docs/decisions/0011-paired-tests.md``. Nothing
here raises for data in which a number is undefined; it is null with a reason.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.stats import binom

from bedside.core.errors import BadInput
from bedside.core.evidence import PairedTest
from bedside.core.types import Estimate
from bedside.metrics.design import Ints, Precision, by_patient, precision
from bedside.metrics.stats import ALPHA, Z

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

METHOD = "McNemar exact, Tango"
BY_PATIENT = "sign test over patients, Tango over the effective sample size"
NO_DISCORDANT = "the two models agree on every image, so no test of their difference exists"
BALANCED = "no patient's images differ on balance, so no test of a difference exists"


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


def tango_interval(gained: float, lost: float, n: float, quantile: float = Z
                   ) -> tuple[float, float]:
    """Return Tango's score interval of (gained − lost) / n; the 95% one by default.

    Args:
        gained: pairs right in the new model only.
        lost: pairs right in the old model only.
        n: all pairs, 1 or more.
        quantile: the statistic's size at both bounds.

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

    low = -1.0 if value <= -1 + edge else root(quantile, -1 + edge, value)
    high = 1.0 if value >= 1 - edge else root(-quantile, value, 1 - edge)
    return low, high


@dataclass(frozen=True, slots=True)
class Discordance:
    """Pairs gained and lost among as many independent pairs as the images are worth."""

    gained: float
    lost: float
    pairs: Precision

    @classmethod
    def of(cls, old: Bools, new: Bools, clusters: Ints | None) -> Discordance:
        """Count the discordant images (n,), n of 1 or more, over the effective sample size.

        Independent images count as they are. Where patients have several, the numbers are scaled
        to the sample size that the design effect of the differences leaves, as Tango's statistic
        for clustered pairs is (Yang, Sun and Hardin 2012, Pharm. Stat. 11:386; the variance is
        Obuchowski's 1998, Stat. Med. 17:1495). Without a discordant image that is Kish's number.
        """
        n = len(old)
        change = new.astype(np.int64) - old
        value = int(change.sum()) / n
        pairs = precision(change - value, clusters, (1 - abs(value)) ** 2)
        scale = pairs.size / n
        return cls(int((change > 0).sum()) * scale, int((change < 0).sum()) * scale, pairs)

    def interval(self, alpha: float = ALPHA) -> tuple[float, float]:
        """Return the score interval of the difference that leaves ``alpha`` outside."""
        return tango_interval(self.gained, self.lost, self.pairs.size, self.pairs.quantile(alpha))

    def excludes(self, loss: float) -> float:
        """Return the one-sided p-value of a loss of ``loss`` or more (Tango 1998, Section 3).

        At most α/2 exactly where the lower bound of :meth:`interval` lies above −loss.
        """
        return self.pairs.tail(tango_z(self.gained, self.lost, self.pairs.size, -loss))


def paired_proportion(metric: str, old: Bools, new: Bools, margin: float | None, none: str,
                      clusters: Ints | None = None) -> PairedTest:
    """Test the difference of two models' proportions on the same images.

    Args:
        metric: its name.
        old: (n,) whether the old model is right.
        new: (n,) the same of the new model.
        margin: the largest loss that does not matter, a fraction, or None.
        none: the reason where n is 0.
        clusters: (n,) cluster numbers, or None where every image is its own patient.

    Returns:
        Exact p-values of McNemar's test (where patients have several images of the sign test over
        patients), Tango's interval, and where there is a margin the score test of non-inferiority,
        which agrees with the interval. ``cases`` is the effective sample size.
    """
    n = len(old)
    method = METHOD if clusters is None else BY_PATIENT
    if n == 0:
        return PairedTest(metric, method, None, None, Estimate(None, n=0, reason=none),
                          margin=margin, reason=none)
    gained, lost = int((new & ~old).sum()), int((old & ~new).sum())
    found = Discordance.of(old, new, clusters)
    low, high = found.interval()
    up, down = (gained, lost) if clusters is None else _patients(new.astype(np.int64) - old,
                                                                 clusters)
    p = mcnemar_exact(up, down)
    reason = None if p is not None else NO_DISCORDANT if gained + lost == 0 else BALANCED
    return PairedTest(
        metric, method, float(old.mean()), float(new.mean()),
        Estimate((gained - lost) / n, low, high, n), gained, lost, p, margin,
        None if margin is None else found.excludes(margin), p_loss(up, down), low,
        max(int(found.pairs.size + 1e-9), 1),
        None if clusters is None else len(np.unique(clusters)), reason, high)


def _patients(change: Ints, clusters: Ints) -> tuple[int, int]:
    """Count the patients whose images are gained, and lost, on balance."""
    net = by_patient(change.astype(np.float64), clusters)
    return int((net > 0).sum()), int((net < 0).sum())


def _counts(gained: float, lost: float) -> None:
    if gained < 0 or lost < 0:
        raise BadInput(f"{gained} gained and {lost} lost", where="paired",
                       remedy="Counts are 0 or more.")


# ------------------------------------------------------------------ multiplicity


def holm(p_values: list[float]) -> list[float]:
    """Return Holm's adjusted p-values, in the given order (Holm 1979, Scand. J. Stat. 6:65)."""
    order = np.argsort(p_values, kind="stable")
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[int(i)]))
        adjusted[int(i)] = running
    return adjusted
