"""Images reduced for the figures."""

from __future__ import annotations

import numpy as np

from bedside.figures import (
    input_images,
)


def test_shrink_keeps_the_mean() -> None:
    small = input_images.shrink(np.arange(64.0).reshape(1, 8, 8), 4)
    assert small.shape == (1, 4, 4)
    assert small[0, 0, 0] == np.mean([0, 1, 8, 9])
