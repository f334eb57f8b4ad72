"""Running extremes and their averages, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bedside.estimators import minmax, moving_average
from bedside.estimators.extremes import extremes


def test_extremes_are_those_of_one_image():
    assert extremes(np.float32([[3.0, -1.5], [0.0, 2.0]])) == (-1.5, 3.0)
    with pytest.raises(ValueError, match="not finite"):
        extremes(np.float32([0.0, np.inf]))


def test_min_max_keeps_the_extremes_of_all_images_and_the_average_follows():
    both = minmax.observer(), moving_average.observer()
    for image in ([0.0, 1.0], [-2.0, 3.0], [0.0, 1.0]):
        for watcher in both:
            watcher.update(np.float32(image))
    assert both[0].limits() == (-2.0, 3.0)
    low, high = both[1].limits()
    assert -2.0 < low < 0.0 and 1.0 < high < 3.0
