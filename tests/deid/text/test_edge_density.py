"""Burned-in text that no reader sees, and ink beyond what a reader marks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from bedside.core.study import PhantomConfig
from bedside.deid.outcome import Stored
from bedside.deid.text import detect, edge_density, extend_line, histogram_peaks, ocr, remove
from bedside.synthetic.phantom import generate

NAMES = ["Thuy F 69y", "16/12/1964", "ID 25992650", "O'BRIEN^MARIA"]


def phantom(seed, height=320, width=420):
    return generate(PhantomConfig(images=8, height_px=height, width_px=width), 3, seed).image


def small(picture, text, at, value):
    """Letters of about 10 pixels whose strokes are one pixel wide, and where they are."""
    out = picture.copy()
    cv2.putText(out, text, at, cv2.FONT_HERSHEY_PLAIN, 0.95, int(value), 1, cv2.LINE_AA)
    return out, out != picture


def blind(monkeypatch):
    monkeypatch.setattr(ocr, "probability", lambda picture, scale=1.0: np.zeros(
        picture.shape[:2], np.float32))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([np.uint8, np.float32]))
def test_the_median_is_that_of_scipy(seed, kind):
    plane = np.random.default_rng(seed).integers(0, 9, (11, 13)).astype(kind)
    assert np.array_equal(edge_density.median(plane),
                          ndimage.median_filter(plane, 3, mode="nearest"))


@pytest.mark.parametrize("text", NAMES)
@pytest.mark.parametrize("value", [255, 0])
def test_small_letters_that_the_reader_does_not_see_wait_for_a_person(text, value, monkeypatch):
    blind(monkeypatch)
    picture, _ = small(np.clip(phantom(2), 60, 190), text, (150, 160), value)
    outcome = remove.clean(Stored(picture[None], "MONOCHROME2", 8))
    assert (outcome.status, outcome.reason) == ("uncertain", detect.UNSEEN)
    assert outcome.preview.startswith(b"\x89PNG")


def test_small_letters_of_one_frame_hold_the_whole_film(monkeypatch):
    blind(monkeypatch)
    frames = np.stack([phantom(2), np.roll(phantom(2), 9, axis=1), np.roll(phantom(2), 21, 1)])
    assert remove.clean(Stored(frames, "MONOCHROME2", 8)).status == "clean"
    frames[1], _ = small(frames[1], NAMES[0], (150, 160), 255)
    assert remove.clean(Stored(frames, "MONOCHROME2", 8)).reason == detect.UNSEEN


@pytest.mark.parametrize("seed", range(8))
def test_tissue_edges_and_marks_have_no_sharp_letters(seed):
    picture = np.pad(phantom(seed), 30, constant_values=8)
    for y in range(40, 340, 20):
        picture[y, 440:448] = 255
    cv2.drawMarker(picture, (150, 160), 255, cv2.MARKER_CROSS, 15, 2)
    for x in range(160, 300, 4):
        # The dotted line of a measurement.
        picture[170 + x // 9, x:x + 2] = 255
    assert edge_density.sharp(picture) == []


@pytest.mark.parametrize("seed", range(3))
def test_a_black_screen_around_tissue_makes_nothing_sharp(seed):
    picture = np.pad(phantom(seed), ((200, 100), (300, 300)))
    assert edge_density.sharp(picture) == []
    assert edge_density.sharp(np.full((90, 90), 7, np.uint8)) == []
    written, _ = small(np.clip(picture, 60, 190), NAMES[0], (450, 360), 255)
    assert edge_density.sharp(written)


def test_what_was_taken_out_is_not_asked_for_again():
    picture, ink = small(phantom(1), NAMES[2], (150, 160), 255)
    assert edge_density.sharp(picture)
    assert edge_density.sharp(picture, ndimage.binary_dilation(ink)) == []


def test_a_spike_is_the_ink_and_the_tissue_has_none():
    picture = phantom(4)
    written = picture.copy()
    cv2.putText(written, "SMITH^JANE 1961", (60, 200), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 141, 2)
    # OpenCV smooths its letters.
    ink = (written != picture) & (written == 141)
    values = written[..., None].astype(np.float32)
    found = np.zeros(ink.shape, bool)
    for spike in histogram_peaks.spikes(values, {141}):
        y0, x0, y1, x1 = spike.box
        found[y0:y1, x0:x1] |= spike.mask
        assert spike.colour == 141
    assert (ink & ~found).sum() <= 0.1 * ink.sum()
    assert (found & ~ndimage.binary_dilation(ink, iterations=3)).mean() < 0.001
    assert histogram_peaks.spikes(picture[..., None].astype(np.float32), {141}) == []


def test_a_line_goes_on_where_only_its_level_tells(monkeypatch):
    monkeypatch.setattr(ocr, "read", lambda lines: [("ABC", 0.95)] * len(lines))
    picture = phantom(0).copy()
    rng = np.random.default_rng(5)
    picture[140:230, 60:250] = rng.integers(5, 40, (90, 190))
    text, at = "KOWALSKI 04.05.1971", (80, 190)
    written = picture.copy()
    cv2.putText(written, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.8, 22, 2, cv2.LINE_8)
    ink = np.zeros_like(picture)
    cv2.putText(ink, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.8, 1, 2, cv2.LINE_8)
    probable = np.zeros(picture.shape, np.float32)
    probable[178:186, 255:345] = 0.95
    found = detect.find_in(written, probable).ink
    assert ink[:, 80:250].sum() > 500
    assert (ink.astype(bool) & ~found).sum() <= 0.01 * ink.sum()


def test_a_line_goes_on_over_the_frame_however_faint_it_is_there(monkeypatch):
    monkeypatch.setattr(ocr, "read", lambda lines: [("ABC", 0.95)] * len(lines))
    picture = np.pad(np.clip(phantom(1), 50, 200), ((0, 0), (120, 0)))
    written = picture.copy()
    cv2.putText(written, "Dr. ZHANG", (70, 190), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 6, 1, cv2.LINE_AA)
    ink = written != picture
    probable = np.zeros(picture.shape, np.float32)
    probable[182:187, 122:165] = 0.95
    assert ink[:, :120].sum() > 50
    found = detect.find_in(written, probable).ink
    assert (ink[:, :120] & ~found[:, :120]).sum() == 0


def test_no_colour_after_lossy_compression():
    values = np.random.default_rng(1).integers(90, 110, (20, 60, 1)).astype(np.float32)
    assert extend_line.colour_of(values, np.ones((20, 60), bool)) is None
    assert extend_line.colour_of(np.full((20, 60, 1), 7, np.float32), np.ones((20, 60), bool)) == 7
    assert extend_line.colour_of(values, np.zeros((20, 60), bool)) is None
