"""Calibration intercept and slope: logistic recalibration of the outcome on the log-odds.

Cox 1958 (Biometrika 45:562); the calibration-in-the-large and the slope of Van Calster et al. 2019
(BMC Med. 17:230). Why these and not an interval of the expected calibration error:
``docs/decisions/0018-calibration.md``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import expit, logit
from scipy.stats import norm
from scipy.stats import t as student

from bedside.core.types import Estimate
from bedside.metrics import logistic
from bedside.metrics.logistic import Floats, Ints

PROFILE = "profile likelihood"
PATIENTS = "profile likelihood, widened by the variance over patients"
FIRTH = "penalised profile likelihood (Firth), as the outcomes are separated"
# Beyond this many standard errors or units a bound says nothing.
_FAR = 60

Curve = Callable[[float], float]


def recalibrate(outcome: Floats, odds: Floats, clusters: Ints | None = None
                ) -> tuple[Estimate, Estimate, str]:
    """Return calibration intercept, calibration slope, and how their intervals were found.

    The intercept is a in logit P(1) = a + odds, the slope b in logit P(1) = a' + b · odds. 0 and 1
    are right; an intercept above 0 means probabilities too low, a slope below 1 probabilities too
    extreme. Intervals (95%): profile likelihood. Where patients have several images the likelihood
    ratio is divided by the ratio of the variance over patients to that over images (Rotnitzky and
    Jewell 1990, Biometrika 77:485; for the slope at least 1), and Student's t stands for the
    normal. The intercept's is always divided by that of its jackknifed variance, because its model
    holds only where the slope is 1. Where the outcomes are separated by the log-odds no estimate
    is finite; Firth's penalty gives one (Firth 1993, Biometrika 80:27; Heinze and Schemper 2002,
    Stat. Med. 21:2409).

    Args:
        outcome: (n,) of 0 and 1.
        odds: (n,) predicted log-odds of 1, finite.
        clusters: (n,) patients' numbers, or None where every image is its own.
    """
    n = len(outcome)
    why = "no images" if n == 0 else None
    if why is None and clusters is not None and len(np.unique(clusters)) < 2:
        why = "all images are of one patient"
    if why is not None:
        none = Estimate(None, n=n, reason=why)
        return none, none, PROFILE
    same = float(np.ptp(outcome)) == 0
    large, penalised = _intercept(outcome, odds, clusters, same)
    if same:
        slope = Estimate(None, n=n, reason="all outcomes are the same")
    elif float(np.ptp(odds)) == 0:
        slope = Estimate(None, n=n, reason="all predicted probabilities are the same")
    else:
        slope, apart = _slope(outcome, odds, clusters)
        penalised = penalised or apart
    return large, slope, FIRTH if penalised else PROFILE if clusters is None else PATIENTS


# ------------------------------------------------------------------ the two parameters


def _intercept(y: Floats, odds: Floats, clusters: Ints | None, same: bool
               ) -> tuple[Estimate, bool]:
    ones = np.ones((len(y), 1))

    def height(a: float) -> float:
        value = logistic.log_likelihood(y, odds + a)
        if same:
            value += 0.5 * math.log(max(float(logistic.information(ones, odds + a)[0, 0]), 1e-300))
        return value

    found = None if same else logistic.fit(ones, y, odds)
    if found is None and not same:
        return Estimate(None, n=len(y), reason=(
            "the probabilities are all so near 0 or 1 that no common shift fits them")), False
    if found is None:
        best = _highest(height, -float(np.median(odds)), 4.0 + float(np.ptp(odds)))
        spread = 1 / math.sqrt(max(float(logistic.information(ones, odds + best)[0, 0]), 1e-12))
    else:
        best, spread = float(found.beta[0]), 1 / math.sqrt(float(found.information[0, 0]))
    # A slope of 1 is assumed here and may be wrong, so the likelihood's variance may be, too.
    whose = np.arange(len(y)) if clusters is None else clusters
    ratio = 1.0 if found is None else _ratio(found, ones, y, odds, whose, 0)
    return _estimate(height, best, spread, ratio, clusters, len(y)), found is None


def _slope(y: Floats, odds: Floats, clusters: Ints | None) -> tuple[Estimate, bool]:
    # In units of the log-odds' own spread about their centre, so that any scale is as well posed.
    centre, size = float(odds.mean()), float(odds.std())
    scaled = (odds - centre) / size
    x = np.column_stack([np.ones(len(y)), scaled])
    zero = np.zeros(len(y))
    found = None if separated(y, odds) else logistic.fit(x, y, zero)

    def inner(b: float) -> Callable[[float], float]:
        def of(a: float) -> float:
            eta = a + b * scaled
            value = logistic.log_likelihood(y, eta)
            sign, log_det = np.linalg.slogdet(logistic.information(x, eta))
            return value + 0.5 * float(log_det) if sign > 0 else value - 1e3
        return of

    def height(b: float) -> float:
        if found is None:
            of = inner(b)
            # The centre of the jump between the outcomes lies within the log-odds' range.
            reach = 4.0 + abs(b) * float(np.abs(scaled).max())
            return of(_highest(of, 0.0, reach))
        # The intercept with which the mean probability is the mean outcome; it rises with it.
        reach = abs(b) * float(np.abs(scaled).max()) + abs(float(logit(y.mean()))) + 1.0
        a = brentq(lambda v: float(expit(v + b * scaled).mean() - y.mean()), -reach, reach,
                   xtol=1e-12)
        return logistic.log_likelihood(y, a + b * scaled)

    if found is None:
        best = _highest(height, 0.0, 60.0)
        spread = max(abs(best), 1.0) / 2
        ratio = 1.0
    else:
        best = float(found.beta[1])
        spread = math.sqrt(float(np.linalg.inv(found.information)[1, 1]))
        ratio = 1.0 if clusters is None else max(_ratio(found, x, y, zero, clusters, 1), 1.0)
    told = _estimate(height, best, spread, ratio, clusters, len(y))

    def back(v: float | None) -> float | None:
        return None if v is None else v / size

    return Estimate(back(told.value), back(told.low), back(told.high), told.n), found is None


def separated(y: Floats, odds: Floats) -> bool:
    """Return whether a threshold on the log-odds (n,) parts the outcomes (n,), either way round.

    Also where all outcomes are the same.
    """
    on, off = odds[y == 1], odds[y == 0]
    return not len(on) or not len(off) or bool(on.min() >= off.max() or on.max() <= off.min())


def _ratio(found: logistic.Fit, x: Floats, y: Floats, offset: Floats, clusters: Ints,
           place: int) -> float:
    """Return the variance over patients by that over images of one coefficient."""
    robust = logistic.covariance(found, x, y, offset, clusters)[place, place]
    plain = np.linalg.inv(found.information)[place, place]
    return float(robust / plain)


# ------------------------------------------------------------------ likelihoods


def _highest(height: Curve, centre: float, reach: float) -> float:
    return float(minimize_scalar(lambda v: -height(v), bounds=(centre - reach, centre + reach),
                                 method="bounded", options={"xatol": 1e-9}).x)


def _estimate(height: Curve, best: float, spread: float, ratio: float, clusters: Ints | None,
              n: int) -> Estimate:
    """Return the values whose likelihood ratio, divided by ``ratio``, is not rejected at 5%."""
    cases = logistic.patients_of(clusters, n)
    quantile = (float(norm.ppf(0.975)) if clusters is None
                else float(student.ppf(0.975, max(cases - 1, 1))))
    limit = quantile**2 * ratio
    top = height(best)

    def below(v: float) -> float:
        return 2 * (top - height(v)) - limit

    def bound(side: int) -> float | None:
        step = spread * math.sqrt(limit)
        inside = best
        for _ in range(_FAR):
            outside = inside + side * step
            if below(outside) > 0:
                return float(brentq(below, inside, outside, xtol=1e-9))
            inside, step = outside, 1.5 * step
        return None

    low, high = bound(-1), bound(1)
    if low is None or high is None:
        return Estimate(None, n=n, reason="the likelihood is flat, so no interval exists")
    return Estimate(best, low, high, n)
