"""Temperature, decision threshold, Brier score and calibration error of probabilities.

Temperature and threshold are chosen on validation images. Scores are log-odds of the positive class
(for two classes the logit difference, positive minus other).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import expit, logsumexp, softmax

from bedside.core.evidence import OperatingPoint
from bedside.core.statistics import ReliabilityBin
from bedside.core.study import EvidenceConfig
from bedside.core.types import Estimate
from bedside.metrics import design
from bedside.metrics.bootstrap import mean_interval
from bedside.metrics.inputs import Floats, Labels
from bedside.metrics.stats import share

BINS = 10
# Temperatures that are searched, in units of the logits' mean size.
COLDEST, HOTTEST = 0.002, 200.0
_NOTHING = "the logits say nothing about validation images, so no temperature fits"

Bools = npt.NDArray[np.bool_]


# ------------------------------------------------------------------ temperature


def temperature(labels: Labels, logits: Floats) -> tuple[float | None, str | None]:
    """Return the temperature T of least cross-entropy of softmax(logits / T), or why none has.

    Source: Guo et al. 2017, ICML, Section 4.2. The loss is convex in 1/T.

    Args:
        labels: (n,) in [0, K).
        logits: (n, K) finite.
    """
    if len(np.unique(labels)) < 2:
        return None, "validation holds images of one class only"
    centred = logits - logits.mean(axis=1, keepdims=True)
    size = float(np.abs(centred).mean())
    if size == 0:
        return None, _NOTHING
    rows = np.arange(len(labels))
    others = centred.copy()
    others[rows, labels] = -np.inf
    if (centred[rows, labels] > others.max(axis=1)).all():
        return None, ("validation images are separated perfectly, so ever colder probabilities "
                      "fit ever better")
    scaled = centred / size
    own = scaled[rows, labels]

    def loss(log_t: float) -> float:
        t = math.exp(log_t)
        return float(np.mean(logsumexp(scaled / t, axis=1) - own / t))

    found = minimize_scalar(loss, bounds=(math.log(COLDEST), math.log(HOTTEST)),
                            method="bounded", options={"xatol": 1e-8})
    t = float(math.exp(found.x))
    if t > HOTTEST / 1.02:
        return None, _NOTHING
    return t * size, None


# ------------------------------------------------------------------ decision threshold


def choose(labels01: Labels, scores: Floats, config: EvidenceConfig
           ) -> tuple[float, str, str | None]:
    """Choose a threshold in log-odds; return it, its rule, and why another rule was used.

    Candidates lie halfway between neighbouring scores, so that a last digit decides nothing. Of
    thresholds that the rule finds equal the lowest is taken: it misses the fewest positives.

    Args:
        labels01: (n,) of 0 and 1, validation images.
        scores: (n,) log-odds.
        config: ``youden`` takes the largest sensitivity + specificity − 1 (Youden 1950, Cancer
            3:32), ``sensitivity`` the highest threshold with the required sensitivity.
    """
    if config.threshold == "largest":
        return 0.0, "the larger logit", None
    positives = int(labels01.sum())
    if positives in (0, len(labels01)):
        side = "positive" if positives == 0 else "negative"
        return 0.0, "the larger logit", f"validation holds no {side} image to choose by"
    cuts, true, false = _cuts(labels01, scores)
    sensitivity = true / positives
    if config.threshold == "sensitivity":
        good = np.flatnonzero(sensitivity >= config.required_sensitivity - 1e-12)
        return (float(cuts[good[-1]]),
                f"validation sensitivity of at least {config.required_sensitivity:g}", None)
    youden = sensitivity - false / (len(labels01) - positives)
    best = int(np.flatnonzero(youden >= youden.max() - 1e-12)[0])
    return float(cuts[best]), "the largest sensitivity + specificity on validation", None


def _cuts(labels01: Labels, scores: Floats) -> tuple[Floats, Floats, Floats]:
    """Return thresholds in rising order, with the positives and negatives at or above each."""
    values = np.unique(scores)
    inner = values[:-1] + (values[1:] - values[:-1]) / 2
    # Rounding may put a midpoint on the lower value, which would count it in.
    inner = np.where(inner > values[:-1], inner, values[1:])
    cuts = np.r_[values[0] - 1.0, inner, values[-1] + 1.0]
    on, off = np.sort(scores[labels01 == 1]), np.sort(scores[labels01 == 0])
    true = np.asarray(len(on) - np.searchsorted(on, cuts, side="left"), np.float64)
    false = np.asarray(len(off) - np.searchsorted(off, cuts, side="left"), np.float64)
    return cuts, true, false


def operating_point(labels: Labels, logits: Floats, positive: int | None, scores: Floats | None,
                    config: EvidenceConfig) -> OperatingPoint:
    """Choose threshold and temperature of one model from its validation images.

    Args:
        labels: (n,) in [0, K).
        logits: (n, K).
        positive: index of the positive class, or None where the largest logit decides.
        scores: (n,) log-odds of the positive class.
        config: the rule.
    """
    n = len(labels)
    t, why = temperature(labels, logits) if n else (None, "no validation images")
    if positive is None or scores is None:
        return OperatingPoint("the largest logit", n, temperature=t, temperature_reason=why)
    if n == 0:
        chosen: tuple[float, str, str | None] = (
            0.0, "the larger logit", "no validation images to choose by")
    else:
        chosen = choose((labels == positive).astype(np.int64), scores, config)
    cut, rule, reason = chosen
    return OperatingPoint(rule, n, cut, float(expit(cut)), t,
                          None if t is None else float(expit(cut / t)), reason, why)


def decide(logits: Floats, scores: Floats | None, positive: int | None, point: OperatingPoint
           ) -> Labels:
    """Return the class of every image, (n,): by the point's threshold, else the largest logit."""
    if scores is None or positive is None or point.threshold_log_odds is None:
        best: Labels = logits.argmax(axis=1).astype(np.int64)
        return best
    called = scores >= point.threshold_log_odds
    classes: Labels = np.where(called, positive, 1 - positive).astype(np.int64)
    return classes


def at_threshold(labels01: Labels, called: Bools, clusters: Labels | None = None
                 ) -> dict[str, Estimate]:
    """Compute accuracy, sensitivity, specificity and predictive values, with Wilson's intervals.

    Args:
        labels01: (n,) of 0 and 1.
        called: (n,) whether called positive.
        clusters: (n,) the patient's number of every image, None where every image is its own.
    """
    truth = labels01 == 1
    right = truth == called

    def among(chosen: Bools, hits: Bools, none: str) -> Estimate:
        return share(hits[chosen], design.of(clusters, chosen), none)

    return {"accuracy": share(right, clusters, "no images"),
            "sensitivity": among(truth, called, "no positive images"),
            "specificity": among(~truth, ~called, "no negative images"),
            "ppv": among(called, truth, "no image is called positive"),
            "npv": among(~called, ~truth, "no image is called negative")}


# ------------------------------------------------------------------ how good probabilities are


def probabilities(logits: Floats, t: float | None) -> Floats:
    """Return the softmax of logits (n, K), divided by the temperature where there is one."""
    shares: Floats = softmax(logits / (t if t is not None else 1.0), axis=1)
    return shares


def brier(labels: Labels, shares: Floats, positive: int | None, clusters: Labels | None = None
          ) -> Estimate:
    """Return the mean squared error of probabilities (Brier 1950, Mon. Weather Rev. 78:1).

    With a positive class of its probability, in [0, 1]; otherwise over all classes, halved so that
    it lies in [0, 1] too and both agree for two classes. ``clusters`` as in :func:`at_threshold`.
    """
    n = len(labels)
    if n == 0:
        return Estimate(None, n=0, reason="no images")
    if positive is not None:
        errors = np.square(shares[:, positive] - (labels == positive))
    else:
        errors = np.square(shares - np.eye(shares.shape[1])[labels]).sum(axis=1) / 2
    low, high = mean_interval(errors, clusters)
    return Estimate(float(errors.mean()), low, high, n)


def bins_of(p: Floats) -> Labels:
    """Return the number of the bin of equal width that holds each probability, (n,)."""
    return np.minimum((p * BINS).astype(np.int64), BINS - 1)


def ece(p: Floats, true: Floats) -> Estimate:
    """Return the expected calibration error over ten bins of equal width, without an interval.

    Source: Naeini et al. 2015, AAAI; Guo et al. 2017. Few images push it upward even where every
    probability is right, so that no interval about it covers: :mod:`bedside.metrics.calibration`
    has what can be tested.

    Args:
        p: (n,) predicted probabilities.
        true: (n,) outcomes, 0 or 1.
    """
    n = len(p)
    if n == 0:
        return Estimate(None, n=0, reason="no images")
    gaps = np.bincount(bins_of(p), weights=true - p, minlength=BINS)
    return Estimate(float(np.abs(gaps).sum() / n), n=n)


def reliability(p: Floats, true: Floats, clusters: Labels | None = None
                ) -> tuple[ReliabilityBin, ...]:
    """Return ten bins of equal width: mean probability, and observed frequency (Wilson)."""
    number = bins_of(p)
    bins = []
    for k in range(BINS):
        mine = number == k
        count = int(mine.sum())
        bins.append(ReliabilityBin(
            k / BINS, (k + 1) / BINS, float(p[mine].mean()) if count else None,
            share(true[mine] == 1, design.of(clusters, mine), "no image in this bin")))
    return tuple(bins)
