"""Whether probabilities come true: recalibration, debiased error, consistency test, smooth curve.

An expected calibration error alone says little: it is above 0 where every probability is right, and
its bootstrap interval held the truth of a calibrated model 31 to 58% of the time. Why these take
its place: ``docs/decisions/0018-calibration.md``.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logsumexp
from scipy.stats import norm
from scipy.stats import t as student

from bedside.core.statistics import Calibration, CurvePoint
from bedside.core.types import Estimate
from bedside.metrics import design, logistic
from bedside.metrics.inputs import log_odds
from bedside.metrics.probability import BINS, bins_of
from bedside.metrics.recalibration import recalibrate, separated

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

RESAMPLES = 1000
CONSISTENCY = "consistency resampling"
TOGETHER = "consistency resampling, a patient's outcomes drawn together"
ALPHA = 0.05
# Images that each bin of the debiased error should hold, and the curve's smallest sample.
_PER_BIN = 5
_LEAST = 20
_POINTS = 41
# Harrell 2015, Regression Modeling Strategies, Section 2.4.6: quantiles of the knots.
_KNOTS = {3: (0.1, 0.5, 0.9), 4: (0.05, 0.35, 0.65, 0.95)}


def predicted(labels: Ints, logits: Floats, positive: int | None, temperature: float | None
              ) -> tuple[Floats, Floats]:
    """Return the predicted log-odds and the outcome, both (n,): of the class that is assessed.

    Of the positive class where there is one, else of the most probable class (its confidence,
    against whether it is right). Dividing logits by a temperature does not change which that is.

    Args:
        labels: (n,) in [0, K).
        logits: (n, K) finite.
        positive: index of the positive class of two, or None.
        temperature: what the logits are divided by, or None.
    """
    t = 1.0 if temperature is None else temperature
    if positive is not None:
        return log_odds(logits, positive) / t, (labels == positive).astype(np.float64)
    best = logits.argmax(axis=1)
    rows = np.arange(len(labels))
    rest = (logits - logits[rows, best][:, None]) / t
    rest[rows, best] = -np.inf
    odds: Floats = -logsumexp(rest, axis=1) if len(labels) else np.zeros(0)
    return odds, (best == labels).astype(np.float64)


def assess(odds: Floats, true: Floats, clusters: Ints | None = None, seed: int = 0) -> Calibration:
    """Return intercept, slope, consistency test and smooth curve of predicted log-odds.

    Args:
        odds: (n,) finite, from :func:`predicted`.
        true: (n,) outcomes, 0 or 1.
        clusters: (n,) patients' numbers, or None where every image is its own.
        seed: of the resampling.
    """
    intercept, slope, method = recalibrate(true, odds, clusters)
    patients = len(np.unique(clusters)) if clusters is not None else 0
    p, reason = None, None
    if not len(odds):
        reason = "no images"
    elif patients == 1:
        reason = "all images are of one patient"
    else:
        p = consistency(expit(odds), true, clusters, seed)
    points, why = curve(odds, true, clusters)
    return Calibration(intercept, slope, method, CONSISTENCY if clusters is None else TOGETHER, p,
                       reason, points, why, _findings(intercept, slope, p))


def _findings(intercept: Estimate, slope: Estimate, p: float | None) -> tuple[str, ...]:
    found = []
    if intercept.low is not None and intercept.low > 0:
        found.append("too low")
    if intercept.high is not None and intercept.high < 0:
        found.append("too high")
    if slope.low is not None and slope.low > 1:
        found.append("under-confident")
    if slope.high is not None and slope.high < 1:
        found.append("over-confident")
    if not found and p is not None and p < ALPHA:
        found.append("inconsistent")
    return tuple(found)


def words(found: Calibration) -> str:
    """Say what the intervals exclude, and no more than that."""
    if found.intercept.value is None and found.slope.value is None:
        return "cannot be assessed"
    said = {"too low": "probabilities are too low", "too high": "probabilities are too high",
            "under-confident": "under-confident", "over-confident": "over-confident",
            "inconsistent": "probabilities differ from the frequencies"}
    return " and ".join(said[f] for f in found.findings) or "no miscalibration found"


# ------------------------------------------------------------------ the debiased error


def debiased_error(p: Floats, true: Floats, clusters: Ints | None = None) -> Estimate:
    """Return the root mean squared calibration error over bins of equal size, less its bias.

    Source: Kumar, Liang and Ma 2019, NeurIPS, Definition 4.1: from each bin's squared distance the
    variance of its mean outcome is taken, which makes the square unbiased. Where the rest is
    negative the error is 0. The variance is over patients where they have several images. Equal
    probabilities share a bin, and a bin of one image joins its neighbour.

    Args:
        p: (n,) predicted probabilities.
        true: (n,) outcomes, 0 or 1.
        clusters: (n,) patients' numbers, or None.
    """
    n = len(p)
    if n < 2:
        return Estimate(None, n=n, reason="a bin needs two images or more")
    return Estimate(math.sqrt(max(squared_error(p, true, equal_bins(p), clusters), 0.0)), n=n)


def equal_bins(p: Floats) -> Ints:
    """Return the number of the bin of about equal size of each probability, (n,), n of 2 or more.

    At most ten, and so many that five images lie in each.
    """
    count = min(BINS, max(len(p) // _PER_BIN, 1))
    edges = np.unique(np.quantile(p, np.arange(1, count) / count, method="lower"))
    _, number = np.unique(np.searchsorted(edges, p, side="left"), return_inverse=True)
    sizes = np.bincount(number)
    place, taken, target = 0, 0, np.zeros(len(sizes), np.int64)
    for k, size in enumerate(sizes):
        target[k] = place
        taken += int(size)
        if taken >= 2 and sizes[k + 1:].sum() >= 2:
            place, taken = place + 1, 0
    found: Ints = target[number]
    return found


def squared_error(p: Floats, true: Floats, number: Ints, clusters: Ints | None = None) -> float:
    """Return the unbiased squared calibration error of given bins (n,) of two images or more."""
    n, total = len(p), 0.0
    for k in np.unique(number):
        mine = number == k
        count = int(mine.sum())
        mean = float(true[mine].mean())
        variance = mean * (1 - mean) / (count - 1)
        if clusters is not None:
            apart = design.scatter(true[mine] - mean, clusters[mine]) / count**2
            variance = max(variance, apart)
        total += count / n * ((float(p[mine].mean()) - mean) ** 2 - variance)
    return total


# ------------------------------------------------------------------ the consistency test


def consistency(p: Floats, true: Floats, clusters: Ints | None = None, seed: int = 0) -> float:
    """Return the p-value of the expected calibration error if every probability were right.

    Independent images: probabilities are drawn with replacement, and outcomes with those
    probabilities (consistency resampling, Bröcker and Smith 2007, Weather Forecast. 22:651). Where
    patients have several images, outcomes alone are drawn, and a patient's share one random number
    with the probability :func:`togetherness`: each keeps its own probability, and they agree as
    much as these do.

    Args:
        p: (n,) predicted probabilities, n of 1 or more.
        true: (n,) outcomes, 0 or 1.
        clusters: (n,) patients' numbers, or None.
        seed: of the resampling.
    """
    rng = np.random.default_rng(seed)
    n, number = len(p), bins_of(p)
    seen = float(np.abs(np.bincount(number, weights=true - p, minlength=BINS)).sum())
    drawn = np.empty(RESAMPLES)
    if clusters is None:
        for i in range(RESAMPLES):
            rows = rng.integers(0, n, n)
            own = p[rows]
            gaps = (rng.random(n) < own) - own
            drawn[i] = np.abs(np.bincount(number[rows], weights=gaps, minlength=BINS)).sum()
    else:
        _, whose = np.unique(clusters, return_inverse=True)
        whose = whose.reshape(-1)
        patients, share = int(whose.max()) + 1, togetherness(p, true, whose)
        for i in range(RESAMPLES):
            shared = (rng.random(patients) < share)[whose]
            gaps = (np.where(shared, rng.random(patients)[whose], rng.random(n)) < p) - p
            drawn[i] = np.abs(np.bincount(number, weights=gaps, minlength=BINS)).sum()
    # Rounding must not part what is equal.
    return float((1 + (drawn >= seen - 1e-9).sum()) / (RESAMPLES + 1))


def togetherness(p: Floats, true: Floats, clusters: Ints) -> float:
    """Return how far outcomes of a patient go together, from 0 (independent) to 1 (as one draw).

    By moments, over pairs of images of a patient: the products of their distances of outcome and
    probability, over what those would be were both decided by one random number, which for
    probabilities p ≤ q is p (1 − q).

    Args:
        p: (n,) predicted probabilities.
        true: (n,) outcomes, 0 or 1.
        clusters: (n,) patients' numbers.
    """
    found = most = 0.0
    order = np.argsort(clusters, kind="stable")
    edges = np.flatnonzero(np.diff(clusters[order])) + 1
    for rows in np.split(order, edges):
        gaps, own = true[rows] - p[rows], np.sort(p[rows])
        found += float(gaps.sum() ** 2 - np.square(gaps).sum()) / 2
        # Each sorted probability times the sum of 1 − q over the larger ones.
        above = np.cumsum((1 - own)[::-1])[::-1] - (1 - own)
        most += float(own @ above)
    return min(max(found / most, 0.0), 1.0) if most > 0 else 0.0


# ------------------------------------------------------------------ the smooth curve


def curve(odds: Floats, true: Floats, clusters: Ints | None = None
          ) -> tuple[tuple[CurvePoint, ...], str | None]:
    """Return the smooth calibration curve with its pointwise 95% band, or why there is none.

    Logistic regression of the outcome on a restricted cubic spline of the predicted log-odds, with
    four knots from 100 images on and three below (Harrell 2015; Van Calster et al. 2019). The band
    is Wald's on the log-odds, over patients where they have several images. It spans the middle 98%
    of the predictions: beyond them a curve would be drawn through a few images.

    Args:
        odds: (n,) predicted log-odds.
        true: (n,) outcomes, 0 or 1.
        clusters: (n,) patients' numbers, or None.
    """
    n = len(odds)
    cases = logistic.patients_of(clusters, n)
    if cases < _LEAST:
        return (), f"{cases} independent images are too few for a curve ({_LEAST} are needed)"
    knots = np.unique(np.quantile(odds, _KNOTS[4 if cases >= 100 else 3]))
    if len(knots) < 3:
        return (), "too few different probabilities for a curve"
    centre, size = float(odds.mean()), float(odds.std())
    at = (knots - centre) / size
    x = _spline((odds - centre) / size, at)
    zero = np.zeros(n)
    found = None if separated(true, odds) else logistic.fit(x, true, zero)
    if found is None:
        return (), "the outcomes are separated by the probabilities, so no curve fits"
    spread = logistic.covariance(found, x, true, zero, clusters)
    quantile = (float(norm.ppf(0.975)) if clusters is None
                else float(student.ppf(0.975, max(cases - 1, 1))))
    ends = expit(np.quantile(odds, (0.01, 0.99)))
    grid = np.linspace(ends[0], ends[1], _POINTS)
    grid = grid[(grid > 0) & (grid < 1)]
    rows = _spline((np.log(grid) - np.log1p(-grid) - centre) / size, at)
    middle = rows @ found.beta
    half = quantile * np.sqrt(np.einsum("ij,jk,ik->i", rows, spread, rows))
    return tuple(CurvePoint(*map(float, v)) for v in zip(
        grid, expit(middle), expit(middle - half), expit(middle + half), strict=True)), None


def _spline(values: Floats, knots: Floats) -> Floats:
    """Return columns of a restricted cubic spline: 1, x and one for each inner knot.

    Source: Harrell 2015, Regression Modeling Strategies, eq. 2.25; linear beyond the outer knots.
    """
    last, before = knots[-1], knots[-2]
    scale = (last - knots[0]) ** 2

    def cube(v: Floats) -> Floats:
        return np.maximum(v, 0.0) ** 3

    bent = [(cube(values - knot) - cube(values - before) * (last - knot) / (last - before)
             + cube(values - last) * (before - knot) / (last - before)) / scale
            for knot in knots[:-2]]
    return np.column_stack([np.ones(len(values)), values, *bent])
