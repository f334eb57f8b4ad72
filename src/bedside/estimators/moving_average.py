"""Range estimator: moving averages of each image's smallest and largest value.

As torch.ao's ``MovingAverageMinMaxObserver``: the first image sets the range, each further one
moves it by a hundredth of the difference. One odd image then cannot stretch the range. The
result depends on the order of the images, which the calibration records.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bedside.estimators.extremes import extremes

CONSTANT = 0.01


class MovingAverage:
    """Exponential moving averages of the two extremes."""

    def __init__(self) -> None:
        self._limits: tuple[float, float] | None = None

    def update(self, values: npt.NDArray[np.float32]) -> None:
        """Take the values of one image."""
        low, high = extremes(values)
        if self._limits is not None:
            low = self._limits[0] + CONSTANT * (low - self._limits[0])
            high = self._limits[1] + CONSTANT * (high - self._limits[1])
        self._limits = low, high

    def limits(self) -> tuple[float, float]:
        """Return the two averages."""
        if self._limits is None:
            raise ValueError("no values")
        return self._limits


def observer() -> MovingAverage:
    """Return a fresh observer."""
    return MovingAverage()
