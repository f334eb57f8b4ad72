"""Degraded images: each kind does what it states."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from bedside.figures.corrupt import _KINDS, corrupt, table

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(20, 200, (160, 200, 1)).astype(np.uint8)


def test_the_table_names_what_the_code_does():
    assert {c.kind for c in table()} == set(_KINDS)
    assert {c.kind for c in table()} == {"speckle", "gain", "blur", "jpeg", "rotation"}
    assert all(len(c.strengths) == 3 and c.what for c in table())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("row", table(), ids=lambda c: c.kind)
def test_every_kind_keeps_shape_and_type_and_is_the_same_twice(row, channels, dtype):
    image = (np.repeat(IMAGE, channels, axis=2).astype(dtype)
             * (257 if dtype == np.uint16 else 1)).astype(dtype)
    changes = []
    for s in row.strengths:
        worse = corrupt(image, row.kind, s, "c1")
        assert worse.shape == image.shape and worse.dtype == dtype
        assert np.array_equal(worse, corrupt(image, row.kind, s, "c1"))
        changes.append(np.abs(worse.astype(float) - image).mean())
    assert min(changes) > 0
    if row.kind in ("speckle", "blur", "jpeg"):
        assert changes == sorted(changes)


def test_kinds_do_what_they_say():
    flat = np.full((60, 60, 1), 100, np.uint8)
    noisy = corrupt(flat, "speckle", 0.2, "c").astype(float)
    assert noisy.std() / noisy.mean() == pytest.approx(0.2, rel=0.05)
    assert (corrupt(flat, "gain", 6.0, "c") == round(100 + 255 * 6 / 60)).all()
    assert (corrupt(flat, "gain", -6.0, "c") == round(100 - 255 * 6 / 60)).all()
    blurred = corrupt(IMAGE, "blur", 2.0, "c")[..., 0]
    plain = gaussian_filter(IMAGE[..., 0].astype(float), 0.02 * 160, mode="nearest")
    assert np.abs(blurred - plain).max() <= 0.51
    quarter = corrupt(IMAGE[:160, :160], "rotation", 90.0, "c")[..., 0]
    assert np.abs(quarter.astype(int) - np.rot90(IMAGE[:160, :160, 0], -1)).max() <= 1 or np.abs(
        quarter.astype(int) - np.rot90(IMAGE[:160, :160, 0])).max() <= 1


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(table()), st.integers(0, 255), st.integers(0, 2))
def test_no_image_turns_all_black(row, level, step):
    image = np.zeros((16, 16, 1), np.uint8)
    image[3, 4] = level
    worse = corrupt(image, row.kind, row.strengths[step], "c")
    assert worse.any() or not image.any()
