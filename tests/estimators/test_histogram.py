"""The growing histogram: counts, bins, memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedside.estimators.histogram import BINS, Histogram

RNG = np.random.default_rng(7)


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


def test_outside_is_the_share_that_is_clipped():
    histogram = Histogram()
    values = RNG.normal(size=200_000).astype(np.float32)
    histogram.update(values)
    assert histogram.outside(-2.0, 2.5) == pytest.approx(
        ((values < -2.0) | (values > 2.5)).mean(), abs=2e-4)
    assert histogram.outside(float(values.min()), float(values.max())) == 0.0
