"""Lines seen from near, captions that compression has blurred, and lines that may go on unseen."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from bedside.core.study import PhantomConfig
from bedside.deid.outcome import Stored
from bedside.deid.text import colours, detect, ink_mask, ocr, remove, segment_line, truncated, views
from bedside.synthetic.phantom import generate


def phantom(number):
    return generate(PhantomConfig(images=4, height_px=320, width_px=420), 3, number).image


def written_over(picture, text, at, level, thick=1, face=cv2.FONT_HERSHEY_SIMPLEX, scale=0.5):
    letters = np.zeros_like(picture)
    cv2.putText(letters, text, at, face, scale, 255, thick)
    return np.where(letters > 0, level, picture).astype(np.uint8), letters > 0


def caption():
    """Bold bright letters on dark tissue, as JPEG leaves them, and where they are."""
    dark = (0.3 * phantom(2)).astype(np.uint8)
    picture, letters = written_over(dark, "RT LOQ C", (100, 150), 235, 2, scale=0.8)
    coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    return cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), letters


def test_the_colour_of_a_blurred_caption_is_told_though_no_level_stands_out():
    picture, _letters = caption()
    box = picture[120:160, 90:260].astype(np.float32)[..., None]
    likely = np.zeros(box.shape[:2], bool)
    likely[6:-6, 6:-6] = True
    colour = colours.blurred_colour(box, likely)
    assert colour is not None and abs(colour[0] - 235) < 12
    tissue = phantom(1)[120:160, 90:260].astype(np.float32)[..., None]
    assert colours.blurred_colour(tissue, likely) is None


def test_a_blurred_caption_goes_letter_by_letter_and_not_as_a_block():
    picture, letters = caption()
    box = picture[120:160, 90:260].astype(np.float32)[..., None]
    likely = np.zeros(box.shape[:2], bool)
    likely[6:-6, 6:-6] = True
    found, _strong, pure, _ = segment_line.line_mask(box, likely, np.zeros(likely.shape, bool))
    inside = letters[120:160, 90:260]
    assert (found & inside).sum() >= 0.99 * inside.sum()
    assert found.sum() <= 0.55 * likely.sum()
    assert (pure & inside).sum() >= 0.3 * inside.sum()


def test_a_line_is_looked_at_from_near_and_each_look_lies_where_the_line_is(monkeypatch):
    seen = []

    def probability(picture, scale=1.0):
        seen.append((picture.shape[:2], scale))
        return np.full(picture.shape[:2], 0.9, np.float32)

    monkeypatch.setattr(ocr, "probability", probability)
    near = views.closer(phantom(1), [(100, 200, 120, 240)])
    assert [scale for _, scale in seen] == [1.5, 3.0]
    for look in near:
        rows, columns = (np.flatnonzero(look.probable.any(axis=a)) for a in (1, 0))
        assert (rows[0], rows[-1] + 1) == (90, 130)
        assert (columns[0], columns[-1] + 1) == (120, 320)
    assert views.closer(phantom(1), []) == ()


def test_what_only_the_near_look_shows_beside_a_line_goes_too(monkeypatch):
    # The second word is in another ink, so that it is no more of the first.
    picture, first = written_over(phantom(1), "KOWALSKI", (60, 110), 255)
    picture, second = written_over(picture, "MARIA", (210, 110), 5)
    whole = picture.shape[:2]

    def probability(seen, scale=1.0):
        found = np.zeros(seen.shape[:2], np.float32)
        if seen.shape[:2] == whole:
            found[102:108, 64:130] = 0.95
        else:
            middle = seen.shape[0] // 2
            found[middle - 3:middle + 3, round(0.65 * seen.shape[1]):-20] = 0.95
        return found

    monkeypatch.setattr(ocr, "probability", probability)
    monkeypatch.setattr(ocr, "read", lambda lines: [("KOWALSKI MARIA", 0.95)] * len(lines))
    assert detect.find(picture, enlarge=False).ink[second].mean() < 0.5
    found = detect.find(picture).ink
    assert found[first].mean() >= 0.99 and found[second].mean() >= 0.99


def test_dark_letters_that_end_in_a_shadow_of_their_level_may_go_on_in_it():
    values = np.full((60, 200, 1), 80, np.float32)
    line = [((20, 100, 34, 160), np.array([4.0], np.float32))]
    known = np.zeros((60, 200), bool)
    assert not truncated.hidden(values, line, known)
    values[:, :100] = 6
    assert truncated.hidden(values, line, known)
    # On an even frame of that level every letter shows.
    known[:, :100] = True
    assert not truncated.hidden(values, line, known)
    assert not truncated.hidden(values, [((20, 0, 34, 200), line[0][1])], known & False)


def test_ink_without_a_pure_pixel_has_the_level_farthest_from_the_tissue():
    values = np.full((40, 120, 1), 90, np.float32)
    values[16:24, 30:90, 0] = np.linspace(10, 60, 60)
    found = np.zeros((40, 120), bool)
    found[16:24, 30:90] = True
    of = ink_mask.Inked(values)
    line = ink_mask.LineInk((0, 0, 40, 120), found, found, np.zeros_like(found), 0.01)
    level = of._strongest(line, np.array([35.0], np.float32))
    assert 10 <= level[0] <= 17
    assert of._strongest(ink_mask.LineInk(line.box, found, found, found, 0.2),
                         np.array([35.0], np.float32))[0] == 35


def test_a_coloured_full_stop_beside_its_line_goes_with_it():
    picture = np.repeat(phantom(1)[..., None], 3, axis=2).astype(np.float32)
    letters = np.zeros(picture.shape[:2], bool)
    letters[100:118, 80:160:3] = True
    stop = np.zeros_like(letters)
    stop[114:118, 172:176] = True
    picture[letters | stop] = (255, 128, 0)
    of = ink_mask.Inked(picture)
    of.add(of.line((96, 76, 122, 166), np.ones((26, 90), bool), None))
    assert of.core[letters].all() and not of.core[stop].any()
    of.go_on()
    assert of.core[stop].all()


@pytest.mark.parametrize(("said", "still"), [
    (("D. Ivanova", 0.6), True), (("D. Ivanova", 0.5), False), (("7", 0.9), False)])
def test_what_can_still_be_read_from_near_after_the_removal_holds_the_image(
        monkeypatch, said, still):
    picture, _ = written_over(phantom(1), "KOWALSKI", (60, 110), 255)
    line = detect.Line((95, 55, 118, 150), 0.9, 1.0, 0.9)
    gone = np.zeros(picture.shape, bool)
    gone[98:114, 58:146] = True

    def probability(seen, scale=1.0):
        found = np.zeros(seen.shape[:2], np.float32)
        if seen.shape[:2] != picture.shape:
            found[seen.shape[0] // 2 - 3:seen.shape[0] // 2 + 3, 30:-30] = 0.9
        return found

    monkeypatch.setattr(ocr, "probability", probability)
    monkeypatch.setattr(ocr, "read", lambda lines: [said] * len(lines))
    monkeypatch.setattr(detect, "find", lambda *_a, **_k: detect.Found((line,), gone))
    outcome = remove.clean(Stored(picture[None], "MONOCHROME2", 8))
    assert outcome.status == ("uncertain" if still else "cleaned")
    assert (outcome.reason == remove.STILL_THERE) is still


def test_from_near_more_than_a_letter_must_be_missed_for_a_line_to_count():
    probable = np.zeros((60, 200), np.float32)
    probable[25:35, 40:160] = 0.9
    mask = np.zeros(probable.shape, bool)
    # Of the 120 columns that the detector marks the last 18 lie beyond the ink, ten of them farther
    # than the height of the line.
    mask[25:35, 40:142] = True
    assert views.missed(probable, mask, views.SURE)
    assert not views.missed(probable, mask, views.SURE, wide=views.WIDE)
    mask[25:35, 120:142] = False
    assert views.missed(probable, mask, views.SURE, wide=views.WIDE)
