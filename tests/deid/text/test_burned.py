"""Text burned into pixels: found, and gone from the stored values."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pydicom
import pytest
from burned_fixture import dicom, write
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless
from texted import make

from bedside.core.study import PhantomConfig
from bedside.core.types import DeidConfig
from bedside.deid import process_file
from bedside.deid.key import Key
from bedside.deid.outcome import Stored
from bedside.deid.text import detect, ocr, remove, strokes
from bedside.deid.text.inpaint import fill
from bedside.synthetic.phantom import generate

KEY = Key(bytes(range(32)))
STRINGS = 8
# The engine's time goes with the picture's size; benchmarks/text_removal.py takes large ones.
SMALL = ((300, 420), (320, 400), (280, 440))


@pytest.fixture(scope="module")
def tissue():
    return generate(PhantomConfig(images=4, height_px=320, width_px=420), 3, 1).image


@pytest.mark.parametrize("seed", range(STRINGS))
def test_known_ink_goes_and_the_tissue_stays(seed):
    case = make(seed, strings=1, sizes=SMALL)
    outcome = remove.clean(Stored(case.image[None], "RGB" if case.image.ndim == 3 else
                                  "MONOCHROME2", 8))
    assert outcome.status != "clean", case.about
    changed = outcome.frames[0] != case.image
    changed = changed if changed.ndim == 2 else changed.any(axis=2)
    if outcome.status == "cleaned":
        mask = detect.find(case.image).ink
        for ink in case.inks:
            assert (ink & ~mask).sum() <= 0.01 * ink.sum(), case.about
        other = case.tissue & ~case.touched
        assert (changed & other).sum() <= 0.01 * other.sum()


def told(case):
    """What a detector would say that saw every string, and nothing else."""
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
        found = detect.find_in(case.image, told(case))
        if found.doubt:
            continue
        passed += 1
        other = case.tissue & ~case.touched
        for ink in case.inks:
            assert (ink & ~found.ink).sum() <= 0.01 * ink.sum(), case.about
        assert (found.ink & other).sum() <= 0.01 * other.sum(), case.about
    assert passed >= 13


def test_letters_that_the_reader_does_not_see_wait_for_a_person(tissue, monkeypatch):
    monkeypatch.setattr(ocr, "probability", lambda picture, scale=1.0: np.zeros(
        picture.shape[:2], np.float32))
    picture, ink = write(tissue, "DOE^JANE 1961")
    outcome = remove.clean(Stored(picture[None], "MONOCHROME2", 8))
    assert (outcome.status, outcome.reason) == ("uncertain", detect.UNSEEN)
    assert (outcome.frames[0][ink] == 255).mean() < 0.02, "the proposal is clean"
    assert remove.clean(Stored(tissue[None], "MONOCHROME2", 8)).status == "clean"


@pytest.mark.parametrize("seed", range(6))
def test_tissue_has_no_rows_of_letters(seed):
    picture = generate(PhantomConfig(images=8, height_px=240, width_px=320), 11, seed).image
    assert strokes.rows(picture[..., None].astype(np.float32)) == []


def test_no_colour_of_something_wider_than_a_stroke(monkeypatch):
    monkeypatch.setattr(ocr, "read", lambda lines: [("ABC", 0.95)] * len(lines))
    picture = generate(PhantomConfig(images=4, height_px=320, width_px=420), 3, 2).image.copy()
    picture[60:110, 60:300] = 1
    picture, ink = write(picture, "02:36", at=(100, 95), value=129)
    probable = np.zeros(picture.shape, np.float32)
    rows, columns = (np.flatnonzero(ink.any(axis=a)) for a in (1, 0))
    probable[rows[0] + 4:rows[-1] - 4, columns[0] + 4:columns[-1] - 4] = 0.95
    found = detect.find_in(picture, probable).ink
    assert not (ink & ~found).any()


def test_an_image_without_text_stays_as_it_is(tissue):
    outcome = remove.clean(Stored(tissue[None], "MONOCHROME2", 8))
    assert (outcome.status, outcome.frames) == ("clean", None)
    assert not detect.holds_text(tissue)


def test_ticks_without_letters_are_not_text(tissue):
    ticked = tissue.copy()
    for y in range(20, 300, 20):
        ticked[y, 400:408] = 255
    cv2.drawMarker(ticked, (150, 160), 255, cv2.MARKER_CROSS, 11, 1)
    assert remove.clean(Stored(ticked[None], "MONOCHROME2", 8)).status == "clean"


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_a_fill_knows_nothing_of_what_it_covers(seed):
    rng = np.random.default_rng(seed)
    plane = rng.integers(0, 255, (12, 14), np.uint8)
    mask = rng.random((12, 14)) < 0.4
    other = np.where(mask, rng.integers(0, 255, (12, 14), np.uint8), plane)
    assert np.array_equal(fill(plane, mask), fill(other, mask))
    assert np.array_equal(fill(plane, mask)[~mask], plane[~mask])


def cleaned(ds, tmp_path, config=None):
    ds.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    found = process_file.file(tmp_path / "a.dcm", KEY, config or DeidConfig(),
                              process_file.pixel_search())
    return found, pydicom.dcmread(io.BytesIO(found.data))


def test_text_of_a_compressed_film_goes_from_every_frame(tissue, tmp_path):
    frames = np.stack([write(np.roll(tissue, 7 * n, axis=1), "DOE^JANE 1961")[0]
                       for n in range(3)])
    ink = write(tissue, "DOE^JANE 1961")[1]
    ds = dicom(frames)
    ds.compress(RLELossless)
    found, out = cleaned(ds, tmp_path)
    assert found.status == "ok"
    assert out.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert out.BurnedInAnnotation == "NO"
    assert (out.pixel_array[:, ink] == 255).mean() < 0.05
    assert (out.pixel_array != frames).mean() < 0.05


def test_text_in_one_frame_alone_is_found(tissue, tmp_path):
    frames = np.stack([tissue, np.roll(tissue, 9, axis=1), np.roll(tissue, 21, axis=1)])
    frames[2], ink = write(frames[2], "MRN 4711234")
    found, out = cleaned(dicom(frames), tmp_path)
    assert found.status == "ok"
    assert (out.pixel_array[2][ink] == 255).mean() < 0.05
    assert np.array_equal(out.pixel_array[:2], frames[:2])


def test_sixteen_bits_and_monochrome_1(tissue, tmp_path):
    seen, ink = write(tissue, "SMITH ANNA")
    picture = np.uint16(12 * 255) - seen.astype(np.uint16) * 12
    found, out = cleaned(dicom(picture[None], "MONOCHROME1", BitsStored=12, HighBit=11), tmp_path)
    assert found.status == "ok"
    assert (out.pixel_array[ink] == 0).mean() < 0.02


def test_nothing_outside_trusted_regions_stays(tissue, tmp_path):
    picture = np.zeros((420, 520), np.uint8)
    picture[60:380, 50:470] = tissue
    picture[10:14, 10:200] = 77
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType = 1, 1
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 50, 60
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = 469, 379
    found, out = cleaned(dicom(picture[None], SequenceOfUltrasoundRegions=[region]), tmp_path)
    assert found.status == "ok", found.reason
    assert not out.pixel_array[:60].any()
    assert np.array_equal(out.pixel_array[60:380, 50:470], tissue)


def test_pictures_with_text_wait_unless_asked_to_be_cleaned(tissue, tmp_path):
    picture, ink = write(tissue, "DOE^JANE 1961")
    Image.fromarray(picture).save(tmp_path / "a.png")
    found = process_file.file(tmp_path / "a.png", KEY, DeidConfig(), process_file.pixel_search())
    assert found.status == "quarantined"
    assert "--deid-pixels" in found.reason
    assert found.preview.startswith(b"\x89PNG")
    found = process_file.file(tmp_path / "a.png", KEY, DeidConfig(pixels="clean"),
                              process_file.pixel_search())
    out = np.asarray(Image.open(io.BytesIO(found.data)))
    assert found.status == "ok"
    assert (out[ink] == 255).mean() < 0.02


def test_a_palette_that_begins_late_is_seen_as_it_is_shown(tissue, tmp_path):
    picture, ink = write(tissue, "DOE^JANE 1961")
    table = np.arange(0, 65536, 257, dtype=np.uint16)
    elements = {}
    for colour in ("Red", "Green", "Blue"):
        elements[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 1000, 16]
        elements[f"{colour}PaletteColorLookupTableData"] = table.tobytes()
    stored = (picture.astype(np.uint16) + 1000)[None]
    found, out = cleaned(dicom(stored, "PALETTE COLOR", **elements), tmp_path)
    assert found.status == "ok", found.reason
    assert (out.pixel_array[ink] == 1255).mean() < 0.02


def test_a_film_that_is_too_long_waits():
    frames = np.zeros((remove.MAX_FRAMES + 1, 8, 8), np.uint8)
    outcome = remove.clean(Stored(frames, "MONOCHROME2", 8))
    assert (outcome.status, outcome.reason) == ("uncertain", remove.TOO_MANY)
