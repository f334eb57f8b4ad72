"""Percentile ranges against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from bedside import estimators
from bedside.estimators import percentile

RNG = np.random.default_rng(7)


def _watch(name, images):
    watcher = estimators.observer(name)
    for image in images:
        watcher.update(np.asarray(image, np.float32))
    return watcher.limits()


@pytest.mark.parametrize("draw", [lambda n: RNG.normal(size=n), lambda n: RNG.exponential(size=n)])
def test_percentile_agrees_with_numpy(draw):
    images = draw((40, 10_000)).astype(np.float32)
    cut = (100 - percentile.PERCENT_KEPT) / 2
    wanted = np.percentile(images, [cut, 100 - cut])
    assert _watch("percentile", images) == pytest.approx(wanted, rel=0.01, abs=0.01)
