"""Labels and logits for tests of metrics, and the bounds of an estimate."""

from __future__ import annotations

import numpy as np

from bedside.core.types import Estimate


def sample(classes: int, n: int, seed: int, *, coarse: bool = False
           ) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.r_[np.arange(classes), np.arange(classes),
                   rng.integers(0, classes, n - 2 * classes)]
    logits = rng.normal(size=(n, classes)) + 1.5 * np.eye(classes)[labels]
    if coarse:
        logits = np.round(logits * 2) / 2  # ties, as an integer network gives
    return labels, logits.astype(np.float32)


def bounds(estimate: Estimate) -> tuple[float, float]:
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.low, estimate.high
