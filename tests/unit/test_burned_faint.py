"""Burned-in text that is faint, cut off, or beside what looks more like ink than it does."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from bedside.data.burned import beyond, find, ink, ocr, search
from bedside.data.deid.outcome import Stored
from bedside.data.phantom import generate
from bedside.study_types import PhantomConfig


def phantom(number):
    return generate(PhantomConfig(images=4, height_px=320, width_px=420), 3, number).image


def marked(shape, rows, columns):
    probable = np.zeros(shape, np.float32)
    probable[rows, columns] = 0.95
    return probable


def test_text_that_only_shows_at_even_contrast_waits_for_a_person(monkeypatch):
    picture = phantom(1)
    monkeypatch.setattr(ocr, "read", lambda lines: [("", 0.0)] * len(lines))
    monkeypatch.setattr(ocr, "probability", lambda seen, scale=1.0: marked(
        seen.shape[:2], np.s_[100:110], np.s_[80:200]) * (not np.array_equal(seen, picture)))
    outcome = search.clean(Stored(picture[None], "MONOCHROME2", 8))
    assert (outcome.status, outcome.reason) == ("uncertain", find.FAINT)
    assert outcome.preview, "a person sees where it is"


def test_the_outline_of_a_lesion_is_no_faint_text():
    mask = np.zeros((160, 200), np.uint8)
    mask[30:70, 45:100] = 255
    assert search.clean(Stored(mask[None], "MONOCHROME2", 8)).status == "clean"


@pytest.mark.parametrize("kind", ["grey", "colour"])
def test_even_contrast_brings_out_what_is_faint(kind):
    picture = np.full((120, 200), 60, np.uint8)
    picture[:, 100:] = np.random.default_rng(1).integers(0, 255, (120, 100))
    picture[40:80:4, 20:60] += 30
    if kind == "colour":
        picture = np.repeat(picture[..., None], 3, axis=2)
    out = find.even(picture)
    assert out.shape == (120, 200) and out.dtype == np.uint8
    assert out[40, 40].astype(int) - out[42, 40] > 60, "twice what it was"


@pytest.mark.parametrize(("gone", "waits"), [(0, True), (60, True), (110, False)])
def test_a_line_of_which_letters_are_left_is_missed(gone, waits):
    probable = marked((80, 220), np.s_[30:42], np.s_[50:160])
    mask = np.zeros(probable.shape, bool)
    mask[28:44, 48:50 + gone] = gone > 0
    assert bool(find._missed(probable, mask, 0.7)) is waits
    assert not find._missed(probable, np.zeros_like(mask), 0.7, begun=True)


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
    colour, _ = ink.ink_colour(box[..., None], likely)
    assert colour is not None and colour[0] == 255


def test_full_stops_of_a_line_that_goes_on_and_what_is_mixed_with_it():
    picture = np.random.default_rng(3).integers(150, 200, (80, 260)).astype(np.uint8)
    written = picture.copy()
    cv2.putText(written, "HHHHH . HHHHH", (10, 50), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 70, 2,
                cv2.LINE_AA)
    values = written[..., None].astype(np.float32)
    drawn = written != picture
    columns = np.flatnonzero(drawn.any(axis=0))
    box = (34, int(columns[0]), 52, int(columns[0]) + 60)
    found = beyond.continued(values, [(box, np.array([70], np.float32))])
    beyond_it = drawn.copy()
    beyond_it[:, :box[3]] = False
    strong = beyond_it & (np.abs(written.astype(int) - picture) > 60)
    assert strong.sum() > 200
    assert (strong & ~found).sum() <= 0.01 * strong.sum()


@pytest.mark.parametrize(("at", "cut"), [(74, True), (10, False)])
def test_a_line_that_ends_where_the_frame_does_waits(at, cut, monkeypatch):
    monkeypatch.setattr(ocr, "read", lambda lines: [("ABC", 0.95)] * len(lines))
    picture = np.pad(np.clip(phantom(1), 50, 200), ((0, 0), (120, 0)))
    written = picture.copy()
    cv2.putText(written, "ABCD", (at, 190), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 90, 1, cv2.LINE_AA)
    written[:, 120:] = picture[:, 120:]
    found = find.find_in(written, marked(written.shape, np.s_[181:188], np.s_[at + 2:at + 46]))
    assert (found.doubt == find.CUT) is cut
