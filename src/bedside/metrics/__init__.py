"""Metrics with 95% intervals, by name.

To add one, write a function ``metric(labels, logits, positive, clusters) -> Estimate`` in the file
of its family and add a line to ``METRICS``; ``for_task`` lists the metrics that ``evaluate``
computes.
"""

from __future__ import annotations

from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from bedside.core.errors import BadInput
from bedside.core.registry import lookup
from bedside.core.types import Estimate

METRICS = {
    "accuracy": "bedside.metrics.binary:accuracy",
    "sensitivity": "bedside.metrics.binary:sensitivity",
    "specificity": "bedside.metrics.binary:specificity",
    "auroc": "bedside.metrics.binary:auroc",
    "macro_sensitivity": "bedside.metrics.multiclass:macro_sensitivity",
    "macro_specificity": "bedside.metrics.multiclass:macro_specificity",
    "macro_auroc": "bedside.metrics.multiclass:macro_auroc",
}

BINARY = ("accuracy", "sensitivity", "specificity", "auroc")
MACRO = ("accuracy", "macro_sensitivity", "macro_specificity", "macro_auroc")


class Metric(Protocol):
    """The signature of every metric."""

    def __call__(self, labels: npt.NDArray[np.int64], logits: npt.NDArray[np.floating[Any]],
                 positive: int | None, clusters: npt.NDArray[np.int64] | None = None
                 ) -> Estimate:
        """Compute the metric.

        Labels (n,) in [0, K), logits (n, K), index of the positive class or None, and the patient's
        number of every image (n,), None where every image is its own patient.
        """
        ...


def for_task(n_classes: int, positive: int | None) -> tuple[str, ...]:
    """List the metrics of a task by name.

    Args:
        n_classes: number of classes, 2 or more.
        positive: index of the positive class, or None.

    Returns:
        Sensitivity, specificity and AUC of the positive class for two classes of which one is
        positive; their macro one-vs-rest means otherwise.

    Raises:
        BadInput: fewer than two classes, or a positive class outside [0, n_classes).
    """
    if n_classes < 2:
        raise BadInput(f"a task of {n_classes} class(es)", where="metrics",
                       remedy="Give two classes or more.")
    if positive is not None and not 0 <= positive < n_classes:
        raise BadInput(f"positive class {positive} is outside 0..{n_classes - 1}",
                       where="metrics", remedy="Name one of the task's classes.")
    return BINARY if n_classes == 2 and positive is not None else MACRO


def evaluate(labels: npt.NDArray[np.int64], logits: npt.NDArray[np.floating[Any]],
             positive: int | None, clusters: npt.NDArray[np.int64] | None = None
             ) -> dict[str, Estimate]:
    """Compute every metric of the task, by name.

    Args:
        labels: (n,) integers in [0, K).
        logits: (n, K) floats.
        positive: index of the positive class, or None.
        clusters: (n,) the patient's number of every image, None where every image is its own.

    Raises:
        BadInput: shapes or types that do not fit, a label or positive class outside [0, K).
    """
    if np.ndim(logits) != 2:
        raise BadInput(f"logits of shape {np.shape(logits)}", where="metrics",
                       remedy="Give one row an image and one column a class.")
    names = for_task(int(np.shape(logits)[1]), positive)
    return {name: cast(Metric, lookup(METRICS, name, "metric"))(labels, logits, positive, clusters)
            for name in names}
