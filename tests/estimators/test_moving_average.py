"""The bias-corrected moving average: weights of the images, and Adam's own first moment."""

from __future__ import annotations

import numpy as np
import pytest

from bedside.estimators import moving_average


def _limits(lows, highs):
    observer = moving_average.observer()
    for low, high in zip(lows, highs, strict=True):
        observer.update(np.float32([low, high]))
    return observer.limits()


def _weights(count):
    """The weight of each image: the average of images of which one alone is not 0."""
    return [_limits(np.zeros(count), np.eye(count)[k])[1] for k in range(count)]


@pytest.mark.parametrize("count", [1, 2, 8, 30, 200])
def test_the_first_image_has_no_more_weight_than_the_last(count):
    weights = _weights(count)
    assert sum(weights) == pytest.approx(1.0, rel=1e-6)
    assert weights == sorted(weights)
    if count == 8:
        assert max(weights) < 0.13 and min(weights) > 0.12


def test_it_is_adams_corrected_first_moment():
    import torch

    highs = np.random.default_rng(0).gamma(2.0, 1.0, 25).astype(np.float32)
    value = torch.zeros(1, requires_grad=True, dtype=torch.float64)
    adam = torch.optim.Adam([value], lr=0.0, betas=(1 - moving_average.CONSTANT, 0.999))
    for high in highs:
        value.grad = torch.tensor([float(high)], dtype=torch.float64)
        adam.step()
    moment = float(adam.state[value]["exp_avg"]) / (1 - (1 - moving_average.CONSTANT) ** len(highs))
    assert _limits(np.zeros(len(highs)), highs)[1] == pytest.approx(moment, rel=1e-9)


def test_one_odd_image_cannot_stretch_the_range():
    highs = [1.0] * 15 + [100.0]
    assert _limits(np.zeros(16), highs)[1] < 9
    assert _limits(np.zeros(16), highs[::-1])[1] < 9


def test_no_values_have_no_limits():
    with pytest.raises(ValueError, match="no values"):
        moving_average.observer().limits()
