"""The spread of a difference of two AUCs: variance, skewness, and how well both are known.

Where two models rank nearly alike, few images move, some of them far: a normal interval then holds
the truth too seldom, and on one side. Numbers: ``docs/decisions/0011-paired-tests.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bedside.metrics.design import Bools, Floats, Ints, Precision, bessel, by_patient, effective

LEAST_DF = 2.0


@dataclass(frozen=True, slots=True)
class Spread:
    """The sampling distribution of an estimate, by moments.

    The studentised distance t from a hypothesis is corrected for skewness by Hall's cubic
    transformation (1992, J. R. Stat. Soc. B 54:221), which is monotone, so that test and interval
    agree, and held against Student's t.
    """

    variance: float
    skewness: float = 0.0
    df: float = math.inf

    def corrected(self, t: float) -> float:
        """Return t + s t² / 3 + s² t³ / 27 + s / 6 for the skewness s of the estimate."""
        s = self.skewness
        return t + s * t * t / 3 + s * s * t**3 / 27 + s / 6

    def at_least(self, distance: float) -> float:
        """Return P(a distance from the hypothesis of at least ``distance``), one-sided."""
        return Precision(0.0, self.df).tail(self.corrected(distance / math.sqrt(self.variance)))

    def at_most(self, distance: float) -> float:
        """Return P(a distance from the hypothesis of at most ``distance``), one-sided."""
        return Precision(0.0, self.df).tail(-self.corrected(distance / math.sqrt(self.variance)))

    def interval(self, value: float, alpha: float) -> tuple[float, float]:
        """Return the differences that neither side rejects at ``alpha`` / 2."""
        q, sd = Precision(0.0, self.df).quantile(alpha), math.sqrt(self.variance)
        return value - sd * self._distance(q), value - sd * self._distance(-q)

    def _distance(self, corrected: float) -> float:
        """Invert :meth:`corrected`."""
        s = self.skewness
        if abs(s) < 1e-9:
            return corrected
        return 3 * (float(np.cbrt(1 + s * (corrected - s / 6))) - 1) / s


def auc_spread(positive: Bools, influence: Floats, clusters: Ints) -> Spread:
    """Return the spread of an AUC, or of a difference of two; variance 0 with one patient a class.

    The variance is Obuchowski's (1997, Biometrics 53:567), with one image a patient DeLong's, times
    (1 + 1/m + 1/n)² for m and n patients of like size: without that factor, which simulation chose,
    20 patients of a class hold the truth in 92%. Its degrees of freedom are Satterthwaite's for two
    samples with the excess kurtosis that the patients show, var(s²) = σ⁴ (2 / (n − 1) + κ / n).

    Args:
        positive: (n,).
        influence: (n,) of every image on the AUC (:func:`bedside.metrics.stats.auc_influence`).
        clusters: (n,) cluster numbers.
    """
    sides = (positive, ~positive)
    counts = [len(np.unique(clusters[side])) for side in sides]
    if min(counts) < 2:
        return Spread(0.0)
    on, off = (by_patient(np.where(s, influence, 0.0), clusters) for s in sides)
    squares = [float(np.square(part).sum()) for part in (on, off)]
    own = [square * bessel(count) for square, count in zip(squares, counts, strict=True)]
    # Both sides of a patient may cancel, up to rounding.
    variance = max(sum(own) + 2 * float(on @ off) * bessel(len(on)), 0.0)
    if variance <= 0 or sum(own) <= 0:
        return Spread(0.0)
    uncertain = 0.0
    alike = [effective(clusters[side]) for side in sides]
    for part, like, square, count, v in zip((on, off), alike, squares, counts, own, strict=True):
        if square > 0:
            excess = max(count * float((part**4).sum()) / square**2 - 3, 0.0)
            uncertain += v * v * (2 / max(like - 1, 1) + excess / count)
    skewness = float(((on + off) ** 3).sum()) / variance**1.5
    few = 1 + sum(1 / like for like in alike)
    return Spread(variance * few**2, skewness, max(2 * sum(own) ** 2 / uncertain, LEAST_DF))
