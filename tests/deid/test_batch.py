"""De-identification of a folder: what reaches --out, --private, and what happens on the way."""

from __future__ import annotations

import csv
import os
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from deid_fixture import CT, MARK, OPEN, US, dirty_png, mode
from paths import ROOT
from PIL import Image

from bedside.cli.deid import warn_of_folders
from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.types import DeidConfig
from bedside.deid import batch, deidentify, process_file
from bedside.deid.key import find_key


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes()
            for p in sorted(folder.rglob("*")) if p.is_file()}


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
    dirty_png(src / "benign" / f"{MARK}.png", Image.new("L", (30, 30), 7))
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


def test_folder_names_that_became_ids_are_told(folder, capfd):
    run(folder)
    listed = list(csv.DictReader((folder / "private" / "folders.csv").open()))
    assert f"{MARK}_J" in {r["original"] for r in listed}
    assert all(r["folder"].startswith("d") for r in listed)
    assert not (folder / "out" / "folders.csv").exists()
    warn_of_folders(folder / "private")
    said = capfd.readouterr().err
    assert "became ids" in said
    assert "--keep-name" in said
    assert MARK not in said
    places = tuple(p.name for p in (folder / "src").rglob("*") if p.is_dir())
    names = DeidConfig(pixels="unchecked", keep_names=places)
    deidentify(folder / "src", folder / "kept", folder / "other", names, workers=1)
    warn_of_folders(folder / "other")
    assert capfd.readouterr().err == ""


def KEY_OF(folder):  # noqa: N802
    return find_key(folder / "private")


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
    shutil.rmtree(folder / "out")
    run(folder)
    assert tree(folder / "out") == once


def test_quarantined_images_wait_in_private(folder, monkeypatch):
    monkeypatch.setattr(batch, "_PROCESS", "deid_fixture:process_without_search")
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests" / "support"))
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


def test_a_full_disk_stops_the_run_with_one_message(folder, monkeypatch):
    class Full:
        def __init__(self, *a):
            pass

        def call(self, *a, **k):
            from bedside.readers.sandbox import Reply

            return Reply({"stop": "the disk is full", "where": "/the/disk",
                          "remedy": "Free some space."})

        def map(self, function, items):
            return map(function, items)

        def close(self):
            pass

    monkeypatch.setattr(batch, "Pool", Full)
    with pytest.raises(BadInput, match="/the/disk: the disk is full"):
        run(folder)
    assert not (folder / "out" / "manifest.json").exists()


@pytest.mark.parametrize("full", ["out", "private"])
def test_the_disk_that_is_full_is_the_one_named(folder, monkeypatch, full):
    source = folder / "x.png"
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(source)
    places = {k: str(folder / k) for k in ("out", "private")}

    def refuse(path, *a, **k):
        raise BadInput("the disk is full", where=path, remedy="Free some space.")

    monkeypatch.setattr(process_file, "_write", lambda found, stem, to, out, private: refuse(
        Path(places[full]) / "quarantine" / "x.png"))
    config = codec.encode(DeidConfig(pixels="unchecked"))
    value, _ = process_file.process(b"", str(source), "x", "", places["out"], places["private"],
                            "00" * 32, config)
    assert value == {"stop": "the disk is full", "remedy": "Free some space.",
                     "where": places[full]}


def _picture(path, value=9):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((30, 40), value, np.uint8)).save(path)


def _rows(out):
    return list(csv.DictReader((out / "manifest.csv").read_text().splitlines()))


@pytest.mark.parametrize(("said", "there"), [
    (r"img\a.png", "img/a.png"), ("IMG/A.png", "img/a.png"), ("img/a.PNG", "img/a.png"),
    ("img/Mu\u0308ller.png", "img/M\u00fcller.png")])
def test_a_table_of_windows_or_another_case_keeps_its_rows(tmp_path, said, there):
    _picture(tmp_path / "src" / there)
    (tmp_path / "src" / "manifest.csv").write_text(f"file,label\n{said},benign\n", "utf-8")
    assert run(tmp_path).passed == 2
    rows = _rows(tmp_path / "out")
    assert [r["label"] for r in rows] == ["benign"]
    assert (tmp_path / "out" / rows[0]["file"]).is_file()


def test_a_table_of_files_that_are_not_there_never_passes_empty(tmp_path):
    _picture(tmp_path / "src" / "a.png")
    (tmp_path / "src" / "manifest.csv").write_text("file,label\na.png,benign\ngone.png,benign\n")
    ledger = run(tmp_path)
    assert ledger.reasons == {"1 of 2 rows name a file that the folder does not hold": 1}
    assert not (tmp_path / "out" / "manifest.csv").exists()


def test_an_image_waits_for_its_masks(tmp_path):
    _picture(tmp_path / "src" / "benign" / "a.png")
    _picture(tmp_path / "src" / "benign" / "a_mask.png", 0)
    (tmp_path / "src" / "benign" / "a_mask_1.png").write_bytes(b"\x89PNG\r\n\x1a\ndamaged")
    _picture(tmp_path / "src" / "benign" / "b.png")
    _picture(tmp_path / "src" / "benign" / "b_mask.png", 0)
    ledger = run(tmp_path)
    assert ledger.reasons[batch.MASK_WAITS] == 1
    assert ledger.passed == 3  # b, and both readable masks
    waiting = list((tmp_path / "private" / "quarantine").iterdir())
    assert len(waiting) == 1
    assert mode(waiting[0]) == 0o600
    assert len([n for n in tree(tmp_path / "out") if n.endswith(".png") and "mask" not in n]) == 1
