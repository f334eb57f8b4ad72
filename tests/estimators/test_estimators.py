"""Range estimators: known optima, and other people's implementations."""

from __future__ import annotations

import numpy as np
import pytest

from bedside import estimators

RNG = np.random.default_rng(7)


def _watch(name, images):
    watcher = estimators.observer(name)
    for image in images:
        watcher.update(np.asarray(image, np.float32))
    return watcher.limits()


@pytest.mark.parametrize("name", estimators.ESTIMATORS)
def test_every_estimator_has_a_summary_and_stays_within_what_was_seen(name):
    images = RNG.normal(1.0, 2.0, (5, 4000))
    low, high = _watch(name, images)
    assert name in estimators.SUMMARIES
    assert images.min() - 1e-5 <= low < high <= images.max() + 1e-5
    assert isinstance(low, float) and isinstance(high, float)


@pytest.mark.parametrize("name", estimators.ESTIMATORS)
@pytest.mark.parametrize("value", [0.0, 3.5, -2.0])
def test_a_constant_tensor_has_that_range(name, value):
    low, high = _watch(name, np.full((3, 50), value))
    assert min(low, 0.0) == pytest.approx(min(value, 0.0), rel=1e-3, abs=1e-12)
    assert max(high, 0.0) == pytest.approx(max(value, 0.0), rel=1e-3, abs=1e-12)


@pytest.mark.parametrize("name", estimators.ESTIMATORS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("before", [0, 1])
def test_every_estimator_refuses_what_is_not_finite(name, value, before):
    watcher = estimators.observer(name)
    for _ in range(before):
        watcher.update(np.float32([[0.0, 1.0]]))
    with pytest.raises(ValueError, match="not finite"):
        watcher.update(np.float32([[0.5, value], [1.0, 0.0]]))


def test_extremes_agree_with_torch():
    import torch
    from torch.ao.quantization import observer as torch_observers

    images = RNG.gamma(2.0, 1.0, (20, 300)).astype(np.float32) - 1.0
    other = torch_observers.MinMaxObserver()
    for image in images:
        other(torch.from_numpy(image))
    assert _watch("minmax", images) == pytest.approx((float(other.min_val), float(other.max_val)),
                                                     rel=1e-5)
