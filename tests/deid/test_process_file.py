"""De-identification of single files: DICOM headers and pixels, pictures, damage."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from deid_fixture import CT, KEY, MARK, OPEN, US, dirty_png
from PIL import Image
from pydicom.data import get_testdata_file

from bedside.core.errors import MissingComponent
from bedside.core.types import DeidConfig
from bedside.deid import PixelOutcome, deidentify, file, process_file
from bedside.deid.ledger import Entry
from bedside.deid.text import ocr, remove
from bedside.readers.dicom_file import header
from bedside.services.review import candidate, decisions


def test_codes_and_marks_are_written_and_the_input_is_not_trusted(tmp_path):
    source = pydicom.dcmread(US)
    source.BurnedInAnnotation = "NO"
    source.DeidentificationMethod = MARK
    source.save_as(tmp_path / "a.dcm")
    found = file(tmp_path / "a.dcm", KEY, DeidConfig(("modified-dates",), "unchecked"))
    out = pydicom.dcmread(io.BytesIO(found.data))
    assert out.PatientIdentityRemoved == "YES"
    assert [c.CodeValue for c in out.DeidentificationMethodCodeSequence] == ["113100", "113107"]
    assert out.LongitudinalTemporalInformationModified == "MODIFIED"
    assert "BurnedInAnnotation" not in out
    assert MARK.encode() not in found.data


def test_what_a_person_let_pass_is_marked_as_checked(tmp_path):
    source = pydicom.dcmread(US)
    source.save_as(tmp_path / "a.dcm")
    found = file(tmp_path / "a.dcm", KEY, DeidConfig(("modified-dates",)), None)
    assert found.status == "quarantined"
    (tmp_path / "candidate.dcm").write_bytes(found.data)
    entry = Entry("e1", "dicom", "quarantined", file="candidate.dcm")
    work = decisions.Review(tmp_path, tmp_path, "deid", (entry,), {})
    passed = candidate.passed(work.private, entry, ())
    out = pydicom.dcmread(io.BytesIO(passed))
    assert out.BurnedInAnnotation == "NO"
    assert out.PatientIdentityRemoved == "YES"
    assert [c.CodeValue for c in out.DeidentificationMethodCodeSequence] == [
        "113100", "113101", "113107"]
    assert out.DeidentificationMethod[-1] == "pixels reviewed by a person"


def test_an_id_means_one_patient_with_its_issuer_only(tmp_path):
    patients = []
    for number, issuer in enumerate(("", "hospital one", "hospital two", "hospital one")):
        source = pydicom.dcmread(US)
        source.PatientID, source.IssuerOfPatientID = "4711", issuer
        path = tmp_path / f"{number}.dcm"
        source.save_as(path)
        found = file(path, KEY, OPEN)
        patients.append(found.patient)
        # The reader gives the same name under the same key.
        assert header(path, KEY.secret).patient == found.patient
        assert b"hospital" not in found.data
    assert patients[0] == KEY.patient("4711")
    assert patients[1] == patients[3] == KEY.patient("4711^^^hospital one")
    assert len(set(patients)) == 3


def test_comments_in_compressed_frames_go(tmp_path):
    from pydicom.encaps import encapsulate, generate_frames

    source = pydicom.dcmread(get_testdata_file("SC_rgb_jpeg_dcmtk.dcm"))
    before = source.pixel_array
    frame = next(generate_frames(source.PixelData, number_of_frames=1))
    note = f"{MARK:40}".encode()
    frame = frame[:2] + b"\xff\xfe" + (len(note) + 2).to_bytes(2, "big") + note + frame[2:]
    source.PixelData = encapsulate([frame])
    source["PixelData"].VR = "OB"
    source.save_as(tmp_path / "a.dcm")
    found = file(tmp_path / "a.dcm", KEY, OPEN)
    assert found.status == "ok"
    assert MARK.encode() not in found.data
    out = pydicom.dcmread(io.BytesIO(found.data))
    np.testing.assert_array_equal(out.pixel_array, before)


def test_bytes_behind_the_pixels_and_bits_above_the_stored_go(tmp_path):
    source = pydicom.dcmread(get_testdata_file("MR_small.dcm"))
    pixels = np.frombuffer(source.PixelData, "<u2") & 0x0FFF
    source.BitsStored, source.HighBit, source.PixelRepresentation = 12, 11, 0
    source.PixelData = (pixels | 0x9000).tobytes() + f"{MARK:20}".encode()
    source.save_as(tmp_path / "a.dcm")
    found = file(tmp_path / "a.dcm", KEY, OPEN)
    out = pydicom.dcmread(io.BytesIO(found.data))
    assert MARK.encode() not in found.data
    np.testing.assert_array_equal(np.frombuffer(out.PixelData, "<u2"), pixels)


@pytest.mark.parametrize("name", ["CT_small.dcm", "ExplVR_BigEnd.dcm", "image_dfl.dcm",
                                  "examples_palette.dcm", "examples_jpeg2k.dcm",
                                  "MR_small_RLE.dcm"])
def test_pixels_stay_as_they_are_in_every_encoding(name):
    path = Path(get_testdata_file(name))
    found = file(path, KEY, OPEN)
    assert found.status == "ok", found.reason
    out, source = pydicom.dcmread(io.BytesIO(found.data)), pydicom.dcmread(path)
    np.testing.assert_array_equal(out.pixel_array, source.pixel_array)
    if "palette" in name:
        assert out.RedPaletteColorLookupTableData == source.RedPaletteColorLookupTableData


def test_deep_nesting_is_set_aside(tmp_path):
    source = pydicom.dcmread(CT)
    item = pydicom.Dataset()
    for _ in range(60):
        outer = pydicom.Dataset()
        outer.AnatomicRegionSequence = [item]
        item = outer
    source.AnatomicRegionSequence = [item]
    source.save_as(tmp_path / "a.dcm")
    assert file(tmp_path / "a.dcm", KEY, OPEN).reason == "sequences nested too deeply"


# ------------------------------------------------------------------ pixels


def test_an_image_that_nobody_checked_is_never_passed(tmp_path):
    Image.new("L", (20, 20), 9).save(tmp_path / "a.png")
    for path in (tmp_path / "a.png", Path(US)):
        found = file(path, KEY, DeidConfig())
        assert (found.status, found.reason) == ("quarantined", "pixels not checked")
        assert file(path, KEY, OPEN).status == "ok"


def test_a_search_for_text_can_clean_pass_or_hold_back():
    def blank(stored):
        assert not stored.frames.flags.writeable
        return PixelOutcome("cleaned", frames=np.zeros_like(stored.frames))

    path = Path(US)
    cleaned = file(path, KEY, DeidConfig(("clean-pixels",)), blank)
    out = pydicom.dcmread(io.BytesIO(cleaned.data))
    assert cleaned.status == "ok"
    assert not out.pixel_array.any()
    assert out.BurnedInAnnotation == "NO"
    assert "113101" in [c.CodeValue for c in out.DeidentificationMethodCodeSequence]
    # Accepting unchecked pixels does not overrule a search that is in doubt.
    held = file(path, KEY, OPEN, lambda s: PixelOutcome("uncertain", "faint text"))
    assert (held.status, held.reason) == ("quarantined", "faint text")
    assert "BurnedInAnnotation" not in pydicom.dcmread(io.BytesIO(held.data))


def _dirty_jpeg(path, image):
    exif = Image.Exif()
    exif[0x010E], exif[0x9286] = MARK, MARK
    image.save(path, "JPEG", comment=MARK.encode(), exif=exif,
               icc_profile=b"\0" * 64 + MARK.encode())
    path.write_bytes(path.read_bytes() + MARK.encode())


def _dirty_other(path, image):
    image.save(path)
    path.write_bytes(path.read_bytes() + MARK.encode())


@pytest.mark.parametrize(("suffix", "kind"), [
    (suffix, kind) for suffix, kinds in {
        ".png": ("L", "RGB", "I;16", "P", "RGBA"), ".tiff": ("L", "RGB", "I;16", "P", "RGBA"),
        ".jpg": ("L", "RGB"), ".bmp": ("L", "RGB")}.items() for kind in kinds])
def test_pictures_keep_pixels_alone(tmp_path, kind, suffix):
    rng = np.random.default_rng(3)
    shape = {"RGB": (20, 30, 3), "RGBA": (20, 30, 4)}.get(kind, (20, 30))
    top = 65535 if kind == "I;16" else 255
    data = rng.integers(0, top, shape, dtype=np.uint16 if top > 255 else np.uint8)
    image = Image.fromarray(data)
    image = image.convert("P") if kind == "P" else image
    path = tmp_path / f"a{suffix}"
    {".png": dirty_png, ".jpg": _dirty_jpeg}.get(suffix, _dirty_other)(path, image)
    found = file(path, KEY, OPEN)
    assert found.status == "ok", found.reason
    assert MARK.encode() not in found.data
    assert _chunks(found.data) <= {b"IHDR", b"IDAT", b"IEND"}
    with Image.open(io.BytesIO(found.data)) as out, Image.open(path) as source:
        if kind in ("P", "RGBA"):
            out, source = out.convert("RGB"), source.convert("RGB")
        np.testing.assert_array_equal(np.asarray(out), np.asarray(source))


def _chunks(data):
    found, at = set(), 8
    while at < len(data):
        found.add(data[at + 4:at + 8])
        at += 12 + int.from_bytes(data[at:at + 4], "big")
    return found


@pytest.mark.parametrize(("scheme", "value", "meaning", "stays"), [
    ("SCT", "76752008", "Breast", True), ("SCT", "76752008", "Breast of Doe", False),
    ("99HOSP", "1", "Smith left", False), ("", "1", "Smith left", False)])
def test_codes_stay_where_a_standard_defines_them(tmp_path, scheme, value, meaning, stays):
    source, item = pydicom.dcmread(US), pydicom.Dataset()
    source.PatientName = "Doe^J"
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    source.AnatomicRegionSequence = [item]
    source.save_as(tmp_path / "a.dcm")
    out = pydicom.dcmread(io.BytesIO(file(tmp_path / "a.dcm", KEY, OPEN).data))
    assert ("CodeMeaning" in out.AnatomicRegionSequence[0]) == stays


def test_classes_that_no_standard_knows_do_not_stay(tmp_path):
    source, item = pydicom.dcmread(US), pydicom.Dataset()
    item.ReferencedSOPClassUID = "1.2.826.1.5551234"
    source.ReferencedImageSequence = [item]
    source.save_as(tmp_path / "a.dcm")
    found = file(tmp_path / "a.dcm", KEY, OPEN)
    assert found.status == "ok"
    assert b"5551234" not in found.data
    source.SOPClassUID = "1.2.826.1.5551234"
    source.save_as(tmp_path / "b.dcm")
    assert file(tmp_path / "b.dcm", KEY, OPEN).reason == "an object of no standard class"


# ------------------------------------------------------------------ damage


def test_damage_never_raises(tmp_path):
    rng = np.random.default_rng(0)
    sound = Path(CT).read_bytes()
    for i in range(60):
        data = bytearray(sound)
        for at in rng.integers(0, 6000, 1 + i % 7):
            data[at] = rng.integers(256)
        data = data[:int(rng.integers(200, len(data)))] if i % 3 == 0 else data
        path = tmp_path / "m.dcm"
        path.write_bytes(bytes(data))
        found = file(path, KEY, OPEN)
        assert found.status == "ok" or found.reason


def test_a_deflate_bomb_is_refused(tmp_path):
    data = bytearray(Path(get_testdata_file("image_dfl.dcm")).read_bytes())
    length = int.from_bytes(data[140:144], "little")
    engine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = b"".join([*(engine.compress(bytes(1 << 20)) for _ in range(64)), engine.flush()])
    (tmp_path / "a.dcm").write_bytes(bytes(data[:144 + length]) + bomb)
    assert file(tmp_path / "a.dcm", KEY, OPEN).reason.startswith(
        "a deflated file that grows beyond")


def test_the_search_for_text_is_installed():
    assert process_file.pixel_search() is remove.clean


def test_a_machine_without_the_engine_says_so_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(ocr.importlib.util, "find_spec", lambda name: None)
    (tmp_path / "src").mkdir()
    Image.new("L", (20, 20), 9).save(tmp_path / "src" / "a.png")
    with pytest.raises(MissingComponent, match="rapidocr"):
        deidentify(tmp_path / "src", tmp_path / "out", tmp_path / "private", DeidConfig())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "data", "said"), [
    ("export.zip", b"PK\x03\x04rest", "a zip archive, which is not cleaned. Unpack it"),
    ("report.pdf", b"%PDF-1.7", "a PDF document"), ("volume.nii.gz", b"\x1f\x8b\x08rest", "gzip"),
    ("table.xlsx", b"PK\x03\x04rest", "an Excel workbook"), ("a.jpg", b"\xff\x0arest", "JPEG XL"),
    ("notes.bin", b"no kind", "not a kind of file that is cleaned")])
def test_what_is_no_image_is_named_with_a_remedy(tmp_path, name, data, said):
    (tmp_path / name).write_bytes(data)
    found = file(tmp_path / name, KEY, OPEN)
    assert (found.status, found.data) == ("quarantined", None)
    assert said in found.reason


def test_a_report_is_told_from_an_image_without_pixels(tmp_path):
    source = pydicom.dcmread(US)
    del source.PixelData
    source.Modality = "SR"
    source.save_as(tmp_path / "a.dcm")
    assert "structured report" in file(tmp_path / "a.dcm", KEY, OPEN).reason
