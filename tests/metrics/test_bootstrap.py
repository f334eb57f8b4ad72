"""Weighted resamples."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from bedside.metrics.bootstrap import resample


def _scores(seed, n=120, noise=0.3):
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.4).astype(np.int64)
    old = labels + rng.normal(0, 1, n)
    return labels, old, old + rng.normal(0, noise, n)


def test_weighted_resamples_are_metrics_of_the_drawn_images():
    """The same draw, image by image, through scikit-learn."""
    labels, old, new = _scores(7, n=60)
    scores = np.round(np.stack([old, new]), 1)
    right = (scores > 0.5) == labels
    clusters = np.arange(60) // 3
    found = resample(labels, scores, right, clusters, 200, 3)
    rng = np.random.default_rng(3)
    chosen = rng.integers(0, 20, (100, 20))
    for row in (0, 41, 99):
        images = np.concatenate([np.flatnonzero(clusters == c) for c in chosen[row]])
        for m in range(2):
            assert found.values["auroc"][row, m] == pytest.approx(
                roc_auc_score(labels[images], scores[m][images]))
            assert found.values["accuracy"][row, m] == pytest.approx(right[m][images].mean())
            positive = images[labels[images] == 1]
            assert found.values["sensitivity"][row, m] == pytest.approx(right[m][positive].mean())
