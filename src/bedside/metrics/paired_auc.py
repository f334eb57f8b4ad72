"""Paired test of two areas under the ROC curve of the same images; differences are new minus old.

Which interval and which test is used, and why: ``docs/decisions/0011-paired-tests.md``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from bedside.core.evidence import PairedTest
from bedside.core.types import Estimate
from bedside.metrics.design import Ints, effective
from bedside.metrics.paired import tango_interval, tango_z
from bedside.metrics.spread import Spread, auc_spread
from bedside.metrics.stats import ALPHA, Floats, auc_influence

METHOD = "DeLong"
BY_PATIENT = "DeLong over patients (Obuchowski)"
ALIKE = ("the variance of the difference has no estimate: both models rank the images alike, or a "
         "class has one image")


def paired_auc(metric: str, labels01: npt.NDArray[np.int64], old: Floats, new: Floats,
               margin: float | None, clusters: Ints | None = None) -> PairedTest:
    """Test two areas under the ROC curve of the same images.

    The variance is DeLong's (DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44:837), over
    patients Obuchowski's (1997, Biometrics 53:567). Where both models rank the images alike it is
    0 and the test does not exist; then the difference is tested on the k disjoint pairs of a
    positive and a negative that the images hold, which bound the answer everywhere else.

    Args:
        metric: its name.
        labels01: (n,) of 0 and 1.
        old: (n,) scores without NaN.
        new: (n,) the same of the new model.
        margin: as for :func:`bedside.metrics.paired.paired_proportion`.
        clusters: likewise.
    """
    method = METHOD if clusters is None else BY_PATIENT
    positive, n = labels01 == 1, len(labels01)
    if positive.all() or not positive.any():
        side = "negative" if positive.any() else "positive"
        reason = f"no {side} images: an AUC needs both classes"
        return PairedTest(metric, method, None, None, Estimate(None, n=n, reason=reason),
                          margin=margin, reason=reason)
    before, was = auc_influence(positive, old)
    after, now = auc_influence(positive, new)
    whose = np.arange(n) if clusters is None else clusters
    spread = auc_spread(positive, now - was, whose)
    pairs = min(effective(whose[side]) for side in (positive, ~positive))
    patients = None if clusters is None else min(
        len(np.unique(whose[side])) for side in (positive, ~positive))
    return difference_test(metric, method, before, after, spread, pairs, n, margin, patients)


def difference_test(metric: str, method: str, old: float, new: float, spread: Spread,
                    pairs: int, n: int, margin: float | None, clusters: int | None = None
                    ) -> PairedTest:
    """Test a paired difference from its spread, bounded by ``pairs`` independent cases.

    ``difference`` holds the interval from the spread. ``excluded`` and ``reached`` are what
    decides: they also hold the differences that ``pairs`` cases had no chance to show.

    Args:
        metric: its name.
        method: how the spread came about.
        old: the old model's value in [0, 1].
        new: the new model's.
        spread: of the difference; of variance 0 (to rounding) where both models rank alike.
        pairs: independent cases that each would show a loss.
        n: images.
        margin: as for :func:`bedside.metrics.paired.paired_proportion`.
        clusters: patients, where they have several images.
    """
    value = new - old
    gained, lost = max(value, 0.0) * pairs, max(-value, 0.0) * pairs
    floor, ceiling = tango_interval(gained, lost, pairs)
    few = None if margin is None else float(ndtr(-tango_z(gained, lost, pairs, -margin)))
    if spread.variance <= 1e-15:
        z = tango_z(gained, lost, pairs, 0.0)
        return PairedTest(metric, method, old, new, Estimate(value, floor, ceiling, n), None, None,
                          None, margin, few, None if z == 0 else float(ndtr(z)), floor, pairs,
                          clusters, ALIKE, ceiling)
    low, high = spread.interval(value, ALPHA)
    low, high = max(min(low, value), -1.0), min(max(high, value), 1.0)
    worse = spread.at_most(value)
    return PairedTest(
        metric, method, old, new, Estimate(value, low, high, n), None, None,
        min(2 * min(worse, spread.at_least(value)), 1.0), margin,
        None if margin is None or few is None else max(spread.at_least(value + margin), few),
        worse, min(low, floor), pairs, clusters, None, max(high, ceiling))
