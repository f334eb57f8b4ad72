"""Letters seen without OCR, and tissue that is not taken for them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from burned_fixture import NAMES, phantom, small_letters
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from bedside.core.study import PhantomConfig
from bedside.deid.text import strokes
from bedside.synthetic.phantom import generate


@pytest.mark.parametrize("seed", range(6))
def test_tissue_has_no_rows_of_letters(seed):
    image = generate(PhantomConfig(images=8, height_px=240, width_px=320), 11, seed).image
    assert strokes.rows(image[..., None].astype(np.float32)) == []


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([np.uint8, np.float32]))
def test_the_median_is_that_of_scipy(seed, kind):
    plane = np.random.default_rng(seed).integers(0, 9, (11, 13)).astype(kind)
    assert np.array_equal(strokes.median(plane),
                          ndimage.median_filter(plane, 3, mode="nearest"))


@pytest.mark.parametrize("seed", range(8))
def test_tissue_edges_and_marks_have_no_sharp_letters(seed):
    image = np.pad(phantom(seed, images=8), 30, constant_values=8)
    for y in range(40, 340, 20):
        image[y, 440:448] = 255
    cv2.drawMarker(image, (150, 160), 255, cv2.MARKER_CROSS, 15, 2)
    for x in range(160, 300, 4):
        # The dotted line of a measurement.
        image[170 + x // 9, x:x + 2] = 255
    assert strokes.dense_edges(image) == []


@pytest.mark.parametrize("seed", range(3))
def test_a_black_screen_around_tissue_makes_nothing_sharp(seed):
    image = np.pad(phantom(seed, images=8), ((200, 100), (300, 300)))
    assert strokes.dense_edges(image) == []
    assert strokes.dense_edges(np.full((90, 90), 7, np.uint8)) == []
    written, _ = small_letters(np.clip(image, 60, 190), NAMES[0], (450, 360), 255)
    assert strokes.dense_edges(written)


def test_what_was_taken_out_is_not_asked_for_again():
    image, ink = small_letters(phantom(1, images=8), NAMES[2], (150, 160), 255)
    assert strokes.dense_edges(image)
    assert strokes.dense_edges(image, ndimage.binary_dilation(ink)) == []
