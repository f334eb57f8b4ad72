"""Pictures made over for the detector: evened contrast, a frame of the tissue's level, bands."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from bedside.core.study import PhantomConfig
from bedside.deid.outcome import Stored
from bedside.deid.text import contrast, detect, ocr, remove, views
from bedside.synthetic.phantom import generate

FRAME = 16


def phantom(number=1, height=320, width=420):
    return generate(PhantomConfig(images=4, height_px=height, width_px=width), 3, number).image


def coloured(picture, kind):
    return picture if kind == "grey" else np.repeat(picture[..., None], 3, axis=2)


@pytest.mark.parametrize("kind", ["grey", "colour"])
@pytest.mark.parametrize("made_over", [contrast.equalised, contrast.normalised])
def test_faint_marks_in_the_dark_stand_out_in_the_evened_picture(kind, made_over):
    rng = np.random.default_rng(1)
    picture = np.full((320, 320), 20, np.uint8) + rng.integers(0, 4, (320, 320)).astype(np.uint8)
    picture[:, 160:] = rng.integers(120, 250, (320, 160))
    mark = np.zeros(picture.shape, bool)
    mark[60:64, 20:60] = True
    picture[mark] += 8
    out = made_over(coloured(picture, kind))
    assert out.shape == picture.shape and out.dtype == np.uint8
    around = np.zeros_like(mark)
    around[50:74, 10:70] = True

    def gap(image):
        return np.median(image[mark]) - np.median(image[around & ~mark])

    assert gap(out.astype(int)) >= 2 * gap(picture.astype(int)) > 0


@pytest.mark.parametrize("kind", ["grey", "colour"])
def test_a_frame_takes_the_level_of_the_tissue_and_faint_ink_on_it_is_dark(kind):
    tissue = np.clip(phantom(), 60, 255)
    picture = np.pad(tissue, 60, constant_values=FRAME)
    picture[30, 100:140] = FRAME + 2
    picture[40, 100:140] = 255
    out = contrast.without_frame(coloured(picture, kind))
    assert out.shape == picture.shape and out.dtype == np.uint8
    level = out[0, 0]
    assert abs(int(level) - int(np.median(tissue))) < 60
    assert (out[30, 100:140] <= 0.3 * level).all()
    assert (out[40, 100:140] == 255).all()
    assert np.array_equal(out[60:-60, 60:-60], tissue)


def test_a_picture_without_a_frame_stays_as_it_is():
    rng = np.random.default_rng(1)
    assert contrast.without_frame(rng.integers(0, 255, (200, 240)).astype(np.uint8)) is None


@pytest.mark.parametrize("word", ["Dr. NGUYEN", "12.04.1961"])
def test_dark_letters_that_stand_half_on_the_frame_go(monkeypatch, word):
    picture = np.pad(phantom(0), 60, constant_values=FRAME)
    clean = picture.copy()
    cv2.putText(picture, word, (200, 62), cv2.FONT_HERSHEY_SIMPLEX, 0.5, FRAME + 1, 1)
    wrote = picture != clean
    assert wrote[:60].any() and wrote[60:].any(), "on the frame and on the tissue"
    found = detect.find(picture)
    assert (wrote & ~found.ink).sum() <= 0.01 * wrote.sum()
    assert (found.ink & (clean == picture)).mean() < 0.02
    assert remove.clean(Stored(picture[None], "MONOCHROME2", 8)).status != "clean"
    monkeypatch.setattr(contrast, "without_frame", lambda picture: None)
    assert (wrote & ~detect.find(picture).ink).sum() > 0.5 * wrote.sum(), "no other look shows them"


def frame_look(left, base):
    """A picture with a line on its frame, and a look without the frame that shows letters more."""
    picture = np.pad(phantom(0), 60, constant_values=FRAME)
    cv2.putText(picture, "KOWALSKI", (200, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255, 2)
    probable = np.zeros(picture.shape, np.float32)
    probable[22:40, 200:330] = 0.95
    level = contrast.without_frame(picture).copy()
    cv2.putText(level, "NGUYEN", (left, base), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 0, 2)
    bar = np.zeros(picture.shape, np.float32)
    bar[base - 18:base, left:left + 100] = 0.95
    return picture, probable, views.Look(bar, level, drawn=True)


@pytest.mark.parametrize(("left", "base", "goes"), [(330, 40, False), (200, 420, True)])
def test_what_only_the_look_without_the_frame_shows_goes_where_no_other_line_does(left, base, goes):
    picture, probable, look = frame_look(left, base)
    alone, both = detect.find_in(picture, probable), detect.find_in(picture, probable, (look,))
    assert detect._said(look, alone.ink), "the reader makes it out, and it is not taken out yet"
    more = both.ink & ~alone.ink
    assert more.any() == goes
    assert not goes or more[base - 18:base, left:left + 100].sum() > 200


@pytest.mark.parametrize("row", [150, 160, 175])
def test_text_where_two_bands_meet_is_seen(monkeypatch, row):
    picture = phantom()
    cv2.putText(picture, "KOWALSKI", (80, row), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255, 2)
    whole = ocr.probability(picture)
    monkeypatch.setattr(ocr, "_MOST_PX", picture.size // 2)
    bands = ocr.probability(picture)
    assert bands.shape == whole.shape and bands.dtype == np.float32
    place = np.s_[row - 20:row + 2, 90:180]
    assert bands[place].max(axis=0).min() >= 0.6
    sizes = []
    inner = ocr._probability
    monkeypatch.setattr(ocr, "_probability", lambda part, scale: (
        sizes.append(part.size), inner(part, scale))[1])
    ocr.probability(picture)
    assert len(sizes) == 2 and max(sizes) < picture.size


@pytest.mark.parametrize(("touched", "unsure", "waits"), [
    (0.008, 0.009, False), (0.008, 0.010, True), (0.006, 0.010, False), (0.006, 0.011, True),
    (0.009, 0.009, True)])
def test_how_much_of_the_tissue_may_go(monkeypatch, touched, unsure, waits):
    picture = phantom()
    cv2.putText(picture, "KOWALSKI", (80, 160), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255, 2)
    probable = np.zeros(picture.shape, np.float32)
    probable[142:160, 80:210] = 0.95
    monkeypatch.setattr(detect, "_share", lambda mask, place, tissue: (
        touched if place is tissue else unsure))
    found = detect.find_in(picture, probable)
    assert (found.doubt == detect.TOO_MUCH) is waits, found.doubt
