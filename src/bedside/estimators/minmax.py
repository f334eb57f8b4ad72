"""Range estimator: smallest and largest value (Jacob et al. 2018, the paper's choice)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bedside.estimators.extremes import extremes


class MinMax:
    """Running extremes."""

    def __init__(self) -> None:
        self.low, self.high = np.inf, -np.inf

    def update(self, values: npt.NDArray[np.float32]) -> None:
        """Take the values of one image."""
        low, high = extremes(values)
        self.low, self.high = min(self.low, low), max(self.high, high)

    def limits(self) -> tuple[float, float]:
        """Return the smallest and the largest value."""
        return self.low, self.high


def observer() -> MinMax:
    """Return a fresh observer."""
    return MinMax()
