"""Validation of a metric's inputs, and the conversion of logits to scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from bedside.core.errors import BadInput
from bedside.metrics import for_task
from bedside.runtime import grid

Labels = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def checked(labels: npt.NDArray[Any], logits: npt.NDArray[Any], positive: int | None
            ) -> tuple[Labels, Floats]:
    """Return labels as int64 (n,) and logits as float64 (n, K).

    Raises:
        BadInput: shapes or types that do not fit, fewer than two classes, a label or positive
            class outside [0, K). These are mistakes of the caller; data for which a metric is
            undefined is not an error but an Estimate with a reason.
    """
    labels, logits = np.asarray(labels), np.asarray(logits)
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise BadInput(f"labels of shape {labels.shape} and logits of shape {logits.shape}",
                       where="metrics", remedy="Give labels (n,) and logits (n, K).")
    if labels.dtype.kind not in "iu" or logits.dtype.kind != "f":
        raise BadInput(f"labels of type {labels.dtype} and logits of type {logits.dtype}",
                       where="metrics", remedy="Give integer labels and float logits.")
    classes = logits.shape[1]
    for_task(classes, positive)
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        raise BadInput(f"labels from {labels.min()} to {labels.max()} for {classes} classes",
                       where="metrics", remedy=f"Give labels from 0 to {classes - 1}.")
    return labels.astype(np.int64), logits.astype(np.float64)


def fault(logits: Floats) -> str | None:
    """Return why nothing can be computed from these logits (n, K), or None."""
    if not len(logits):
        return "no images"
    broken = int((~np.isfinite(logits)).any(axis=1).sum())
    return f"{broken} of {len(logits)} images have non-finite logits" if broken else None


def log_odds(logits: Floats, k: int) -> Floats:
    """Return the log-odds of class ``k`` against the rest under softmax, (n,) float64.

    For two classes this is the logit difference, exactly. It orders images as the softmax
    probability does, without the ties that rounding to 0 or 1 makes there, and with those of an
    integer network's own logits (:mod:`bedside.runtime.grid`).
    """
    values = grid.exact(logits)
    with np.errstate(over="ignore"):  # an infinite log-odds still has a rank
        if values.shape[1] == 2:
            difference: Floats = values[:, k] - values[:, 1 - k]
            return difference
        # Sorted, because the rounding of a sum depends on its order and would break ties; of
        # differences, because they are exact where the logits lie on a grid.
        rest = np.delete(values, k, axis=1) - values[:, [k]]
        scores: Floats = -logsumexp(np.sort(rest, axis=1), axis=1)
    return scores
