"""Figure 10, CPU part: intervals of latency ratios."""

from __future__ import annotations

import numpy as np

from bedside.figures import (
    latency,
)


def test_ratio_interval_holds_the_true_ratio_and_no_width_without_noise() -> None:
    rounds = np.repeat(np.arange(5), 10)
    flat = np.full(50, 20.0)
    assert latency.ratio_interval((rounds, flat), (rounds, flat / 4)) == (0.25, 0.25)
    rng = np.random.default_rng(3)
    noisy = flat + rng.normal(size=50)
    low, high = latency.ratio_interval((rounds, noisy), (rounds, noisy[::-1] * 0.5))
    assert low < 0.5 < high and high - low < 0.1
