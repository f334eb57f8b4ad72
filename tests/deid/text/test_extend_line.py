"""Ink beyond what the detector marks, and lines that may go on unseen."""

from __future__ import annotations

import cv2
import numpy as np
from burned_fixture import phantom
from scipy import ndimage

from bedside.deid.text import extend_line, strokes


def test_a_peak_is_the_ink_and_the_tissue_has_none():
    image = phantom(4, images=8)
    written = image.copy()
    cv2.putText(written, "SMITH^JANE 1961", (60, 200), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 141, 2)
    # OpenCV smooths its letters.
    ink = (written != image) & (written == 141)
    values = written[..., None].astype(np.float32)
    result = np.zeros(ink.shape, bool)
    for patch in extend_line.histogram_peaks(values, {141}):
        y0, x0, y1, x1 = patch.box
        result[y0:y1, x0:x1] |= patch.mask
        assert patch.colour == 141
    assert (ink & ~result).sum() <= 0.1 * ink.sum()
    assert (result & ~ndimage.binary_dilation(ink, iterations=3)).mean() < 0.001
    assert extend_line.histogram_peaks(image[..., None].astype(np.float32), {141}) == []


def test_no_colour_after_lossy_compression():
    values = np.random.default_rng(1).integers(90, 110, (20, 60, 1)).astype(np.float32)
    assert extend_line.line_colour(values, np.ones((20, 60), bool)) is None
    flat = np.full((20, 60, 1), 7, np.float32)
    assert extend_line.line_colour(flat, np.ones((20, 60), bool)) == 7
    assert extend_line.line_colour(values, np.zeros((20, 60), bool)) is None


def test_full_stops_of_a_line_that_goes_on_and_what_is_mixed_with_it():
    image = np.random.default_rng(3).integers(150, 200, (80, 260)).astype(np.uint8)
    written = image.copy()
    cv2.putText(written, "HHHHH . HHHHH", (10, 50), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 70, 2,
                cv2.LINE_AA)
    values = written[..., None].astype(np.float32)
    drawn = written != image
    columns = np.flatnonzero(drawn.any(axis=0))
    box = (34, int(columns[0]), 52, int(columns[0]) + 60)
    result = extend_line.extend_line(values, [(box, np.array([70], np.float32))])
    beyond_it = drawn.copy()
    beyond_it[:, :box[3]] = False
    strong = beyond_it & (np.abs(written.astype(int) - image) > 60)
    assert strong.sum() > 200
    assert (strong & ~result).sum() <= 0.01 * strong.sum()


def test_a_second_line_across_the_first_goes_with_it():
    """Bright letters of which the detector's box also holds dark ones of two pixels' width."""
    image = np.clip(phantom(1), 110, 170)
    first = image.copy()
    cv2.putText(first, "node", (150, 170), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 228, 2)
    written = first.copy()
    cv2.putText(written, "Olga lill", (60, 165), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 40, 1, cv2.LINE_AA)
    values = written.astype(np.float32)[..., None]
    core = first != image
    fine = strokes.sharp_pixels(values, 1.3) & ~core
    box = (150, 145, 176, 215)
    result = extend_line.crossing_strokes(values, fine, core, box, np.array([228], np.float32))
    dark = (image.astype(int) - written > 40) & ~core
    assert dark.sum() > 100 and (dark & ~result)[:, 120:150].sum() <= 0.01 * dark.sum()
    assert not (result & (written >= image) & ~core).any(), "nothing brighter than the tissue"
    alone = extend_line.crossing_strokes(first.astype(np.float32)[..., None], np.zeros_like(core),
                                         core, box, np.array([228], np.float32))
    assert not alone.any()


def test_a_faint_line_is_followed_along_its_strokes():
    image = np.full((60, 200), 120, np.uint8)
    cv2.putText(image, "1963", (20, 35), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 70, 1, cv2.LINE_AA)
    drawn = image < 90
    known = drawn.copy()
    known[:, ::3] = False
    values = image.astype(np.float32)[..., None]
    result = extend_line.faint_strokes(values, known, (10, 10, 45, 120))
    assert not (drawn & ~result).any() and not (result & (image > 115)).any()


def test_dark_letters_that_end_in_a_shadow_of_their_level_may_go_on_in_it():
    values = np.full((60, 200, 1), 80, np.float32)
    line = [((20, 100, 34, 160), np.array([4.0], np.float32))]
    known = np.zeros((60, 200), bool)
    assert not extend_line.hidden_by_tissue(values, line, known)
    values[:, :100] = 6
    assert extend_line.hidden_by_tissue(values, line, known)
    # On an even frame of that level every letter shows.
    known[:, :100] = True
    assert not extend_line.hidden_by_tissue(values, line, known)
    assert not extend_line.hidden_by_tissue(values, [((20, 0, 34, 200), line[0][1])], known & False)
