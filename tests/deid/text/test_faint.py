"""Burned-in text that is faint, cut off, or beside what looks more like ink than it does."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from bedside.core.study import PhantomConfig
from bedside.deid.outcome import Stored
from bedside.deid.text import (
    colours,
    detect,
    edge_density,
    extend_line,
    ink_mask,
    margin,
    ocr,
    remove,
    segment_line,
)
from bedside.deid.text import (
    views as looks,
)
from bedside.synthetic.phantom import generate


def phantom(number):
    return generate(PhantomConfig(images=4, height_px=320, width_px=420), 3, number).image


def marked(shape, rows, columns):
    probable = np.zeros(shape, np.float32)
    probable[rows, columns] = 0.95
    return probable


BAR = (np.s_[100:110], np.s_[80:200])


def seen_by_one_look(monkeypatch, picture, said):
    """The detector sees a bar in pictures made over alone, and the reader says ``said``."""
    monkeypatch.setattr(ocr, "read", lambda lines: [said] * len(lines))
    monkeypatch.setattr(ocr, "probability", lambda seen, scale=1.0: marked(
        seen.shape[:2], *BAR) * (not np.array_equal(seen, picture)))


def test_faint_text_that_one_look_shows_and_the_reader_makes_out_goes(monkeypatch):
    picture = np.repeat(phantom(1)[..., None], 3, axis=2)
    written = picture.copy()
    cv2.putText(written, "KOWALSKI", (80, 110), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (70, 70, 70), 1)
    seen_by_one_look(monkeypatch, written, ("KOWALSKI", 0.9))
    found = detect.find(written)
    drawn = (written != picture).any(axis=2)
    assert found.lines and (drawn & ~found.ink).sum() <= 0.01 * drawn.sum()


@pytest.mark.parametrize("said", [("", 0.0), ("27", 0.95), ("KOWALSKI", 0.5)])
def test_texture_that_one_look_takes_for_text_and_nobody_can_read_stays(monkeypatch, said):
    picture = phantom(1)
    seen_by_one_look(monkeypatch, picture, said)
    assert remove.clean(Stored(picture[None], "MONOCHROME2", 8)).status == "clean"


def test_text_that_is_read_but_not_taken_out_waits_for_a_person(monkeypatch):
    picture = phantom(1)
    seen_by_one_look(monkeypatch, picture, ("KOWALSKI", 0.9))
    monkeypatch.setattr(detect, "find_in", lambda seen, probable, views: detect.Found(
        (), np.zeros(seen.shape[:2], bool)))
    outcome = remove.clean(Stored(picture[None], "MONOCHROME2", 8))
    assert (outcome.status, outcome.reason) == ("uncertain", detect.FAINT)
    assert outcome.preview, "a person sees where it is"


def test_the_outline_of_a_lesion_is_no_faint_text():
    mask = np.zeros((160, 200), np.uint8)
    mask[30:70, 45:100] = 255
    assert remove.clean(Stored(mask[None], "MONOCHROME2", 8)).status == "clean"


@pytest.mark.parametrize(("gone", "waits"), [(0, True), (60, True), (110, False)])
def test_a_line_of_which_letters_are_left_is_missed(gone, waits):
    probable = marked((80, 220), np.s_[30:42], np.s_[50:160])
    mask = np.zeros(probable.shape, bool)
    mask[28:44, 48:50 + gone] = gone > 0
    assert bool(looks.missed(probable, mask, 0.7)) is waits
    assert not looks.missed(probable, np.zeros_like(mask), 0.7, begun=True)


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
    colour, _ = colours.ink_colour(box[..., None], likely)
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
    found = extend_line.continued(values, [(box, np.array([70], np.float32))])
    beyond_it = drawn.copy()
    beyond_it[:, :box[3]] = False
    strong = beyond_it & (np.abs(written.astype(int) - picture) > 60)
    assert strong.sum() > 200
    assert (strong & ~found).sum() <= 0.01 * strong.sum()


@pytest.mark.parametrize(("at", "level", "cut"), [(74, 90, True), (10, 90, False),
                                                  (74, 255, False)])
def test_a_line_that_ends_where_the_frame_does_waits(at, level, cut, monkeypatch):
    """Unless the rest of it would be seen on whatever is there."""
    monkeypatch.setattr(ocr, "read", lambda lines: [("ABC", 0.95)] * len(lines))
    picture = np.pad(np.clip(phantom(1), 50, 200), ((0, 0), (120, 0)))
    written = picture.copy()
    cv2.putText(written, "ABCD", (at, 190), cv2.FONT_HERSHEY_SIMPLEX, 0.6, level, 1, cv2.LINE_AA)
    written[:, 120:] = picture[:, 120:]
    found = detect.find_in(written, marked(written.shape, np.s_[181:188], np.s_[at + 2:at + 46]))
    assert (found.doubt == detect.CUT) is cut


def test_what_moves_an_even_background_by_a_level_is_ink():
    box = np.full((30, 80, 1), 16, np.float32)
    likely = np.zeros((30, 80), bool)
    likely[8:22, 10:70] = True
    box[12:18, 20:60] = 70
    box[11, 20:60] = box[18, 20:60] = 18
    found = segment_line.against(box, likely)
    assert found is not None and np.array_equal(found, box[..., 0] != 16)


@pytest.mark.parametrize(("tissue", "whole"), [(300, True), (40, False)])
def test_between_faint_letters_all_goes_where_there_is_room(tissue, whole):
    rest = np.ones((tissue, tissue), bool)
    core = np.zeros_like(rest)
    core[12:20, 10:30:6] = True
    faint = (11, 8, 21, 32)
    mask = margin.with_rim(core, core, rest & ~core, [faint], [faint])
    assert (mask & core).sum() == core.sum()
    assert mask[faint[0]:faint[2], faint[1]:faint[3]].all() == whole


def test_the_upper_half_of_letters_on_a_dark_frame_goes_with_the_lower(monkeypatch):
    monkeypatch.setattr(ocr, "read", lambda lines: [("28-04-2016", 0.95)] * len(lines))
    picture = np.pad(np.clip(phantom(1), 90, 220), ((40, 0), (0, 0)), constant_values=8)
    written = picture.copy()
    cv2.putText(written, "28-04-2016", (100, 47), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 38, 1, cv2.LINE_AA)
    drawn = written != picture
    rows, columns = (np.flatnonzero(drawn.any(axis=a)) for a in (1, 0))
    assert rows[0] < 34 and rows[-1] >= 45
    found = detect.find_in(written, marked(
        written.shape, np.s_[42:46], np.s_[columns[0] + 4:columns[-1] - 4]))
    assert (drawn & ~found.ink).sum() <= 0.01 * drawn.sum()


def test_a_black_cyst_is_tissue_and_the_black_frame_is_not():
    picture = np.zeros((200, 260), np.float32)
    picture[40:160, 50:210] = np.random.default_rng(0).integers(60, 120, (120, 160))
    cv2.ellipse(picture, (130, 100), (30, 18), 0, 0, 360, 0, -1)
    textured = detect._textured(picture[..., None])
    assert textured[100, 130] and textured[60, 60] and not textured[10, 10]


@pytest.mark.parametrize(("read", "level", "waits"), [
    (0.9, 255, False), (0.0, 255, True), (0.9, None, True)])
def test_a_cyst_of_the_inks_level_never_goes_unseen(monkeypatch, read, level, waits):
    """Only what is read, and differs from what it is filled with, is taken for no tissue."""
    picture = phantom(1)
    mask = np.zeros(picture.shape, bool)
    mask[120:150, 100:180] = True
    picture[mask] = picture[mask] if level is None else level
    line = ink_mask.LineInk((110, 90, 160, 190), *[mask[110:160, 90:190]] * 3, 0.5)
    monkeypatch.setattr(detect, "whole_line", lambda *_: line)
    monkeypatch.setattr(ocr, "read", lambda lines: [("KOWALSKI", read)] * len(lines))
    found = detect.find_in(picture, marked(picture.shape, np.s_[125:145], np.s_[100:180]))
    assert found.ink[120:150, 100:180].all()
    assert (found.doubt == detect.TOO_MUCH) == waits


def test_a_second_line_across_the_first_goes_with_it():
    """Bright letters of which the detector's box also holds dark ones of two pixels' width."""
    picture = np.clip(phantom(1), 110, 170)
    first = picture.copy()
    cv2.putText(first, "node", (150, 170), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 228, 2)
    written = first.copy()
    cv2.putText(written, "Olga lill", (60, 165), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 40, 1, cv2.LINE_AA)
    values = written.astype(np.float32)[..., None]
    core = first != picture
    fine = edge_density.marks(values, 1.3) & ~core
    box = (150, 145, 176, 215)
    found = extend_line.other_ink(values, fine, core, box, np.array([228], np.float32))
    dark = (picture.astype(int) - written > 40) & ~core
    assert dark.sum() > 100 and (dark & ~found)[:, 120:150].sum() <= 0.01 * dark.sum()
    assert not (found & (written >= picture) & ~core).any(), "nothing brighter than the tissue"
    alone = extend_line.other_ink(first.astype(np.float32)[..., None], np.zeros_like(core), core,
                                  box, np.array([228], np.float32))
    assert not alone.any()


def test_a_faint_line_is_followed_along_its_strokes():
    picture = np.full((60, 200), 120, np.uint8)
    cv2.putText(picture, "1963", (20, 35), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 70, 1, cv2.LINE_AA)
    drawn = picture < 90
    known = drawn.copy()
    known[:, ::3] = False
    found = extend_line.rest_of(picture.astype(np.float32)[..., None], known, (10, 10, 45, 120))
    assert not (drawn & ~found).any() and not (found & (picture > 115)).any()


@pytest.mark.parametrize(("echoes", "goes"), [(0.0, True), (0.5, False)])
def test_echoes_in_a_black_shadow_are_no_writing_on_a_frame(echoes, goes):
    values = np.zeros((160, 300, 1), np.float32)
    values[:60] = np.random.default_rng(0).integers(60, 160, (60, 300, 1))
    drawn = np.random.default_rng(1).random((45, 220)) < echoes
    values[85:130, 60:280, 0][drawn] = 12
    values[100:110, 20:40, 0] = 90
    of = ink_mask.Inked(values)
    box = (96, 10, 114, 60)
    of.add(ink_mask.LineInk(box, *[values[96:114, 10:60, 0] == 90] * 3, 0.5))
    values[104:106, 150:154, 0] = 20
    of.go_on()
    assert of.core[104:106, 150:154].all() == goes


def test_a_coloured_line_on_the_frame_of_a_coloured_picture_goes_whole():
    """Where tissue has colours too, as in Doppler, hue does not tell what is written."""
    values = np.zeros((160, 300, 3), np.float32)
    values[:60] = np.random.default_rng(0).integers(0, 255, (60, 300, 3))
    values[100:110, 20:40] = (0, 255, 255)
    values[104:106, 90:94] = (0, 20, 20)
    of = ink_mask.Inked(values)
    of.add(ink_mask.LineInk((96, 10, 114, 60), *[values[96:114, 10:60, 1] == 255] * 3,
                            segment_line.CERTAIN))
    of.go_on()
    assert of.core[104:106, 90:94].all()
