"""Ranges of least squared error: known optima and brute force."""

from __future__ import annotations

import numpy as np
import pytest

from bedside import estimators
from bedside.estimators import mse

RNG = np.random.default_rng(7)


def _watch(name, images):
    watcher = estimators.observer(name)
    for image in images:
        watcher.update(np.asarray(image, np.float32))
    return watcher.limits()


def _clipping_error(tail, clip):
    """Rounding plus clipping of a symmetric density: Δ²/12 within, (x − c)² beyond."""
    return (2 * clip / mse.STEPS) ** 2 / 12 + tail(clip)


def test_mse_finds_the_known_optimum_of_a_normal_and_a_laplace_distribution():
    from scipy import optimize, stats

    def normal_tail(c):
        return 2 * ((1 + c * c) * stats.norm.sf(c) - c * stats.norm.pdf(c))

    def laplace_tail(c):
        return 2 * np.exp(-c)

    for tail, draw in ((normal_tail, RNG.normal), (laplace_tail, RNG.laplace)):
        best = optimize.minimize_scalar(lambda c, t=tail: _clipping_error(t, c),
                                        bounds=(1.0, 20.0), method="bounded").x
        images = draw(size=(60, 20_000)).astype(np.float32)
        low, high = _watch("mse", images)
        assert -low == pytest.approx(best, rel=0.08)
        assert high == pytest.approx(best, rel=0.08)


@pytest.mark.parametrize("draw", [
    lambda: np.maximum(RNG.normal(size=40_000), 0),
    lambda: np.append(RNG.normal(1, 1, 40_000), [60.0]),
    lambda: np.append(np.maximum(RNG.normal(size=40_000), 0), [25.0, 30.0])])
def test_mse_is_as_good_as_a_brute_force_search_on_the_values_themselves(draw):
    from scipy import optimize

    values = draw().astype(np.float32).astype(np.float64)
    lowest, highest = min(values.min(), 0.0), max(values.max(), 0.0)

    def error(share):
        low, high = lowest * share[0], max(highest * share[1], 1e-6)
        scale = (high - low) / 255
        zero = np.rint(-low / scale)
        codes = np.clip(np.rint(values / scale) + zero, 0, 255)
        return float(np.mean(((codes - zero) * scale - values) ** 2))

    best = optimize.brute(error, (slice(0.02, 1.001, 0.049), slice(0.02, 1.001, 0.02)),
                          finish=None, full_output=True)[1]
    low, high = _watch("mse", [values])
    found = error((low / lowest if lowest else 1.0, high / highest))
    assert found <= best * 1.03
    assert found <= error((1.0, 1.0)) * 1.001
