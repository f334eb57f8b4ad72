"""Paired differences of macro one-vs-rest means, for tasks without a positive class."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtr

from bedside.core.evidence import PairedTest
from bedside.core.types import Estimate
from bedside.metrics.inputs import Floats, Labels, log_odds
from bedside.metrics.paired import Bools, difference_test, tango_interval
from bedside.metrics.stats import Z, auc_influence


def absent(labels: Labels, classes: int) -> str | None:
    """Return why a macro mean is undefined, or None."""
    none = np.flatnonzero(np.bincount(labels, minlength=classes) == 0)
    if not len(none):
        return None
    return f"no images of class {', '.join(str(k) for k in none)} (counting from 0)"


def sensitivity(labels: Labels, old: Bools, new: Bools, classes: int, margin: float) -> PairedTest:
    """Test the mean over classes of the change of recall; MOVER on each class's Tango interval.

    Classes are disjoint images and so independent (Zou and Donner 2008, Stat. Med. 27:1693). The
    one-sided p-values come from the spread that MOVER recovers on their side.

    Args:
        labels: (n,) in [0, K).
        old: (n,) whether the old model is right.
        new: the same of the new model.
        classes: K.
        margin: the largest loss that does not matter.
    """
    name, method = "macro_sensitivity", "MOVER on Tango"
    reason = absent(labels, classes)
    if reason is not None:
        return PairedTest(name, method, None, None, Estimate(None, n=len(labels), reason=reason),
                          margin=margin, reason=reason)
    values, down, up, before = [], 0.0, 0.0, []
    for k in range(classes):
        mine = labels == k
        gained, lost = int((new & ~old & mine).sum()), int((old & ~new & mine).sum())
        n = int(mine.sum())
        low, high = tango_interval(gained, lost, n)
        value = (gained - lost) / n
        values.append(value)
        before.append(float(old[mine].mean()))
        down += (value - low) ** 2
        up += (high - value) ** 2
    mean = float(np.mean(values))
    below, above = math.sqrt(down) / classes, math.sqrt(up) / classes
    worse = _tail(mean, above) if mean else None
    return PairedTest(
        name, method, float(np.mean(before)), float(np.mean(before)) + mean,
        Estimate(mean, mean - below, mean + above, len(labels)),
        int((new & ~old).sum()), int((old & ~new).sum()), None, margin,
        _tail(-(mean + margin), below), worse, mean - below,
        len(labels), reason="a mean of several classes has no exact test")


def _tail(value: float, half: float) -> float:
    """Return P(below ``value``) of a normal around 0 whose 95% interval reaches to ``half``.

    The interval has no width on a side where every image was lost or every one gained: the change
    cannot be larger.
    """
    if half > 0.0:
        return float(ndtr(value * Z / half))
    return 1.0 if value >= 0.0 else 0.0


def auroc(labels: Labels, old: Floats, new: Floats, margin: float) -> PairedTest:
    """Test the mean over classes of the change of one-vs-rest AUC, from each image's influence.

    Args:
        labels: (n,) in [0, K).
        old: (n, K) logits.
        new: (n, K) logits.
        margin: the largest loss that does not matter.
    """
    name, method, classes = "macro_auroc", "DeLong, macro one-vs-rest", old.shape[1]
    reason = absent(labels, classes)
    if reason is not None:
        return PairedTest(name, method, None, None, Estimate(None, n=len(labels), reason=reason),
                          margin=margin, reason=reason)
    means, influence = [], np.zeros(len(labels))
    for logits, sign in ((old, -1.0), (new, 1.0)):
        areas = []
        for k in range(classes):
            area, part = auc_influence(labels == k, log_odds(logits, k))
            areas.append(area)
            influence += sign * part / classes
        means.append(float(np.mean(areas)))
    n = len(labels)
    variance = float(np.square(influence).sum()) * n / max(n - 1, 1)
    rarest = int(np.bincount(labels, minlength=classes).min())
    return difference_test(name, method, means[0], means[1], variance, rarest, n, margin)
