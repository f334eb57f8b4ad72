"""bedside import and review, from a dirty folder to a data set that run takes."""

from __future__ import annotations

import csv
import http.client
import json
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from burned_fixture import dicom, write
from PIL import Image

from bedside import readers
from bedside.cli.app import guarded
from bedside.core.errors import BadInput
from bedside.core.study import PhantomConfig
from bedside.deid.importing import import_dataset, private_of
from bedside.readers import dicom as dicom_reader
from bedside.readers import folder as folder_reader
from bedside.readers import manifest
from bedside.services.review import decisions
from bedside.services.review.server import Server
from bedside.synthetic.phantom import generate

NAME = "KOWALSKI^MARIA"


def tissue(number, height=320, width=420):
    return generate(PhantomConfig(images=8, height_px=height, width_px=width), 5, number).image


def small(number):
    """Where no text is looked for by its ink: the OCR's time goes with the picture's size."""
    return tissue(number, 160, 200)


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """A folder with a table: a clean picture, one with text, a DICOM file with text."""
    root = tmp_path_factory.mktemp("import")
    src = root / "src"
    src.mkdir()
    Image.fromarray(tissue(0)).save(src / "kowalski_1.png")
    Image.fromarray(write(tissue(1), NAME)[0]).save(src / "kowalski_2.png")
    ds = dicom(np.stack([write(tissue(2), NAME)[0]]), PatientName=NAME, PatientID="4711999")
    ds.save_as(src / "us.dcm", enforce_file_format=True)
    (src / "list.csv").write_text(
        "file,label,patient,age,ward\nkowalski_1.png,benign,4711999,44,7b\n"
        "kowalski_2.png,malignant,4711999,93,7b\nus.dcm,benign,4711999,44,7b\n")
    out = root / "clean"
    ledger = import_dataset(src, out, private_of(out))
    return src, out, private_of(out), ledger


def rows(out):
    return list(csv.DictReader((out / "manifest.csv").open()))


def test_import_gives_a_data_set_that_run_reads(imported):
    _, out, _, ledger = imported
    assert ledger.passed == 3
    assert readers.detect(out) == "manifest"
    listing = manifest.read(out)
    assert [c.label for c in listing.cases] == ["benign", "benign"]
    assert len({c.patient for c in listing.cases}) == 1
    for path in out.rglob("*"):
        assert "kowalski" not in path.name.lower()
        if path.is_file():
            data = path.read_bytes().lower()
            assert b"kowalski" not in data
            assert b"4711999" not in data
    file = next(out.glob("*.dcm"))
    assert pydicom.dcmread(file).BurnedInAnnotation == "NO"


def test_a_second_import_changes_nothing(imported):
    src, out, private, ledger = imported
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*")}
    assert import_dataset(src, out, private).passed == ledger.passed
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*")} == before


def test_decisions_are_applied_repeatably(imported):
    _, out, private, _ = imported
    work = decisions.open_review(private)
    (entry,) = work.entries
    assert "text in the image" in entry.reason
    decisions.decide(work, entry.id, "redact", ((0.1, 0.1, 0.5, 0.4),))
    assert decisions.apply(work) == {"accept": 0, "redact": 1, "reject": 0, "open": 0}
    assert len(rows(out)) == 3
    assert {r["age"] for r in rows(out)} == {"44", "90"}
    file = out / work.targets[entry.id]
    before = file.read_bytes()
    redacted = np.asarray(Image.open(file))
    shown = np.asarray(Image.open(private / entry.file))
    assert (redacted != shown)[32:128, 42:210].any()
    assert not (redacted != shown)[129:].any()
    assert decisions.apply(work)["redact"] == 1
    assert file.read_bytes() == before
    assert len(manifest.read(out).cases) == 3
    decisions.decide(work, entry.id, "reject")
    decisions.apply(work)
    assert not file.exists()
    assert len(rows(out)) == 2
    decisions.decide(work, entry.id, "accept")
    decisions.apply(work)
    assert file.read_bytes() == (private / entry.file).read_bytes()
    assert (private / decisions.DECISIONS).stat().st_mode & 0o077 == 0
    assert dicom_reader.require(out.resolve(), out).files[work.targets[entry.id]]


def test_a_decision_holds_for_the_candidate_that_was_seen(imported):
    _, _, private, _ = imported
    work = decisions.open_review(private)
    (entry,) = work.entries
    decisions.decide(work, entry.id, "accept")
    path = private / entry.file
    data = path.read_bytes()
    try:
        path.write_bytes(data + b"\0")
        assert decisions.apply(work)["open"] == 1
    finally:
        path.write_bytes(data)
    for bad in (((0.5, 0.1, 0.2, 0.4),), ((0.0, 0.0, 1.5, 1.0),), ()):
        with pytest.raises(BadInput, match="not a decision"):
            decisions.decide(work, entry.id, "redact", bad)


def test_the_clean_folder_of_another_key_is_left_as_it_is(imported, tmp_path, capsys):
    _, _, private, _ = imported
    work = decisions.open_review(private)
    decisions.decide(work, work.entries[0].id, "accept")
    (tmp_path / "src").mkdir()
    Image.fromarray(small(3)).save(tmp_path / "src" / "a.png")
    other = tmp_path / "clean"
    import_dataset(tmp_path / "src", other, private_of(other))
    before = {p: p.read_bytes() for p in other.rglob("*") if p.is_file()}
    assert guarded(["review", str(private), "--out", str(other), "--apply"]) == 2
    assert "another key or private folder" in capsys.readouterr().err
    # A folder that was written anew under an open page, and a table that it does not know.
    tableless = replace(work, out=other, entries=())
    for late in (replace(work, out=other), tableless):
        with pytest.raises(BadInput, match="another key or private folder"):
            decisions.apply(late)
    assert {p: p.read_bytes() for p in other.rglob("*") if p.is_file()} == before


def ask(server, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read(), dict(answer.getheaders())


def test_the_page_answers_nobody_else(imported):
    _, _, private, _ = imported
    work = decisions.open_review(private)
    with Server(work) as server:
        root = f"/{server.token}/"
        own = f"127.0.0.1:{server.port}"
        status, _, headers = ask(server, "GET", root)
        assert status == 200
        assert "default-src 'none'" in headers["content-security-policy"]
        assert ask(server, "GET", "/")[0] == 404
        assert ask(server, "GET", "/" + "x" * 43 + "/items")[0] == 404
        assert ask(server, "GET", root + "items", Host="evil.example")[0] == 403
        assert ask(server, "GET", root + "items", Origin="http://evil.example")[0] == 403
        body = json.dumps({"id": work.entries[0].id, "verdict": "accept", "boxes": []})
        kind = {"Content-Type": "application/json"}
        assert ask(server, "POST", root + "decide", body, **kind)[0] == 403
        assert ask(server, "POST", root + "decide", body, Origin="null", **kind)[0] == 403
        assert ask(server, "POST", root + "decide", body, Origin=f"http://{own}")[0] == 400
        assert ask(server, "POST", root + "decide", body, Origin=f"http://{own}", **kind)[0] == 200
        for hostile in ("[]", "{", '{"id": "x", "verdict": "accept"}',
                        '{"id": "x", "verdict": "pass", "boxes": [[1]]}'):
            assert ask(server, "POST", root + "decide", hostile, Origin=f"http://{own}",
                       **kind)[0] == 400
        for path in ("image/../../deid.key", f"preview/{work.entries[0].id}/..", "..%2fdeid.key"):
            assert ask(server, "GET", root + path)[0] == 404
        assert ask(server, "GET", root + f"image/{work.entries[0].id}/0")[1][:4] == b"\x89PNG"


def test_an_npz_becomes_pictures_and_a_table(tmp_path):
    images = np.stack([small(n)[::2, ::2] for n in range(4)])
    np.savez(tmp_path / "set.npz", train_images=images[:3], train_labels=np.array([0, 1, 0]),
             test_images=images[3:], test_labels=np.array([1]))
    out = tmp_path / "clean"
    assert guarded(["import", str(tmp_path / "set.npz"), "--out", str(out),
                     "--class-names", "benign,malignant"]) == 0
    listing = manifest.read(out)
    assert sorted((c.label, c.split) for c in listing.cases) == [
        ("benign", "train"), ("benign", "train"), ("malignant", "test"), ("malignant", "train")]
    assert not (tmp_path / "clean-private" / ".npz").exists()


def test_folders_of_dicom_stay_classes(tmp_path):
    for number, label in enumerate(("benign", "malignant")):
        (tmp_path / "src" / label / "Kowalski").mkdir(parents=True)
        ds = dicom(small(number)[None], PatientID=f"47119{number}",
                   SOPInstanceUID=f"1.2.{number}")
        ds.save_as(tmp_path / "src" / label / "Kowalski" / "a.dcm", enforce_file_format=True)
    out = tmp_path / "clean"
    assert guarded(["import", str(tmp_path / "src"), "--out", str(out)]) == 0
    assert sorted(c.label for c in dicom_reader.read(out).cases) == ["benign", "malignant"]


@pytest.mark.parametrize(("made", "message"), [
    ("nothing", "no such file"), ("a.txt", "not a data set"), ("a.csv", "'label' is missing")])
def test_bad_sources_are_refused_in_one_line(tmp_path, capsys, made, message):
    if made != "nothing":
        (tmp_path / made).write_text("file\na.png\n")
    assert guarded(["import", str(tmp_path / made), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("row", [
    "kowalski_2.png,benign,", "../kowalski.png,benign,", "/etc/hostname,benign,", "sub,benign,",
    "linked/a.png,benign,", ",benign,", "a.png,benign,kowalski_mask.png"])
def test_a_row_without_its_file_is_told_by_its_line(tmp_path, capsys, row):
    src = tmp_path / "src"
    (src / "sub").mkdir(parents=True)
    for path in (src / "a.png", src / "sub" / "a.png", tmp_path / "kowalski.png"):
        path.write_bytes(b"")
    (src / "linked").symlink_to("sub")
    (src / "x.csv").write_text(f"file,label,mask\na.png,benign,\n{row}\nsub/a.png,benign,\n")
    assert guarded(["import", str(src / "x.csv"), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "in 1 of 3 rows (line 3)" in said
    assert "kowalski" not in said
    assert not (tmp_path / "out").exists()


def test_review_needs_a_private_folder(tmp_path, capsys):
    assert guarded(["review", str(tmp_path)]) == 2
    assert "not the private folder" in capsys.readouterr().err


def test_a_picture_folder_stays_a_picture_folder(tmp_path):
    for number, label in enumerate(("benign", "malignant")):
        (tmp_path / "src" / label).mkdir(parents=True)
        Image.fromarray(small(number)).save(tmp_path / "src" / label / "x (1).png")
        lesion = np.zeros((160, 200), np.uint8)
        lesion[30:70, 45:100] = 255
        Image.fromarray(lesion).save(tmp_path / "src" / label / "x (1)_mask.png")
    import_dataset(tmp_path / "src", tmp_path / "out", tmp_path / "private")
    listing = folder_reader.read(tmp_path / "out")
    assert [len(c.masks) for c in listing.cases] == [1, 1]
