"""Range estimator: moving averages of each image's smallest and largest value.

Each image moves the averages by a hundredth of the difference, as in torch.ao's
``MovingAverageMinMaxObserver``. They start at 0 and are divided by the weight that the images have
had so far, 1 − 0.99ⁿ (Kingma and Ba 2015, ICLR, Section 3), instead of starting at the first image:
that one kept 93% of the weight of eight images. Eight images weigh 12 to 13% each here; over
several hundred the oldest fade. One odd image cannot stretch the range. The result depends on the
order of the images, which the calibration records.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bedside.estimators.extremes import extremes

CONSTANT = 0.01


class MovingAverage:
    """Bias-corrected exponential moving averages of the two extremes."""

    def __init__(self) -> None:
        self._low = self._high = self._weight = 0.0

    def update(self, values: npt.NDArray[np.float32]) -> None:
        """Take the values of one image."""
        low, high = extremes(values)
        self._low += CONSTANT * (low - self._low)
        self._high += CONSTANT * (high - self._high)
        self._weight += CONSTANT * (1.0 - self._weight)

    def limits(self) -> tuple[float, float]:
        """Return the two averages."""
        if self._weight == 0.0:
            raise ValueError("no values")
        return self._low / self._weight, self._high / self._weight


def observer() -> MovingAverage:
    """Return a fresh observer."""
    return MovingAverage()
