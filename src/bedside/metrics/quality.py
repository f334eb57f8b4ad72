"""Quality of one cell's decisions and probabilities on one split, as the evidence states it.

What is stated first is what ships: a bundle carries the reference's threshold and temperature, so
the variant's probabilities are assessed at that temperature, and at its own beside it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from bedside.core.evidence import OperatingPoint
from bedside.core.statistics import NetBenefit, Probabilities
from bedside.core.study import EvidenceConfig
from bedside.core.types import Estimate
from bedside.metrics import calibration, net_benefit, probability
from bedside.metrics.compare import Side
from bedside.metrics.design import clusters_of
from bedside.metrics.inputs import log_odds

Ints = npt.NDArray[np.int64]


def quality(side: Side, positive: int | None, locked: OperatingPoint, own: OperatingPoint,
            config: EvidenceConfig, clusters: Ints | None) -> Probabilities:
    """Return metrics at both thresholds, scores at every temperature, and calibration.

    Args:
        side: labels and logits of the images.
        positive: index of the positive class of two, or None.
        locked: the point that ships.
        own: the variant's own point, chosen again.
        config: the resampling's seed.
        clusters: (n,) patients' numbers, or None where every image is its own.

    Returns:
        Without names, split and net benefit.
    """
    labels, logits = side.labels, side.logits

    def score(t: float | None) -> dict[str, Estimate]:
        odds, true = calibration.predicted(labels, logits, positive, t)
        p = expit(odds)
        return {"brier": probability.brier(labels, probability.probabilities(logits, t), positive,
                                           clusters),
                "ece": probability.ece(p, true),
                "ece_debiased": calibration.debiased_error(p, true, clusters)}

    metrics: dict[str, Estimate] = {}
    again: dict[str, Estimate] = {}
    if positive is not None:
        scores, truth = log_odds(logits, positive), (labels == positive).astype(np.int64)
        for point, into in ((locked, metrics), (own, again)):
            into |= probability.at_threshold(
                truth, probability.decide(logits, scores, positive, point) == positive, clusters)
    t = locked.temperature
    odds, true = calibration.predicted(labels, logits, positive, t)
    plain, came = calibration.predicted(labels, logits, positive, None)
    raw = calibration.assess(plain, came, clusters, config.seed)
    return Probabilities(
        "", "", "", metrics, again, score(None), score(t) if t is not None else {},
        probability.reliability(expit(odds), true, clusters),
        probability.reliability(expit(plain), came, clusters), t, own.temperature,
        score(own.temperature) if own.temperature is not None else {},
        raw if t is None else calibration.assess(odds, true, clusters, config.seed), raw)


def probability_threshold(point: OperatingPoint) -> float | None:
    """Return the threshold as the probability that ships, or None without one in (0, 1)."""
    t = point.threshold if point.temperature is None else point.threshold_calibrated
    return t if t is not None and 0 < t < 1 else None


def benefit_at_threshold(old: Side, new: Side, positive: int | None, groups: list[str],
                         config: EvidenceConfig, itself: bool
                         ) -> tuple[NetBenefit | None, str | None]:
    """Return the net benefit where the locked rule decides, paired, or why there is none.

    The threshold probability is the shipped one, which states the costs: whoever calls positive
    from t on holds a missed positive (1 − t) / t times as costly as a false alarm.

    Args:
        old: the reference on the images that both predicted, with the locked point.
        new: the cell on the same images in the same order.
        positive: index of the positive class, or None.
        groups: (n,) patient or group of each image.
        config: prevalence, resamples and seed.
        itself: whether ``new`` is the reference, which has no difference.
    """
    if positive is None:
        return None, "the task names no positive class"
    t = probability_threshold(old.point)
    if t is None:
        return None, "the locked threshold is no probability between 0 and 1"
    truth = old.labels == positive
    if not len(truth) or truth.all() or not truth.any():
        return None, "net benefit needs images of both classes"
    called = [(probability.decide(s.logits, log_odds(s.logits, positive), positive, old.point)
               == positive)[None] for s in (old, new)]
    share = float(truth.mean()) if config.prevalence is None else config.prevalence
    found = net_benefit.compare(
        truth, called[0], called[1], np.array([t]), resamples=config.resamples, seed=config.seed,
        prevalence=config.prevalence, clusters=clusters_of(groups))
    n = len(truth)
    change = (Estimate(None, n=n, reason="the reference itself") if itself else
              Estimate(float(found.difference[0]), float(found.low[0]), float(found.high[0]), n))
    return NetBenefit(t, share, float(found.new[0]), float(found.old[0]),
                      float(found.treat_all[0]), change,
                      net_benefit.FEW if found.few[0] else net_benefit.METHOD), None
