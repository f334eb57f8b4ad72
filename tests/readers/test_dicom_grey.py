"""Windows, inversion, padding and signed values of grey images."""

from __future__ import annotations

import math

import numpy as np
import pytest
from dicom_fixture import as_bytes, dataset, decoded
from hypothesis import given
from hypothesis import strategies as st

from bedside.readers.dicom_grey import windowed


def of(pixels: np.ndarray, **elements: object) -> np.ndarray:
    """The grey image of a made file."""
    return decoded(as_bytes(dataset(pixels, **elements)), 1)


VALUES = np.arange(-40, 60, dtype=np.float64)


def standard(x: float, c: float, w: float, function: str) -> float:
    """PS3.3 C.11.2.1.2 and C.11.2.1.3 for y from 0 to 1, one value at a time."""
    if function == "SIGMOID":
        return 1 / (1 + math.exp(-4 * (x - c) / w))
    if function == "LINEAR_EXACT":
        if x <= c - w / 2:
            return 0.0
        return 1.0 if x > c + w / 2 else (x - c) / w + 0.5
    if x <= c - 0.5 - (w - 1) / 2:
        return 0.0
    return 1.0 if x > c - 0.5 + (w - 1) / 2 else (x - (c - 0.5)) / (w - 1) + 0.5


@given(st.floats(-50, 50), st.floats(1, 200), st.sampled_from(
    ["LINEAR", "LINEAR_EXACT", "SIGMOID"]))
def test_window_functions(centre, width, function):
    expected = [standard(x, centre, width, function) for x in VALUES]
    np.testing.assert_allclose(windowed(VALUES, centre, width, function), expected, atol=1e-9)


def test_ct_numbers_by_hand():
    stored = np.array([[0, 1024, 1064, 1100, 4000]], np.uint16)
    shown = of(stored, BitsStored=12, HighBit=11, RescaleSlope=1, RescaleIntercept=-1024,
               WindowCenter=[40, 300], WindowWidth=[81, 1500])
    # LINEAR: (x - 39.5) / 80 + 0.5 at 0, 40 and 76 HU.
    np.testing.assert_array_equal(shown, [[0, round(0.00625 * 65535), round(0.50625 * 65535),
                                           round(0.95625 * 65535), 65535]])


def test_signed_values_without_a_window_are_stretched():
    shown = of(np.array([[-100, 0, 300]], np.int16))
    np.testing.assert_array_equal(shown, [[0, round(65535 / 4), 65535]])


def test_monochrome1_is_inverted_and_padding_is_black():
    stored = np.array([[0, 10, 255]], np.uint8)
    inverted = {"PhotometricInterpretation": "MONOCHROME1"}
    np.testing.assert_array_equal(of(stored, **inverted), [[255, 245, 0]])
    np.testing.assert_array_equal(of(stored, PixelPaddingValue=0, **inverted), [[0, 245, 0]])


def test_bits_above_those_stored_are_old_overlays():
    stored = np.array([[0x0005, 0xF005, 0x1FFF]], np.uint16)
    np.testing.assert_array_equal(of(stored, BitsStored=12, HighBit=11), [[5, 5, 0xFFF]])


@pytest.mark.parametrize("window", [{"WindowCenter": 5, "WindowWidth": 0},
                                    {"WindowCenter": 5}, {"WindowWidth": 5}])
def test_a_window_that_shows_nothing_is_no_window(window):
    stored = np.array([[0, 10, 255]], np.uint8)
    np.testing.assert_array_equal(of(stored, **window), stored)
