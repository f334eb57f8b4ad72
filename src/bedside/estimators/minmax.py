"""The smallest and the largest value seen (Jacob et al. 2018, the paper's choice)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


class MinMax:
    """Running extremes."""

    def __init__(self) -> None:
        self.low, self.high = np.inf, -np.inf

    def update(self, values: npt.NDArray[np.float32]) -> None:
        """Take the values of one image."""
        self.low = min(self.low, float(values.min()))
        self.high = max(self.high, float(values.max()))

    def limits(self) -> tuple[float, float]:
        """Smallest and largest value."""
        return self.low, self.high


def observer() -> MinMax:
    """A fresh observer."""
    return MinMax()
