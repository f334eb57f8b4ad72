"""The fill depends on nothing that it covers."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bedside.deid.text.background import inpaint


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_a_fill_knows_nothing_of_what_it_covers(seed):
    rng = np.random.default_rng(seed)
    plane = rng.integers(0, 255, (12, 14), np.uint8)
    mask = rng.random((12, 14)) < 0.4
    other = np.where(mask, rng.integers(0, 255, (12, 14), np.uint8), plane)
    assert np.array_equal(inpaint(plane, mask), inpaint(other, mask))
    assert np.array_equal(inpaint(plane, mask)[~mask], plane[~mask])
