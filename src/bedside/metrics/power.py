"""Power of paired tests: the probability that every endpoint together is shown non-inferior.

The variant is assumed harmless: no true difference, and decisions that differ from float32's on a
share of the images, as often for the better as for the worse. The power is that of the tests that
``evidence`` runs, all endpoints at once, since all must be shown. Proportions are summed over what
may be gained and lost; normal approximations (Nam 1997, Biometrics 53:1422) promise 80% where few
pairs differ and give half of it.

A further endpoint on the positives or the negatives is a :class:`PairEndpoint`; one of any other
kind is a :class:`Part`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, chdtri, ndtr, ndtri
from scipy.stats import binom

from bedside.metrics.design import PRIOR, Precision
from bedside.metrics.stats import Z

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

POWER = 0.8
# Level of the upper limit that takes an observed quantity's place: Browne 1995, Stat. Med. 14:1933.
PESSIMISM = 0.8
MOST = 10**8


class PairEndpoint(Protocol):
    """A non-inferiority test of the pairs gained and lost among the images of one class."""

    @property
    def metric(self) -> str:
        """Return its name."""
        ...

    def shown(self, gained: Floats, lost: Floats, pairs: float, quantile: float) -> Bools:
        """Return for each count whether non-inferiority is shown; never more often as lost grows.

        Args:
            gained: (m,) pairs right in the new model only.
            lost: (m,) pairs right in the old model only.
            pairs: all independent pairs.
            quantile: the one-sided critical value.
        """
        ...


@dataclass(frozen=True, slots=True)
class Difference:
    """Tango's test of a loss of ``margin`` or more, for sensitivity or specificity."""

    metric: str
    margin: float

    def shown(self, gained: Floats, lost: Floats, pairs: float, quantile: float) -> Bools:
        """Return where Tango's statistic reaches the quantile (:class:`PairEndpoint`)."""
        d = -self.margin
        a, b = 2 * pairs, -gained - lost + (2 * pairs - gained + lost) * d
        c = -lost * d * (1 - d)
        nuisance = (np.sqrt(np.maximum(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
        variance = pairs * (2 * nuisance + d * (1 - d))
        reached: Bools = (gained - lost - pairs * d
                          >= quantile * np.sqrt(np.maximum(variance, 0.0)))
        return reached


class Part(Protocol):
    """Endpoints whose result is independent of the other parts'."""

    def power(self, scale: float, alpha: float) -> float:
        """Return the probability that all of its endpoints are shown.

        Args:
            scale: the study's size, relative to that which the part describes.
            alpha: one-sided level.
        """
        ...


@dataclass(frozen=True, slots=True)
class Pairs:
    """The images of one class: their endpoints are decided by the same pairs, and so together.

    ``images`` are worth ``images`` / ``effect`` independent ones. The test does not know the
    effect: it estimates ``patients`` worth of it (:func:`bedside.metrics.design.precision`).
    """

    endpoints: tuple[PairEndpoint, ...]
    images: float
    discordance: float
    effect: float = 1.0
    patients: float = math.inf

    def power(self, scale: float, alpha: float) -> float:
        """Sum the binomial probabilities of all counts of gained and lost with which all pass."""
        images, patients = self.images * scale, self.patients * scale
        each, seen, df = self.effect, self.effect, math.inf
        if math.isfinite(patients):
            size, informed = images / patients, self.discordance * patients
            seen = max((informed * self.effect + PRIOR * size) / (informed + PRIOR), 1.0)
            varies = (seen - 1) / seen * informed * self.effect / (
                informed * self.effect + PRIOR * size)
            df = max(patients - 1, 1.0) / varies**2 if varies > 0 else math.inf
        independent = max(int(images / each), 1)
        quantile = Precision(images, df).quantile(2 * alpha)
        spread = 5 * math.sqrt(independent * self.discordance) + 5
        counts = np.arange(max(0, int(independent * self.discordance - spread)),
                           min(independent, int(independent * self.discordance + spread)) + 1)
        weight, pairs = each / seen, images / seen

        def passes(lost: Floats) -> Bools:
            told = np.ones(len(counts), np.bool_)
            for e in self.endpoints:
                told &= e.shown((counts - lost) * weight, lost * weight, pairs, quantile)
            return told

        # The more of the discordant pairs are lost, the less is shown: the most that may be.
        low, high = np.full(len(counts), -1.0), counts.astype(np.float64)
        while (low < high).any():
            middle = np.ceil((low + high) / 2)
            told = passes(np.maximum(middle, 0.0)) & (middle >= 0)
            low, high = np.where(told, middle, low), np.where(told, high, middle - 1)
        chance = binom.pmf(counts, independent, self.discordance)
        return float(np.sum(np.where(low >= 0, chance * binom.cdf(low, counts, 0.5), 0.0)))


@dataclass(frozen=True, slots=True)
class Area:
    """The AUC's endpoint: a normal difference, bounded by what ``cases`` could prove.

    ``sd`` is of the difference; ``cases`` are independent ones of the rarer class.
    """

    metric: str
    margin: float
    sd: float
    cases: float
    df: float = math.inf

    def power(self, scale: float, alpha: float) -> float:
        """Return P(difference above the larger of both bounds)."""
        sd, cases = self.sd / math.sqrt(scale), self.cases * scale
        quantile = Precision(cases, self.df * scale).quantile(2 * alpha)
        bound = max(quantile * sd - self.margin, self._floor(cases, float(-ndtri(alpha))))
        return float(ndtr(-bound / sd)) if sd > 0 else float(bound <= 0)

    def _floor(self, cases: float, quantile: float) -> float:
        """Return the least difference with which ``cases`` independent pairs exclude the margin."""
        rule = Difference(self.metric, self.margin)
        low, high = -self.margin, 1.0
        for _ in range(30):
            middle = (low + high) / 2
            gained, lost = (np.array([max(s * middle, 0.0) * cases]) for s in (1, -1))
            low, high = (low, middle) if rule.shown(gained, lost, cases, quantile)[0] else (
                middle, high)
        return high


@dataclass(frozen=True, slots=True)
class Mean:
    """The endpoint of a mean over classes, from the half-width of its 95% interval.

    ``sd`` is that half-width in normal standard deviations. Where no image differs (``agreed``)
    the interval is as wide as few cases make it: it shrinks as z² / (n + z²), not as z / √n.
    """

    metric: str
    margin: float
    sd: float
    agreed: bool = False

    def power(self, scale: float, alpha: float) -> float:
        """Return P(the lower bound excludes the margin) around no difference."""
        quantile = float(-ndtri(alpha))
        if self.agreed:
            half = self.sd * Z * (quantile / Z) ** 2 / scale ** (1 / 1.2)
            return float(half <= self.margin)
        sd = self.sd / math.sqrt(scale)
        return float(ndtr(self.margin / sd - quantile))


def joint(parts: Sequence[Part], scale: float, alpha: float) -> float:
    """Return the probability that every endpoint of every part is shown."""
    total = 1.0
    for part in parts:
        total *= part.power(scale, alpha)
        if total < POWER / 10:  # cannot recover
            break
    return total


def smallest(enough: Callable[[int], bool], start: int = 1) -> int | None:
    """Return the smallest n of ``start`` or more that is enough, to half a percent; None above 1e8.

    The power goes up in steps and falls a little between them, so this is one of the crossings.
    """
    if enough(start):
        return start
    low, high = start, max(2 * start, start + 1)
    while not enough(high):
        low, high = high, 2 * high
        if high > MOST:
            return None
    while high - low > max(1, high // 200):
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


# ------------------------------------------------------------------ what was observed


def upper_share(count: float, n: float) -> float:
    """Return the upper 80% confidence limit of a share (Clopper and Pearson 1934).

    A plan that takes the observed share at its word has its power half of the time; with this limit
    it has it in four of five (Browne 1995, Stat. Med. 14:1933).

    Args:
        count: observed among ``n``, both counted as independent cases.
        n: more than 0.
    """
    return 1.0 if count >= n else float(betaincinv(count + 1, n - count, PESSIMISM))


def observed_effect(images: float, patients: float, differ: float, cases: float) -> float:
    """Return the design effect behind an effective sample size, without the patient added to it.

    Args:
        images: n.
        patients: who have them.
        differ: share of images that are discordant.
        cases: the effective sample size (:func:`bedside.metrics.design.precision`).
    """
    informed, size = differ * patients, images / patients
    if informed == 0:
        return size
    effect = (images / cases * (informed + PRIOR) - PRIOR * size) / informed
    return min(max(effect, 1.0), images / min(cases, patients))


def upper_sd(sd: float, df: float) -> float:
    """Return the upper 80% confidence limit of a standard deviation of ``df`` degrees (Browne)."""
    return sd * math.sqrt(df / float(chdtri(df, PESSIMISM))) if math.isfinite(df) else sd
