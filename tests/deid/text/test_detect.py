"""Lines of text in an image."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from burned_fixture import FRAME_LEVEL, marked, phantom, seen_by_one_view, write, written_over
from texted import make

from bedside.deid.outcome import Stored
from bedside.deid.text import detect, ocr, remove, views
from bedside.deid.text.mask import LineInk
from bedside.deid.text.segment import Ink


def told(case):
    """The map of a detector that sees every string, and nothing else."""
    probable = np.zeros(case.tissue.shape, np.float32)
    for ink in case.inks:
        rows, columns = (np.flatnonzero(ink.any(axis=a)) for a in (1, 0))
        edge = max(1, int(0.22 * (rows[-1] - rows[0] + 1)))
        probable[rows[0] + edge:rows[-1] + 1 - edge,
                 columns[0] + edge:columns[-1] + 1 - edge] = 0.95
    return probable


def test_ink_is_told_from_tissue_pixel_by_pixel(monkeypatch):
    # Without the engine: its part is tested above, and it takes most of the time.
    monkeypatch.setattr(ocr, "read", lambda lines: [("ABC", 0.95)] * len(lines))
    passed = 0
    for seed in range(400_000, 400_016):
        case = make(seed)
        result = detect.find_lines(case.image, told(case))
        if result.doubt:
            continue
        passed += 1
        other = case.tissue & ~case.touched
        for ink in case.inks:
            assert (ink & ~result.mask).sum() <= 0.01 * ink.sum(), case.about
        assert (result.mask & other).sum() <= 0.01 * other.sum(), case.about
    assert passed >= 13


def test_no_colour_of_something_wider_than_a_stroke(monkeypatch):
    monkeypatch.setattr(ocr, "read", lambda lines: [("ABC", 0.95)] * len(lines))
    image = phantom(2).copy()
    image[60:110, 60:300] = 1
    image, ink = write(image, "02:36", at=(100, 95), value=129)
    probable = np.zeros(image.shape, np.float32)
    rows, columns = (np.flatnonzero(ink.any(axis=a)) for a in (1, 0))
    probable[rows[0] + 4:rows[-1] - 4, columns[0] + 4:columns[-1] - 4] = 0.95
    result = detect.find_lines(image, probable).mask
    assert not (ink & ~result).any()


@pytest.mark.parametrize("word", ["Dr. NGUYEN", "12.04.1961"])
def test_dark_letters_that_stand_half_on_the_frame_go(monkeypatch, word):
    image = np.pad(phantom(0), 60, constant_values=FRAME_LEVEL)
    clean = image.copy()
    cv2.putText(image, word, (200, 62), cv2.FONT_HERSHEY_SIMPLEX, 0.5, FRAME_LEVEL + 1, 1)
    wrote = image != clean
    assert wrote[:60].any() and wrote[60:].any(), "on the frame and on the tissue"
    result = detect.find_text(image)
    assert (wrote & ~result.mask).sum() <= 0.01 * wrote.sum()
    assert (result.mask & (clean == image)).mean() < 0.02
    assert remove.clean(Stored(image[None], "MONOCHROME2", 8)).status != "clean"
    monkeypatch.setattr(views, "without_frame", lambda image: None)
    assert (wrote & ~detect.find_text(image).mask).sum() > 0.5 * wrote.sum()


def frame_view(left, base):
    """An image with a line on its frame, and a view without the frame that shows letters more."""
    image = np.pad(phantom(0), 60, constant_values=FRAME_LEVEL)
    cv2.putText(image, "KOWALSKI", (200, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255, 2)
    probable = np.zeros(image.shape, np.float32)
    probable[22:40, 200:330] = 0.95
    level = views.without_frame(image).copy()
    cv2.putText(level, "NGUYEN", (left, base), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 0, 2)
    bar = np.zeros(image.shape, np.float32)
    bar[base - 18:base, left:left + 100] = 0.95
    return image, probable, views.View(bar, level, redrawn=True)


@pytest.mark.parametrize(("left", "base", "goes"), [(330, 40, False), (200, 420, True)])
def test_what_only_the_view_without_the_frame_shows_goes_where_no_other_line_does(left, base, goes):
    image, probable, view = frame_view(left, base)
    alone, both = detect.find_lines(image, probable), detect.find_lines(image, probable, (view,))
    assert detect._legible_missed(view, alone.mask), "legible, and not masked yet"
    more = both.mask & ~alone.mask
    assert more.any() == goes
    assert not goes or more[base - 18:base, left:left + 100].sum() > 200


@pytest.mark.parametrize(("touched", "unsure", "waits"), [
    (0.008, 0.009, False), (0.008, 0.010, True), (0.006, 0.010, False), (0.006, 0.011, True),
    (0.009, 0.009, True)])
def test_how_much_of_the_tissue_may_go(monkeypatch, touched, unsure, waits):
    image = phantom()
    cv2.putText(image, "KOWALSKI", (80, 160), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255, 2)
    probable = np.zeros(image.shape, np.float32)
    probable[142:160, 80:210] = 0.95
    monkeypatch.setattr(detect, "_share", lambda mask, place, tissue: (
        touched if place is tissue else unsure))
    result = detect.find_lines(image, probable)
    assert (result.doubt == detect.TOO_MUCH) is waits, result.doubt


def test_a_line_goes_on_where_only_its_level_tells(monkeypatch):
    monkeypatch.setattr(ocr, "read", lambda lines: [("ABC", 0.95)] * len(lines))
    image = phantom(0, images=8).copy()
    rng = np.random.default_rng(5)
    image[140:230, 60:250] = rng.integers(5, 40, (90, 190))
    text, at = "KOWALSKI 04.05.1971", (80, 190)
    written = image.copy()
    cv2.putText(written, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.8, 22, 2, cv2.LINE_8)
    ink = np.zeros_like(image)
    cv2.putText(ink, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.8, 1, 2, cv2.LINE_8)
    probable = np.zeros(image.shape, np.float32)
    probable[178:186, 255:345] = 0.95
    result = detect.find_lines(written, probable).mask
    assert ink[:, 80:250].sum() > 500
    assert (ink.astype(bool) & ~result).sum() <= 0.01 * ink.sum()


def test_a_line_goes_on_over_the_frame_however_faint_it_is_there(monkeypatch):
    monkeypatch.setattr(ocr, "read", lambda lines: [("ABC", 0.95)] * len(lines))
    image = np.pad(np.clip(phantom(1), 50, 200), ((0, 0), (120, 0)))
    written = image.copy()
    cv2.putText(written, "Dr. ZHANG", (70, 190), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 6, 1, cv2.LINE_AA)
    ink = written != image
    probable = np.zeros(image.shape, np.float32)
    probable[182:187, 122:165] = 0.95
    assert ink[:, :120].sum() > 50
    result = detect.find_lines(written, probable).mask
    assert (ink[:, :120] & ~result[:, :120]).sum() == 0


def test_faint_text_that_one_view_shows_and_the_reader_makes_out_goes(monkeypatch):
    image = np.repeat(phantom(1)[..., None], 3, axis=2)
    written = image.copy()
    cv2.putText(written, "KOWALSKI", (80, 110), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (70, 70, 70), 1)
    seen_by_one_view(monkeypatch, written, ("KOWALSKI", 0.9))
    result = detect.find_text(written)
    drawn = (written != image).any(axis=2)
    assert result.lines and (drawn & ~result.mask).sum() <= 0.01 * drawn.sum()


@pytest.mark.parametrize(("at", "level", "cut"), [(74, 90, True), (10, 90, False),
                                                  (74, 255, False)])
def test_a_line_that_ends_where_the_frame_does_is_quarantined(at, level, cut, monkeypatch):
    """Unless the rest of it would be seen on whatever is there."""
    monkeypatch.setattr(ocr, "read", lambda lines: [("ABC", 0.95)] * len(lines))
    image = np.pad(np.clip(phantom(1), 50, 200), ((0, 0), (120, 0)))
    written = image.copy()
    cv2.putText(written, "ABCD", (at, 190), cv2.FONT_HERSHEY_SIMPLEX, 0.6, level, 1, cv2.LINE_AA)
    written[:, 120:] = image[:, 120:]
    result = detect.find_lines(
        written, marked(written.shape, np.s_[181:188], np.s_[at + 2:at + 46]))
    assert (result.doubt == detect.TRUNCATED) is cut


def test_the_upper_half_of_letters_on_a_dark_frame_goes_with_the_lower(monkeypatch):
    monkeypatch.setattr(ocr, "read", lambda lines: [("28-04-2016", 0.95)] * len(lines))
    image = np.pad(np.clip(phantom(1), 90, 220), ((40, 0), (0, 0)), constant_values=8)
    written = image.copy()
    cv2.putText(written, "28-04-2016", (100, 47), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 38, 1, cv2.LINE_AA)
    drawn = written != image
    rows, columns = (np.flatnonzero(drawn.any(axis=a)) for a in (1, 0))
    assert rows[0] < 34 and rows[-1] >= 45
    result = detect.find_lines(written, marked(
        written.shape, np.s_[42:46], np.s_[columns[0] + 4:columns[-1] - 4]))
    assert (drawn & ~result.mask).sum() <= 0.01 * drawn.sum()


def test_a_black_cyst_is_tissue_and_the_black_frame_is_not():
    image = np.zeros((200, 260), np.float32)
    image[40:160, 50:210] = np.random.default_rng(0).integers(60, 120, (120, 160))
    cv2.ellipse(image, (130, 100), (30, 18), 0, 0, 360, 0, -1)
    textured = detect._textured(image[..., None])
    assert textured[100, 130] and textured[60, 60] and not textured[10, 10]


@pytest.mark.parametrize(("read", "level", "waits"), [
    (0.9, 255, False), (0.0, 255, True), (0.9, None, True)])
def test_a_cyst_of_the_inks_level_never_goes_unseen(monkeypatch, read, level, waits):
    """Only what is read, and differs from what it is filled with, is taken for no tissue."""
    image = phantom(1)
    mask = np.zeros(image.shape, bool)
    mask[120:150, 100:180] = True
    image[mask] = image[mask] if level is None else level
    line = LineInk((110, 90, 160, 190), Ink(*[mask[110:160, 90:190]] * 3, 0.5))
    monkeypatch.setattr(detect, "whole_line", lambda *_: line)
    monkeypatch.setattr(ocr, "read", lambda lines: [("KOWALSKI", read)] * len(lines))
    result = detect.find_lines(image, marked(image.shape, np.s_[125:145], np.s_[100:180]))
    assert result.mask[120:150, 100:180].all()
    assert (result.doubt == detect.TOO_MUCH) == waits


def test_what_only_the_near_view_shows_beside_a_line_goes_too(monkeypatch):
    # The second word is in another ink, so that it is no more of the first.
    image, first = written_over(phantom(1), "KOWALSKI", (60, 110), 255)
    image, second = written_over(image, "MARIA", (210, 110), 5)
    whole = image.shape[:2]

    def probability(seen, scale=1.0):
        result = np.zeros(seen.shape[:2], np.float32)
        if seen.shape[:2] == whole:
            result[102:108, 64:130] = 0.95
        else:
            middle = seen.shape[0] // 2
            result[middle - 3:middle + 3, round(0.65 * seen.shape[1]):-20] = 0.95
        return result

    monkeypatch.setattr(ocr, "probability", probability)
    monkeypatch.setattr(ocr, "read", lambda lines: [("KOWALSKI MARIA", 0.95)] * len(lines))
    assert detect.find_text(image, enlarge=False).mask[second].mean() < 0.5
    result = detect.find_text(image).mask
    assert result[first].mean() >= 0.99 and result[second].mean() >= 0.99


@pytest.mark.parametrize("number", range(4))
def test_tissue_is_no_rotated_line(number):
    assert detect.find_text(phantom(number, 360, 480)).doubt != detect.ROTATED
