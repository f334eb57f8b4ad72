"""Range estimators: known optima, and other people's implementations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedside import estimators
from bedside.estimators import entropy, mse, percentile
from bedside.estimators.histogram import BINS, Histogram

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


@pytest.mark.parametrize(("name", "theirs"), [("minmax", "MinMaxObserver"),
                                              ("moving_average", "MovingAverageMinMaxObserver")])
def test_extremes_agree_with_torch(name, theirs):
    import torch
    from torch.ao.quantization import observer as torch_observers

    images = RNG.gamma(2.0, 1.0, (20, 300)).astype(np.float32) - 1.0
    other = getattr(torch_observers, theirs)()
    for image in images:
        other(torch.from_numpy(image))
    assert _watch(name, images) == pytest.approx((float(other.min_val), float(other.max_val)),
                                                 rel=1e-5)


# ------------------------------------------------------------------ histogram


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.floats(-1e6, 1e6, width=32).map(
                         lambda v: 0.0 if abs(v) < 1e-20 else v), min_size=1, max_size=30),
                min_size=1, max_size=8))
def test_no_value_is_lost_or_counted_in_a_wrong_bin(images):
    histogram = Histogram()
    for image in images:
        histogram.update(np.float32(image))
    # (Values below 1e-20 are left out: beside a million they vanish in float32, as in int8.)
    values = np.concatenate([np.float32(i) for i in images]).astype(np.float64)
    edges, counts = histogram.used()
    assert counts.sum() == values.size
    assert histogram.counts.size == BINS
    # The grid is anchored at 0 with a width of a power of two.
    assert np.log2(histogram.width) == round(np.log2(histogram.width))
    places = np.floor(values / histogram.width).astype(int) - round(edges[0] / histogram.width)
    np.testing.assert_array_equal(np.bincount(places, minlength=counts.size), counts)


def test_memory_does_not_grow_with_the_number_of_images():
    histogram = Histogram()
    for scale in np.geomspace(1, 1e4, 50):
        histogram.update(RNG.normal(0, scale, 200).astype(np.float32))
    assert histogram.counts.size == BINS
    assert histogram.counts.sum() == 50 * 200


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        Histogram().update(np.float32([0.0, np.nan]))


# ------------------------------------------------------------------ percentile


@pytest.mark.parametrize("draw", [lambda n: RNG.normal(size=n), lambda n: RNG.exponential(size=n)])
def test_percentile_agrees_with_numpy(draw):
    images = draw((40, 10_000)).astype(np.float32)
    cut = (100 - percentile.PERCENT_KEPT) / 2
    wanted = np.percentile(images, [cut, 100 - cut])
    assert _watch("percentile", images) == pytest.approx(wanted, rel=0.01, abs=0.01)


def test_outside_is_the_share_that_is_clipped():
    histogram = Histogram()
    values = RNG.normal(size=200_000).astype(np.float32)
    histogram.update(values)
    assert histogram.outside(-2.0, 2.5) == pytest.approx(
        ((values < -2.0) | (values > 2.5)).mean(), abs=2e-4)
    assert histogram.outside(float(values.min()), float(values.max())) == 0.0


# ------------------------------------------------------------------ mse


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


# ------------------------------------------------------------------ entropy


def test_divergence_is_scipys():
    from scipy import stats

    p, q = RNG.integers(1, 50, 40).astype(float), RNG.integers(1, 50, 40).astype(float)
    assert entropy.divergence(p, q) == pytest.approx(stats.entropy(p, q))
    assert entropy.divergence(np.array([1.0, 1.0]), np.array([1.0, 0.0])) == np.inf


def test_a_windows_divergence_agrees_with_a_plain_loop():
    from scipy import stats

    counts = np.bincount(np.clip(RNG.gamma(2, 300, 60_000), 0, 2999).astype(int), minlength=3000)
    for stop in (512, 700, 1301, 3000):
        inside = counts[:stop].astype(float)
        reference = inside.copy()
        reference[-1] += counts[stop:].sum()
        spread = np.zeros(stop)
        edges = [i * stop // entropy.LEVELS for i in range(entropy.LEVELS + 1)]
        for a, b in itertools.pairwise(edges):
            used = [i for i in range(a, b) if reference[i] > 0]
            for i in used:
                spread[i] = max(inside[a:b].sum() / len(used), 1e-9)
        assert entropy.window_divergence(counts, 0, stop) == pytest.approx(
            stats.entropy(reference, spread), rel=1e-6)


def test_entropy_keeps_a_uniform_distribution_and_cuts_what_lies_far_outside_it():
    uniform = RNG.uniform(0, 1, (20, 20_000)).astype(np.float32)
    assert _watch("entropy", uniform)[1] > 0.97
    far = np.append(uniform.ravel(), np.float32([3.0]))
    assert 0.9 < _watch("entropy", [far])[1] < 1.5
