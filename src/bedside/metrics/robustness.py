"""Paired comparison of two models' losses on degraded images.

A model's change is its AUC (accuracy, where there is no positive class) on degraded images minus
that on clean ones. Two models' changes are compared by a bootstrap over patients that draws both
models, clean and degraded, together; Holm adjusts the comparisons that are read together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from bedside.core.evidence import Answer, PairedTest
from bedside.core.types import Estimate
from bedside.metrics.bootstrap import Resampled, resample
from bedside.metrics.compare import ALPHA
from bedside.metrics.design import clusters_of
from bedside.metrics.inputs import Floats, Labels
from bedside.metrics.paired import Bools, holm, tango_z
from bedside.metrics.paired_auc import difference_test
from bedside.metrics.power import POWER
from bedside.metrics.spread import Spread
from bedside.metrics.stats import Z, auc_estimate

_MOST = 10_000_000
METHOD = "bootstrap over patients, both models together"


@dataclass(frozen=True, slots=True)
class Drawn:
    """Values of every row of scores, and of its bootstrap resamples."""

    metric: str
    values: Floats
    resamples: Resampled
    pairs: int
    n: int


def draw(labels01: Labels, scores: Floats, right: Bools, groups: Sequence[str], metric: str,
         resamples: int, seed: int) -> Drawn | str:
    """Resample rows of scores on the same images, or return why that is impossible.

    Args:
        labels01: (n,) of 0 and 1.
        scores: (m, n) log-odds of class 1; a row a model and a kind of image.
        right: (m, n) whether each decision is right.
        groups: (n,) patient of each image.
        metric: ``auroc`` or ``accuracy``.
        resamples: how many.
        seed: of the draw.
    """
    n = labels01.size
    clusters = clusters_of(groups)
    if clusters is None:
        clusters = np.arange(n, dtype=np.int64)
    positive = labels01 == 1
    if not n:
        return "no validation images"
    if metric == "auroc":
        pairs = min(len(np.unique(clusters[positive])), len(np.unique(clusters[~positive])))
        if not pairs:
            side = "negative" if positive.any() else "positive"
            return f"validation holds no {side} image, and an AUC needs both classes"
        values = np.asarray([auc_estimate(labels01, s).value for s in scores], np.float64)
    else:
        pairs, values = len(np.unique(clusters)), right.mean(axis=1)
    return Drawn(metric, values, resample(labels01, scores, right, clusters, resamples, seed),
                 pairs, n)


def value(drawn: Drawn, row: int) -> Estimate:
    """Return one row's value with the bootstrap's percentile interval."""
    own = drawn.resamples.values[drawn.metric][:, row]
    known, v = own[np.isfinite(own)], float(drawn.values[row])
    if len(known) < 20:
        return Estimate(v, 0.0, 1.0, drawn.n)
    low, high = np.percentile(known, [2.5, 97.5])
    return Estimate(v, min(float(low), v), max(float(high), v), drawn.n)


def paired_loss(drawn: Drawn, old: tuple[int, Sequence[int]], new: tuple[int, Sequence[int]],
                margin: float) -> PairedTest:
    """Test the new model's mean change minus the old one's.

    Args:
        drawn: from :func:`draw`.
        old: the clean row of the old model, and its rows of degraded images.
        new: the same of the new model, in the same order.
        margin: the largest additional loss that does not matter.
    """
    def change(rows: Floats, side: tuple[int, Sequence[int]]) -> Floats:
        difference: Floats = rows[..., list(side[1])].mean(axis=-1) - rows[..., side[0]]
        return difference

    before, after = (float(change(drawn.values, s)) for s in (old, new))
    every = drawn.resamples.values[drawn.metric]
    gaps = change(every, new) - change(every, old)
    known = gaps[np.isfinite(gaps)]
    variance = float(known.var(ddof=1)) if len(known) >= 20 else 0.0
    return difference_test(drawn.metric, METHOD, before, after, Spread(variance), drawn.pairs,
                           drawn.n, margin)


def judge(tests: Sequence[PairedTest]) -> list[tuple[Answer, float]]:
    """Return ``shown`` (non-inferior), ``worse`` or ``not shown``, each with Holm's p-value.

    *Worse* needs a proved additional loss; *shown* excludes one of the margin or more.
    """
    shown = holm([1.0 if t.p_noninferior is None else t.p_noninferior for t in tests])
    worse = holm([1.0 if t.p_worse is None else t.p_worse for t in tests])
    found: list[tuple[Answer, float]] = []
    for s, w in zip(shown, worse, strict=True):
        if w <= ALPHA:
            found.append(("worse", w))
        else:
            found.append(("shown", s) if s <= ALPHA else ("not shown", s))
    return found


def needed(test: PairedTest, family: int) -> int | None:
    """Return the images with which an equally robust variant would be shown so, at 80% power.

    Args:
        test: from :func:`paired_loss`.
        family: how many tests are adjusted together; the strictest of Holm's levels counts.

    Returns:
        The number, or None where the test has no margin or no interval.
    """
    d, cases = test.difference, test.cases
    if test.margin is None or d.low is None or d.high is None or not cases:
        return None
    margin, z = test.margin, float(-ndtri(ALPHA / max(family, 1)))
    # Where the models rank alike no variance is known, and only the number of images counts.
    spread = (d.high - d.low) / (2 * Z) * math.sqrt(cases) if test.p_value is not None else 0.0

    def enough(count: int) -> bool:
        """Return whether a harmless variant's result in 80% of draws excludes the margin."""
        sd = spread / math.sqrt(count)
        loss = float(ndtri(POWER)) * sd
        return (margin - loss >= z * sd
                and tango_z(0.0, min(loss, 1.0) * count, count, -margin) >= z)

    low, high = cases, cases + 1
    while not enough(high):
        low, high = high, 2 * high
        if high > _MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return math.ceil(high * d.n / cases)
