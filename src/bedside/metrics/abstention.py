"""Where a model gives no class, found on validation by conformal risk control.

Source: Angelopoulos et al. 2022, "Conformal risk control" (ICLR 2024), Theorem 1: with n
exchangeable cases and a loss in [0, 1] that falls as the band widens, the smallest band with
(n R + 1) / (n + 1) at most the target keeps the expected loss of the next case at or below it. A
case is a patient, whose loss is the mean over the images. The guarantee is over draws of the
validation images. They also chose the threshold and the epoch, so the report holds it against the
test images.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from bedside.core.statistics import Abstained
from bedside.core.study import EvidenceConfig
from bedside.core.types import Abstention
from bedside.metrics import design
from bedside.metrics.design import Bools, Ints
from bedside.metrics.inputs import Floats, Labels
from bedside.metrics.stats import share


def band(labels: Labels, shares: Floats, positive: int | None, threshold: float | None,
         config: EvidenceConfig, clusters: Ints | None = None) -> Abstention:
    """Find where no class is given.

    Args:
        labels: (n,) in [0, K), validation images.
        shares: (n, K) probabilities with the temperature that ships.
        positive: index of the positive class of two, or None.
        threshold: probability from which an image is called positive; None without that class.
        config: the shares of images that may be answered wrongly.
        clusters: (n,) the patient's number of every image, None where every image is its own.
    """
    if positive is None or threshold is None:
        return _confidence(labels, shares, config.max_wrong, clusters)
    p, truth = shares[:, positive], labels == positive
    low, missed, few = _edge(p[truth], config.max_missed, design.of(clusters, truth),
                             "positive", "missed")
    # The other side is the same with its sign turned, and what equals the edge is answered there.
    high, alarms, none = _edge(-p[~truth], config.max_alarms, design.of(clusters, ~truth),
                               "negative", "given as false alarms")
    bottom = threshold if low is None else min(low, threshold)
    top = threshold if high is None else max(float(np.nextafter(-high, 2)), threshold)
    return Abstention(
        max(bottom, 0.0), min(top, 1.0), None,
        {k: v for k, v, fault in (("missed", config.max_missed, few),
                                  ("alarms", config.max_alarms, none)) if not fault},
        {"missed": missed, "alarms": alarms}, "; ".join(filter(None, (few, none))) or None)


def _edge(p: Floats, target: float, clusters: Ints | None, kind: str, word: str
          ) -> tuple[float | None, int, str]:
    """Return the largest edge below which few enough cases lie, the cases, and why there is none.

    A case is answered wrongly where its probability is below the edge.
    """
    cases = len(p) if clusters is None else len(np.unique(clusters))
    if target >= 1:
        return None, cases, ""
    if target * (cases + 1) < 1:
        needed = math.ceil(1 / target) - 1
        return None, cases, (f"{cases} {kind} validation cases cannot guarantee that at most "
                             f"{target:.0%} are {word}: {needed} are needed")
    return _largest(np.unique(p), lambda edge: p < edge, target, clusters), cases, ""


def _largest(edges: Floats, wrong: Callable[[float], Bools], target: float,
             clusters: Ints | None) -> float:
    """Return the largest of rising edges whose bound on the expected loss keeps the target."""
    low, high = 0, len(edges) - 1  # the first edge loses nobody
    while low < high:
        middle = (low + high + 1) // 2
        if _bound(wrong(float(edges[middle])), clusters) <= target + 1e-12:
            low = middle
        else:
            high = middle - 1
    return float(edges[low])


def _bound(wrong: Bools, clusters: Ints | None) -> float:
    """Return (n R + 1) / (n + 1) over patients."""
    if clusters is None:
        losses = wrong.astype(np.float64)
    else:
        _, numbers = np.unique(clusters, return_inverse=True)
        losses = np.bincount(numbers, weights=wrong) / np.bincount(numbers)
    return float((losses.sum() + 1) / (len(losses) + 1))


def _confidence(labels: Labels, shares: Floats, target: float, clusters: Ints | None
                ) -> Abstention:
    cases = len(labels) if clusters is None else len(np.unique(clusters))
    if target >= 1:
        return Abstention()
    if target * (cases + 1) < 1:
        return Abstention(n={"wrong": cases}, reason=(
            f"{cases} validation cases cannot guarantee that at most {target:.0%} are answered "
            f"wrongly: {math.ceil(1 / target) - 1} are needed"))
    best, wrong = shares.max(axis=1), shares.argmax(axis=1) != labels
    # From the least confident image on: an edge above all of them withholds every class.
    edges = np.append(np.unique(best), np.nextafter(best.max(), 2))
    kept = -_largest(-edges[::-1], lambda edge: wrong & (best >= -edge), target, clusters)
    return Abstention(None, None, min(kept, 1.0), {"wrong": target}, {"wrong": cases})


# ------------------------------------------------------------------ on test images


def withheld(shares: Floats, positive: int | None, found: Abstention) -> Bools:
    """Return which images (n,) get no class; twin of ``runtime.decide.withheld``."""
    if positive is not None and found.low is not None and found.high is not None:
        inside: Bools = (shares[:, positive] >= found.low) & (shares[:, positive] < found.high)
        return inside
    if found.confidence is not None:
        return np.asarray(shares.max(axis=1) < found.confidence)
    return np.zeros(len(shares), np.bool_)


def on_test(variant: str, target: str, labels: Labels, called: Labels, silent: Bools,
            positive: int | None, clusters: Ints | None = None) -> Abstained:
    """Describe what withholding did to test images.

    Args:
        variant: its id.
        target: likewise.
        labels: (n,) in [0, K).
        called: (n,) the classes that would be given.
        silent: (n,) where none is (:func:`withheld`).
        positive: index of the positive class of two, or None.
        clusters: (n,) the patient's number of every image, None where every image is its own.
    """
    wrong = ~silent & (called != labels)
    every = np.ones(len(labels), np.bool_)
    parts = ({"wrong": (every, "no images")} if positive is None else
             {"missed": (labels == positive, "no positive images"),
              "alarms": (labels != positive, "no negative images")})
    return Abstained(variant, target, share(~silent, clusters, "no images"), {
        name: share(wrong[mine], design.of(clusters, mine), why)
        for name, (mine, why) in parts.items()},
        share((called == labels)[~silent], design.of(clusters, ~silent), "no image is answered"))
