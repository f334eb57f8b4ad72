"""De-identification: key, names, dates, pictures, tables, the batch and the seam to pixels."""

from __future__ import annotations

import csv
import io
import os
import stat
from datetime import date
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from pydicom.data import get_testdata_file

from bedside.data.deid import PixelOutcome, batch, dates, deidentify, file, names, step, tables
from bedside.data.deid.key import Key, open_key
from bedside.data.deid.outcome import Quarantine
from bedside.data.deid.profile import basic, load, option_names
from bedside.data.deid.text import known, may_stay
from bedside.errors import BadInput
from bedside.types import DeidConfig

KEY = Key(bytes(range(32)))
OPEN = DeidConfig(pixels="unchecked")
CT, US = get_testdata_file("CT_small.dcm"), get_testdata_file("examples_rgb_color.dcm")
MARK = "Kelmindorzev"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes()
            for p in sorted(folder.rglob("*")) if p.is_file()}


# ------------------------------------------------------------------ key and names


def test_the_key_is_made_closed_and_kept(tmp_path):
    first = open_key(tmp_path / "private")
    assert mode(tmp_path / "private") == 0o700
    assert mode(tmp_path / "private" / "deid.key") == 0o600
    assert open_key(tmp_path / "private") == first
    assert "secret" not in repr(first)


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620])
def test_an_open_key_is_refused(tmp_path, bits):
    open_key(tmp_path / "private")
    (tmp_path / "private" / "deid.key").chmod(bits)
    with pytest.raises(BadInput, match="other users may read this key"):
        open_key(tmp_path / "private")


@pytest.mark.parametrize("text", ["", "abc", "00" * 31, "zz" * 32])
def test_what_is_no_key_is_refused(tmp_path, text):
    path = tmp_path / "k"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(BadInput, match="not a key"):
        open_key(tmp_path / "private", path)


def test_an_open_private_folder_is_refused_unless_it_is_empty(tmp_path):
    (tmp_path / "p").mkdir(mode=0o755)
    (tmp_path / "p").chmod(0o755)
    open_key(tmp_path / "p")
    assert mode(tmp_path / "p") == 0o700
    (tmp_path / "p").chmod(0o755)
    with pytest.raises(BadInput, match="other users may open"):
        open_key(tmp_path / "p")


def test_uids_are_valid_and_follow_from_the_key():
    new = KEY.uid("1.2.3")
    assert pydicom.uid.UID(new).is_valid
    assert new == KEY.uid("1.2.3 ")
    assert new != Key(b"y" * 32).uid("1.2.3")
    assert KEY.patient("A") != KEY.patient("B")


def test_folders_and_masks_keep_what_they_mean():
    from pathlib import PurePosixPath

    assert names.folders(PurePosixPath("Benign/DOE/x.png"), KEY, ("benign",)).startswith("Benign/d")
    found = names.stems(["b/X (1).png", "b/X (1)_mask.png", "b/X (1)_mask_1.png", "b/a.png",
                         "b/a.jpg", "m/a.png"], KEY)
    stem = found["b/X (1).png"]
    assert found["b/X (1)_mask.png"] == stem + "_mask"
    assert found["b/X (1)_mask_1.png"] == stem + "_mask_1"
    assert len(set(found.values())) == 6


# ------------------------------------------------------------------ dates and texts


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.dates(date(1900, 1, 1), date(2100, 1, 1)),
       st.integers(1, 3650))
def test_intervals_between_dates_stay(one, two, days):
    def back(day):
        text = dates.back(day.strftime("%Y%m%d"), days)
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))

    assert back(one) - back(two) == one - two
    assert back(one) < one


@pytest.mark.parametrize(("vr", "text", "moved"), [
    ("DA", "20240301", "20240229"), ("DA", "2024.03.01", "20240229"), ("DA", "20240231", None),
    ("DA", "2024", None), ("DA", "20240301-20240401", None), ("DA", MARK, None),
    ("DT", "20240301101500.5+0900", "20240229101500.5+0900"), ("DT", "202403", None),
    ("DT", "20240301 " + MARK, None), ("TM", "101500.25", "101500.25"), ("TM", MARK, None)])
def test_dates_move_and_what_is_no_date_goes(vr, text, moved):
    assert dates.shift(vr, [text], 1) == moved


@pytest.mark.parametrize("text", [
    "0172 5550199", "12/03/2019", "2019-03-12", "5 Mar 2019", "Dr House", "DOE^J", "a@b.org",
    "http://x", "MRN 12", "José", "10.0.0.12", "of doe", "Doe-left", "xdoejanex", "ID: 55443"])
def test_texts_that_may_identify_go(text):
    assert not may_stay(text, known(["DOE^JANE"], ["55443"]))


@pytest.mark.parametrize("text", ["Breast", "Left", "VOI LUT 1", "se2d1", "-0.5", "WINDOW 400 40"])
def test_technical_texts_stay(text):
    assert may_stay(text, known(["DOE^JANE", "Y^X"], ["1", "55443"]))


# ------------------------------------------------------------------ the table


def test_the_table_and_its_options():
    table = basic()
    assert len(table) > 600
    assert table[0x00100010] == "Z"
    assert table[0x00081030] == "X"
    assert 0x00081090 not in table
    assert load().actions[0x00081090] == "X"
    assert load(("retain-device",)).actions[0x00081090] == "K"
    assert load(("modified-dates",)).actions[0x00080020] == "C"
    assert set(option_names()) == {"clean-pixels", "modified-dates", "retain-device"}
    for name in option_names():
        assert load((name,)).codes[1][0].startswith("1131")
    with pytest.raises(BadInput, match="Did you mean 'retain-device'"):
        load(("retain-devices",))


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


def _dirty_png(path, image):
    info = PngImagePlugin.PngInfo()
    info.add_text("Patient", MARK)
    info.add_itxt("XML:com.adobe.xmp", f"<x>{MARK}</x>")
    exif = Image.Exif()
    exif[0x010E] = MARK
    image.save(path, pnginfo=info, exif=exif, icc_profile=b"\0" * 64 + MARK.encode())
    path.write_bytes(path.read_bytes() + MARK.encode())


def _dirty_jpeg(path, image):
    exif = Image.Exif()
    exif[0x010E], exif[0x9286] = MARK, MARK
    image.save(path, "JPEG", comment=MARK.encode(), exif=exif,
               icc_profile=b"\0" * 64 + MARK.encode())
    path.write_bytes(path.read_bytes() + MARK.encode())


def _dirty_other(path, image):
    image.save(path)
    path.write_bytes(path.read_bytes() + MARK.encode())


@pytest.mark.parametrize("kind", ["L", "RGB", "I;16", "P", "RGBA"])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tiff", ".bmp"])
def test_pictures_keep_pixels_alone(tmp_path, kind, suffix):
    rng = np.random.default_rng(3)
    shape = {"RGB": (20, 30, 3), "RGBA": (20, 30, 4)}.get(kind, (20, 30))
    top = 65535 if kind == "I;16" else 255
    data = rng.integers(0, top, shape, dtype=np.uint16 if top > 255 else np.uint8)
    image = Image.fromarray(data)
    image = image.convert("P") if kind == "P" else image
    if suffix in (".jpg", ".bmp") and kind in ("I;16", "P", "RGBA"):
        pytest.skip(f"{suffix} holds no {kind}")
    path = tmp_path / f"a{suffix}"
    {".png": _dirty_png, ".jpg": _dirty_jpeg}.get(suffix, _dirty_other)(path, image)
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


# ------------------------------------------------------------------ tables


def _clean(text, **new):
    data, counts = tables.clean(text.encode(), "", lambda f: new.get(f.split(".")[0]), KEY)
    return list(csv.DictReader(io.StringIO(data.decode()))), counts


def test_a_table_keeps_its_columns_in_keyed_names():
    rows, counts = _clean(
        "file,label,patient,age,doctor,split\na.png,benign,Jane Doe,93,House,train\n"
        "b.png,malignant,Jane Doe,41,House,x\nc.png,benign,J,1,H,val\n", a="n1.png", b="n2.png")
    assert list(rows[0]) == ["file", "label", "patient", "age", "split"]
    assert rows[0]["patient"] == rows[1]["patient"] == KEY.patient("Jane Doe")
    assert [r["file"] for r in rows] == ["n1.png", "n2.png"]
    assert [r["age"] for r in rows] == ["90", "41"]
    assert [r["split"] for r in rows] == ["train", ""]
    assert (counts["columns_removed"], counts["rows_removed"]) == (1, 1)


@pytest.mark.parametrize("text", [
    "name,label\na,b\n", "file,label\na.png\n", "", "file,label,patient\na.png,Doe,Doe\n",
    "file,label\na.png,=cmd()\n", "file,label\n" + "".join(f"{i}.png,l{i}\n" for i in range(60))])
def test_tables_in_doubt_are_set_aside(text):
    with pytest.raises(Quarantine):
        tables.clean(text.encode(), "", lambda f: f, KEY)


# ------------------------------------------------------------------ the batch


@pytest.fixture
def folder(tmp_path):
    src = tmp_path / "src"
    (src / "benign").mkdir(parents=True)
    (src / f"{MARK}_J").mkdir()
    for name, path in (("a", CT), ("b", US)):
        dataset = pydicom.dcmread(path)
        dataset.PatientName, dataset.PatientID = f"{MARK}^J", "MRN5551234"
        dataset.save_as(src / f"{MARK}_J" / f"MRN5551234_{name}.dcm")
    (src / "broken.dcm").write_bytes(Path(CT).read_bytes()[:700])
    (src / "notes.txt").write_text(MARK)
    _dirty_png(src / "benign" / f"{MARK}.png", Image.new("L", (30, 30), 7))
    (src / "manifest.csv").write_text(f"file,label,patient\nbenign/{MARK}.png,benign,MRN5551234\n")
    (src / "link.png").symlink_to("/etc/hostname")
    os.mkfifo(src / "pipe.dcm")
    return tmp_path


def run(folder, config=OPEN, **more):
    return deidentify(folder / "src", folder / "out", folder / "private", config, workers=1, **more)


def test_a_folder_comes_out_clean_and_whole(folder):
    (folder / "src" / "pipe.dcm").unlink()
    before = tree(folder / "src")
    ledger = run(folder)
    assert tree(folder / "src") == before
    assert len(ledger.entries) == 7
    assert ledger.passed == 4
    out = tree(folder / "out")
    assert "manifest.csv" in out
    for name, data in out.items():
        for text in (MARK, "MRN5551234"):
            assert text.lower() not in name.lower()
            assert text.lower().encode() not in data.lower()
    patients = {e.patient for e in ledger.entries if e.kind == "dicom" and e.status == "ok"}
    assert patients == {KEY_OF(folder).patient("MRN5551234")}
    assert patients.pop() in (folder / "out" / "manifest.csv").read_text()
    for path in (folder / "private").rglob("*"):
        assert mode(path) == (0o700 if path.is_dir() else 0o600)
    rows = list(csv.DictReader((folder / "private" / "names.csv").open()))
    assert {r["original"] for r in rows} >= {f"{MARK}_J/MRN5551234_a.dcm", "broken.dcm"}


def KEY_OF(folder):  # noqa: N802
    return open_key(folder / "private")


def test_links_and_pipes_are_listed_not_read(folder):
    reasons = run(folder).reasons
    assert reasons["not a regular file"] == 1
    assert reasons["a link; only files of the folder itself are taken"] == 1


def test_finished_work_is_skipped_and_changes_are_seen(folder):
    first = run(folder)
    stamp = (folder / "out" / "ledger.csv").stat().st_mtime_ns
    said = []
    assert run(folder, progress=lambda *a: said.append(a)) == first
    assert said == [("deid", 1, 1, "already done")]
    assert (folder / "out" / "ledger.csv").stat().st_mtime_ns == stamp
    (folder / "src" / "notes.txt").unlink()
    assert len(run(folder).entries) == len(first.entries) - 1


def test_an_interrupted_run_continues_to_the_same_result(folder, monkeypatch):
    calls = []
    real = batch._ask

    def stops(pool, base, arguments):
        if len(calls) == 3:
            raise KeyboardInterrupt
        calls.append(base.original)
        return real(pool, base, arguments)

    monkeypatch.setattr(batch, "_ask", stops)
    with pytest.raises(KeyboardInterrupt):
        run(folder)
    assert not (folder / "out" / "manifest.json").exists()
    seen = list(calls)
    monkeypatch.setattr(batch, "_ask", lambda *a: calls.append(a[1].original) or real(*a))
    run(folder)
    assert len(calls) == len(set(calls)), "done again"
    assert set(seen) <= set(calls)
    once = tree(folder / "out")
    import shutil

    shutil.rmtree(folder / "out")
    run(folder)
    assert tree(folder / "out") == once


def test_quarantined_images_wait_in_private(folder):
    ledger = run(folder, DeidConfig())
    assert ledger.reasons["pixels not checked"] == 3
    waiting = list((folder / "private" / "quarantine").iterdir())
    assert len(waiting) == 3
    assert all(mode(p) == 0o600 for p in waiting)
    assert not [n for n in tree(folder / "out") if n.endswith((".dcm", ".png"))]


@pytest.mark.parametrize(("out", "private"), [
    ("src/out", "private"), ("out", "src/private"), ("out", "out/private"), ("out", "out"),
    (".", "private"), ("private/out", "private")])
def test_folders_inside_one_another_are_refused(folder, out, private):
    with pytest.raises(BadInput, match="lies inside"):
        deidentify(folder / "src", folder / out, folder / private, OPEN)
    assert not (folder / "private").exists()


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
    import zlib

    data = bytearray(Path(get_testdata_file("image_dfl.dcm")).read_bytes())
    meta = data[:data.find(b"1.2.840.10008.1.2.1.99")]
    length = int.from_bytes(data[140:144], "little")
    engine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = b"".join([*(engine.compress(bytes(1 << 20)) for _ in range(200)), engine.flush()])
    (tmp_path / "a.dcm").write_bytes(bytes(data[:144 + length]) + bomb)
    assert meta
    assert file(tmp_path / "a.dcm", KEY, OPEN).reason == "larger than 128 MB when inflated"


def test_no_search_is_installed_without_a_decision():
    assert step.PIXELS is None or step.pixel_search() is not None
