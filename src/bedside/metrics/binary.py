"""Accuracy for any number of classes; sensitivity, specificity and AUC of a positive class.

Every function takes labels int64 (n,), logits float (n, K), the index of the positive class or
None, and the patient's number of every image (n,) where patients have several
(:mod:`bedside.metrics.design`), and returns an Estimate;
:func:`bedside.metrics.inputs.checked` says what raises BadInput. The decision is the
largest logit, the first one where logits tie.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bedside.core.types import Estimate
from bedside.metrics import design
from bedside.metrics.design import Ints
from bedside.metrics.inputs import Labels, checked, fault, log_odds
from bedside.metrics.stats import auc_estimate, share

NO_POSITIVE = "the task names no positive class"


def accuracy(labels: Labels, logits: npt.NDArray[np.floating[Any]], positive: int | None,
             clusters: Ints | None = None) -> Estimate:
    """Return the share of images whose largest logit is their label's; n is all images."""
    y, z = checked(labels, logits, positive)
    reason = fault(z)
    if reason:
        return Estimate(None, n=len(y), reason=reason)
    return share(z.argmax(axis=1) == y, clusters, "no images")


def sensitivity(labels: Labels, logits: npt.NDArray[np.floating[Any]], positive: int | None,
                clusters: Ints | None = None) -> Estimate:
    """Return the share of positive images that are called positive; n is the positive images."""
    return _recall(labels, logits, positive, clusters, wanted=True)


def specificity(labels: Labels, logits: npt.NDArray[np.floating[Any]], positive: int | None,
                clusters: Ints | None = None) -> Estimate:
    """Return the share of the other images that are not called positive; n is the other images."""
    return _recall(labels, logits, positive, clusters, wanted=False)


def _recall(labels: Labels, logits: npt.NDArray[np.floating[Any]], positive: int | None,
            clusters: Ints | None, *, wanted: bool) -> Estimate:
    y, z = checked(labels, logits, positive)
    if positive is None:
        return Estimate(None, n=0, reason=NO_POSITIVE)
    chosen = (y == positive) == wanted
    reason = fault(z)
    if reason:
        return Estimate(None, n=int(chosen.sum()), reason=reason)
    right = (z.argmax(axis=1) == positive) == wanted
    side = "positive" if wanted else "negative"
    return share(right[chosen], design.of(clusters, chosen), f"no {side} images")


def auroc(labels: Labels, logits: npt.NDArray[np.floating[Any]], positive: int | None,
          clusters: Ints | None = None) -> Estimate:
    """Return the area under the ROC curve of the positive class; n is all images.

    The score is the logit difference, positive minus other (for more than two classes the log-odds
    of the positive class). Ties count one half.
    """
    y, z = checked(labels, logits, positive)
    reason = NO_POSITIVE if positive is None else fault(z)
    if positive is None or reason:
        return Estimate(None, n=len(y), reason=reason)
    return auc_estimate((y == positive).astype(np.int64), log_odds(z, positive), clusters)
