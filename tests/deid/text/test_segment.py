"""The ink of one line and its colour."""

from __future__ import annotations

import cv2
import numpy as np
from burned_fixture import phantom, written_over

from bedside.deid.text import segment


def caption():
    """Bold bright letters on dark tissue, as JPEG leaves them, and where they are."""
    dark = (0.3 * phantom(2)).astype(np.uint8)
    image, letters = written_over(dark, "RT LOQ C", (100, 150), 235, 2, scale=0.8)
    coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    return cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), letters


def test_the_colour_of_a_blurred_caption_is_told_though_no_level_stands_out():
    image, _letters = caption()
    box = image[120:160, 90:260].astype(np.float32)[..., None]
    likely = np.zeros(box.shape[:2], bool)
    likely[6:-6, 6:-6] = True
    colour = segment.blurred_colour(box, likely)
    assert colour is not None and abs(colour[0] - 235) < 12
    tissue = phantom(1)[120:160, 90:260].astype(np.float32)[..., None]
    assert segment.blurred_colour(tissue, likely) is None


def test_a_blurred_caption_goes_letter_by_letter_and_not_as_a_block():
    image, letters = caption()
    box = image[120:160, 90:260].astype(np.float32)[..., None]
    likely = np.zeros(box.shape[:2], bool)
    likely[6:-6, 6:-6] = True
    result, _strong, pure, _ = segment.segment_line(box, likely, np.zeros(likely.shape, bool))
    inside = letters[120:160, 90:260]
    assert (result & inside).sum() >= 0.99 * inside.sum()
    assert result.sum() <= 0.55 * likely.sum()
    assert (pure & inside).sum() >= 0.3 * inside.sum()


def test_thin_bright_letters_beside_a_shadow_of_one_level():
    rng = np.random.default_rng(2)
    box = rng.integers(0, 30, (40, 160)).astype(np.float32)
    box[8:32, 90:150][rng.random((24, 60)) < 0.5] = 3
    smooth = np.zeros(box.shape, np.uint8)
    cv2.putText(smooth, "41365957", (20, 26), cv2.FONT_HERSHEY_PLAIN, 1.0, 255, 1, cv2.LINE_8)
    box[smooth > 0] = 255
    likely = np.zeros(box.shape, bool)
    likely[6:34, 10:150] = True
    assert (box == 3)[likely].sum() > (box == 255)[likely].sum()
    colour, _ = segment.ink_colour(box[..., None], likely)
    assert colour is not None and colour[0] == 255


def test_what_moves_an_even_background_by_a_level_is_ink():
    box = np.full((30, 80, 1), 16, np.float32)
    likely = np.zeros((30, 80), bool)
    likely[8:22, 10:70] = True
    box[12:18, 20:60] = 70
    box[11, 20:60] = box[18, 20:60] = 18
    result = segment.ink_on_even_background(box, likely)
    assert result is not None and np.array_equal(result, box[..., 0] != 16)
