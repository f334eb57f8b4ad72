"""Resizing that keeps a model's contract: filters against oracles, shapes against their meaning."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from bedside.core.types import Preprocess
from bedside.runtime.resize import crop_box, fit_box, resize


def _texture(height: int, width: int, channels: int = 1, dtype: type = np.uint8) -> np.ndarray:
    rng = np.random.default_rng(height * 1000 + width)
    return rng.integers(0, np.iinfo(dtype).max + 1, (height, width, channels)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("source", "target"), [((9, 14), (4, 5)), ((7, 3), (7, 8)),
                                                ((30, 20), (10, 10)), ((1, 5), (3, 2))])
def test_area_is_the_mean_of_what_a_pixel_covers(source, target, dtype):
    image = _texture(*source, 3, dtype)
    # Every pixel cut into target × source equal parts: then each new pixel is whole parts.
    fine = image.astype(np.int64).repeat(target[0], axis=0).repeat(target[1], axis=1)
    blocks = fine.reshape(target[0], source[0], target[1], source[1], 3)
    mean = blocks.sum(axis=(1, 3)) / (source[0] * source[1])
    small = resize(image, Preprocess(*target, 3, "area"))
    assert small.dtype == dtype
    np.testing.assert_array_equal(small, np.floor(mean + 0.5).astype(dtype))


@pytest.mark.parametrize("target", [(24, 24), (17, 40), (61, 47), (3, 90)])
def test_nearest_is_pillows(target):
    image = _texture(61, 47)
    expected = np.asarray(Image.fromarray(image[..., 0]).resize(target[::-1],
                                                                Image.Resampling.NEAREST))
    small = resize(image, Preprocess(*target, 1, "nearest"))
    np.testing.assert_array_equal(small[..., 0], expected)


@pytest.mark.parametrize("kind", ["bilinear", "nearest", "area"])
def test_a_crop_takes_the_centre_and_a_fit_keeps_all(kind):
    # A wide image: black, with a white square in the middle third and grey at both ends.
    image = np.full((30, 90), 100, np.uint8)
    image[:, 30:60] = 200
    crop = resize(image, Preprocess(10, 10, 1, f"{kind}-crop"))
    assert (crop == 200).all()
    fit = resize(image, Preprocess(12, 12, 1, f"{kind}-fit"))[..., 0]
    assert (fit[:4] == 0).all() and (fit[8:] == 0).all()
    assert (fit[4:8, 5:7] == 200).all() and (fit[4:8, :3] == 100).all()
    stretched = resize(image, Preprocess(12, 12, 1, kind))[..., 0]
    assert (stretched[:, 0] == 100).all() and (stretched[:, 6] == 200).all()


@pytest.mark.parametrize("source", [(10, 25), (25, 10), (7, 7), (1, 1000), (1000, 1), (3, 2)])
@pytest.mark.parametrize("target", [(8, 8), (224, 160), (5, 9)])
def test_boxes_lie_inside_and_have_the_shape_that_is_wanted(source, target):
    top, left, rows, columns = crop_box(*source, *target)
    assert 0 <= top <= source[0] - rows and 0 <= left <= source[1] - columns
    assert rows == source[0] or columns == source[1]
    # To half a source pixel, which is all that whole pixels allow.
    ideal = min(source[0], source[1] * target[0] / target[1])
    assert abs(rows - max(1.0, ideal)) <= 0.5
    top, left, rows, columns = fit_box(*source, *target)
    assert 0 <= top <= target[0] - rows and 0 <= left <= target[1] - columns
    assert rows == target[0] or columns == target[1]
    assert abs(rows - max(1.0, min(target[0], source[0] * target[1] / source[1]))) <= 0.5


def test_the_same_size_changes_nothing():
    image = _texture(13, 11, 3)
    for how in ("nearest", "area", "nearest-crop", "area-fit"):
        np.testing.assert_array_equal(resize(image, Preprocess(13, 11, 3, how)), image)
