"""Range estimators: one file each, listed here by lazy name.

An estimator module offers ``observer() -> Observer``. A stage feeds it the values of one
activation tensor, image after image, and asks for the range at the end. What an observer keeps
does not grow with the number of images.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from bedside.core import registry

ESTIMATORS: dict[str, str] = {
    "minmax": "bedside.estimators.minmax",
    "moving_average": "bedside.estimators.moving_average",
    "percentile": "bedside.estimators.percentile",
    "mse": "bedside.estimators.mse",
    "entropy": "bedside.estimators.entropy",
}

# As scheme options: ``int8+percentile`` uses these ranges regardless of the study's estimator.
SUMMARIES: dict[str, str] = {
    "minmax": "ranges from the smallest to the largest value seen",
    "moving_average": "ranges from a moving average of each image's extremes",
    "percentile": "ranges that leave out 0.005% of the values at either end",
    "mse": "ranges with the smallest mean squared quantization error",
    "entropy": "ranges whose quantized distribution diverges least (Kullback-Leibler)",
}

# Raised where an estimator's ranges change meaning, so that old ones are computed again.
VERSIONS: dict[str, int] = {"moving_average": 2}


class Observer(Protocol):
    """Observer of one tensor."""

    def update(self, values: npt.NDArray[np.float32]) -> None:
        """Take the values of one image, any shape. Raises ValueError for one that is not finite."""

    def limits(self) -> tuple[float, float]:
        """Return the estimated range, (low, high), low <= high."""


def observer(name: str) -> Observer:
    """Return a fresh observer of an estimator. Raises BadInput for an unknown name."""
    made: Observer = registry.lookup(ESTIMATORS, name, "estimator").observer()
    return made
