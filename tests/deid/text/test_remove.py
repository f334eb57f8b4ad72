"""Removal of burned-in text from images."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from burned_fixture import (
    NAMES,
    blind,
    phantom,
    seen_by_one_view,
    small_letters,
    write,
    written_over,
)
from PIL import Image, ImageDraw, ImageFont
from texted import make

from bedside.deid.outcome import Stored
from bedside.deid.text import detect, ocr, remove

STRINGS = 8
# The engine's time goes with the image's size; benchmarks/text_removal.py takes large ones.
SMALL = ((300, 420), (320, 400), (280, 440))


@pytest.fixture(scope="module")
def tissue():
    return phantom(1)


@pytest.mark.parametrize("seed", range(STRINGS))
def test_known_ink_goes_and_the_tissue_stays(seed):
    case = make(seed, strings=1, sizes=SMALL)
    outcome = remove.clean(Stored(case.image[None], "RGB" if case.image.ndim == 3 else
                                  "MONOCHROME2", 8))
    assert outcome.status != "clean", case.about
    changed = outcome.frames[0] != case.image
    changed = changed if changed.ndim == 2 else changed.any(axis=2)
    if outcome.status == "cleaned":
        mask = detect.find_text(case.image).mask
        for ink in case.inks:
            assert (ink & ~mask).sum() <= 0.01 * ink.sum(), case.about
        other = case.tissue & ~case.touched
        assert (changed & other).sum() <= 0.01 * other.sum()


def test_letters_that_the_reader_does_not_see_are_quarantined(tissue, monkeypatch):
    monkeypatch.setattr(ocr, "probability", lambda image, scale=1.0: np.zeros(
        image.shape[:2], np.float32))
    image, ink = write(tissue, "DOE^JANE 1961")
    outcome = remove.clean(Stored(image[None], "MONOCHROME2", 8))
    assert (outcome.status, outcome.reason) == ("uncertain", detect.UNDETECTED)
    assert (outcome.frames[0][ink] == 255).mean() < 0.02, "the proposal is clean"
    assert remove.clean(Stored(tissue[None], "MONOCHROME2", 8)).status == "clean"


def test_an_image_without_text_stays_as_it_is(tissue):
    outcome = remove.clean(Stored(tissue[None], "MONOCHROME2", 8))
    assert (outcome.status, outcome.frames) == ("clean", None)
    assert not detect.find_text(tissue).lines


def test_ticks_without_letters_are_not_text(tissue):
    ticked = tissue.copy()
    for y in range(20, 300, 20):
        ticked[y, 400:408] = 255
    cv2.drawMarker(ticked, (150, 160), 255, cv2.MARKER_CROSS, 11, 1)
    assert remove.clean(Stored(ticked[None], "MONOCHROME2", 8)).status == "clean"


@pytest.mark.parametrize("text", NAMES)
@pytest.mark.parametrize("value", [255, 0])
def test_small_letters_that_the_reader_does_not_see_are_quarantined(text, value, monkeypatch):
    blind(monkeypatch)
    image, _ = small_letters(np.clip(phantom(2), 60, 190), text, (150, 160), value)
    outcome = remove.clean(Stored(image[None], "MONOCHROME2", 8))
    assert (outcome.status, outcome.reason) == ("uncertain", detect.UNDETECTED)
    assert outcome.preview.startswith(b"\x89PNG")


def test_small_letters_of_one_frame_hold_the_whole_film(monkeypatch):
    blind(monkeypatch)
    frames = np.stack([phantom(2), np.roll(phantom(2), 9, axis=1), np.roll(phantom(2), 21, 1)])
    assert remove.clean(Stored(frames, "MONOCHROME2", 8)).status == "clean"
    frames[1], _ = small_letters(frames[1], NAMES[0], (150, 160), 255)
    assert remove.clean(Stored(frames, "MONOCHROME2", 8)).reason == detect.UNDETECTED


@pytest.mark.parametrize("said", [("", 0.0), ("27", 0.95), ("KOWALSKI", 0.5)])
def test_texture_that_one_view_takes_for_text_and_nobody_can_read_stays(monkeypatch, said):
    image = phantom(1)
    seen_by_one_view(monkeypatch, image, said)
    assert remove.clean(Stored(image[None], "MONOCHROME2", 8)).status == "clean"


def test_text_that_is_read_but_not_taken_out_is_quarantined(monkeypatch):
    image = phantom(1)
    seen_by_one_view(monkeypatch, image, ("KOWALSKI", 0.9))
    monkeypatch.setattr(detect, "find_lines", lambda seen, probable, views: detect.Detection(
        (), np.zeros(seen.shape[:2], bool)))
    outcome = remove.clean(Stored(image[None], "MONOCHROME2", 8))
    assert (outcome.status, outcome.reason) == ("uncertain", detect.FAINT)
    assert outcome.preview, "a person sees where it is"


def test_the_outline_of_a_lesion_is_no_faint_text():
    mask = np.zeros((160, 200), np.uint8)
    mask[30:70, 45:100] = 255
    assert remove.clean(Stored(mask[None], "MONOCHROME2", 8)).status == "clean"


@pytest.mark.parametrize(("said", "still"), [
    (("D. Ivanova", 0.6), True), (("D. Ivanova", 0.5), False), (("7", 0.9), False)])
def test_what_can_still_be_read_from_near_after_the_removal_holds_the_image(
        monkeypatch, said, still):
    image, _ = written_over(phantom(1), "KOWALSKI", (60, 110), 255)
    line = detect.Line((95, 55, 118, 150), 0.9, 1.0, 0.9)
    gone = np.zeros(image.shape, bool)
    gone[98:114, 58:146] = True

    def probability(seen, scale=1.0):
        result = np.zeros(seen.shape[:2], np.float32)
        if seen.shape[:2] != image.shape:
            result[seen.shape[0] // 2 - 3:seen.shape[0] // 2 + 3, 30:-30] = 0.9
        return result

    monkeypatch.setattr(ocr, "probability", probability)
    monkeypatch.setattr(ocr, "read", lambda lines: [said] * len(lines))
    monkeypatch.setattr(detect, "find_text", lambda *_a, **_k: detect.Detection((line,), gone))
    outcome = remove.clean(Stored(image[None], "MONOCHROME2", 8))
    assert outcome.status == ("uncertain" if still else "cleaned")
    assert (outcome.reason == remove.STILL_THERE) is still


def rotated(image, degrees, size):
    shape = image.shape
    mark = Image.new("L", shape[::-1], 0)
    ImageDraw.Draw(mark).text((120, 170), "ROE JANE 14-03-1962", fill=255,
                              font=ImageFont.load_default(size=size))
    mark = mark.rotate(degrees, center=(shape[1] // 2, shape[0] // 2))
    return np.where(np.asarray(mark) > 128, 255, image).astype(np.uint8)


@pytest.mark.parametrize("degrees", [35, 50, 90, -60, -90])
@pytest.mark.parametrize("size", [14, 22])
def test_rotated_text_is_quarantined(degrees, size):
    image = rotated(phantom(1, 360, 480), degrees, size)
    result = remove.clean(Stored(image[None], "MONOCHROME2", 8))
    assert result.status == "uncertain"
    assert result.preview is not None


@pytest.mark.parametrize("quarters", [1, 3])
def test_an_image_that_lies_on_its_side_is_quarantined(quarters):
    image = np.rot90(rotated(phantom(2, 360, 480), 0, 18), quarters)
    result = remove.clean(Stored(np.ascontiguousarray(image)[None], "MONOCHROME2", 8))
    assert result.status == "uncertain"


def test_a_film_that_is_too_long_is_quarantined():
    frames = np.zeros((remove.MAX_FRAMES + 1, 8, 8), np.uint8)
    outcome = remove.clean(Stored(frames, "MONOCHROME2", 8))
    assert (outcome.status, outcome.reason) == ("uncertain", remove.TOO_MANY)
