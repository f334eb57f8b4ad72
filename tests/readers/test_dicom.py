"""Folders of DICOM that import wrote, through the reader and the data stage."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from data_fixture import save, texture
from dicom_fixture import as_bytes, dataset, folder, publish, refused, write

from bedside import readers
from bedside.core import codec
from bedside.core.audit import Audit
from bedside.core.errors import BadInput
from bedside.core.study import DataConfig, Study
from bedside.deid.key import Key
from bedside.readers import dicom, manifest
from bedside.readers.dicom_file import header, read_file
from bedside.readers.load import pixels_of
from bedside.runfolder import layout, stored
from bedside.stages.data.stage import prepare


def cine(path: Path, frames: int = 3, seed: int = 5, **elements: object) -> Path:
    """A file of unlike frames."""
    return write(path, np.stack([texture(seed * 100 + i) for i in range(frames)]), **elements)


@pytest.mark.parametrize("claims", [{}, {"PatientIdentityRemoved": "YES",
                                         "DeidentificationMethod": "all gone",
                                         "BurnedInAnnotation": "NO"}])
def test_dicom_that_import_did_not_write_is_refused(tmp_path, claims):
    for i in range(4):
        write(tmp_path / f"set/benign/{i}.dcm", texture(i), **claims)
    assert readers.detect(tmp_path / "set") == "dicom"
    error = refused(dicom.read, "not been de-identified", tmp_path / "set")
    assert "bedside import" in error.remedy and str(tmp_path / "set") in error.remedy
    (tmp_path / "set/manifest.csv").write_text("file,label\nbenign/0.dcm,benign\n")
    assert "bedside import" in refused(manifest.read, "de-identified", tmp_path / "set").remedy
    publish(tmp_path / "set", fact="no")
    refused(dicom.read, "not been de-identified", tmp_path / "set")


def test_files_beside_those_of_import_are_not_read(tmp_path):
    root = folder(tmp_path / "set", 3)
    write(root / "benign/late.dcm", texture(99))
    found = dicom.read(root)
    assert [(s.file, s.reason) for s in found.set_aside if "late" in s.file] == [
        ("benign/late.dcm", "not written by bedside import")]
    assert len(found.cases) == 6
    (root / "manifest.csv").write_text("file,label\nbenign/late.dcm,benign\n")
    refused(manifest.read, r"line 2: 'benign/late.dcm': not written by", root)
    data = bytearray((root / "benign/000.dcm").read_bytes())
    data[-1] ^= 1
    (root / "benign/000.dcm").write_bytes(bytes(data))
    refused(dicom.read, r"000\.dcm: changed since bedside import", root)
    assert len(dicom.read(root, skip_bad=True).cases) == 5


def test_a_folder_inside_an_import_may_be_the_data_set(tmp_path):
    root = tmp_path / "out"
    for label in ("a", "b"):
        write(root / "images" / label / "1", texture(len(label)))
    publish(root)
    assert [c.label for c in dicom.read(root / "images").cases] == ["a", "b"]


def test_patients_are_pseudonyms(tmp_path):
    root = tmp_path / "set"
    for i, patient in enumerate(("7", "7", "8", "")):
        write(root / f"a/{i}.dcm", texture(i), PatientID=patient,
              StudyInstanceUID="1.2.3" if not patient else f"1.9.{i}")
    write(root / "b/4.dcm", texture(4), PatientID="7", IssuerOfPatientID="elsewhere")
    write(root / "b/5.dcm", texture(5), PatientID="", StudyInstanceUID="1.2.3")
    write(root / "b/6.dcm", texture(6), PatientID="9", Manufacturer="GE ",
          ManufacturerModelName="LOGIQ  E9")
    found = dicom.read(publish(root))
    # Where import let them stay, manufacturer and model tell devices apart.
    assert [c.device for c in found.cases] == [None] * 6 + ["GE LOGIQ E9"]
    names = [c.patient for c in found.cases]
    assert names[0] == names[1] and names[3] == names[5] and len(set(names)) == 5
    assert all(n[1:] not in ("7", "8") and len(n) == 17 for n in names)
    assert "without a Patient ID: 2" in found.notes[0]
    # The same ID in another import is another name, and the key is needed to make it.
    assert header(root / "a/0.dcm", b"one").patient != header(root / "a/0.dcm", b"two").patient
    # De-identification and the reader give one name under one key.
    assert header(root / "a/0.dcm", b"one").patient == Key(b"one").patient("7")


def test_the_label_may_come_from_an_element(tmp_path):
    root = tmp_path / "set"
    for i, text in enumerate(("mass", "mass", "cyst", "")):
        write(root / f"PA000001/ST000001/IM{i:06d}", texture(i), StudyDescription=text)
    publish(root)
    for tag in ("StudyDescription", "(0008,1030)", "00081030"):
        found = dicom.read(root, label_tag=tag)
        assert [c.label for c in found.cases] == ["mass", "mass", "cyst"]
        assert dicom.NO_LABEL in {s.reason for s in found.set_aside}
    assert "StudyDescription" in refused(dicom.read, "no DICOM element", root,
                                         label_tag="StudyDescripton").remedy
    refused(dicom.read, "no DICOM image with a label", root, label_tag="StudyComments")
    with pytest.raises(BadInput, match=r"label_tag is for"):
        readers.options_of("folder", DataConfig(label_tag="StudyDescription"))


@pytest.mark.parametrize(("frames", "names"), [
    ("middle", ["a/x.dcm"]), ("first", ["a/x.dcm/frame-0001"]),
    ("all", [f"a/x.dcm/frame-000{i}" for i in (1, 2, 3)])])
def test_frames(tmp_path, frames, names):
    root = tmp_path / "set"
    cine(root / "a/x.dcm")
    write(root / "b/y.dcm", texture(1), PatientID="other")
    publish(root)
    cases = dicom.read(root, frames=frames).cases
    assert [c.file for c in cases] == [*names, "b/y.dcm"]
    assert len({c.patient for c in cases[:-1]}) == 1
    number = {"middle": 2, "first": 1, "all": 1}[frames]
    np.testing.assert_array_equal(pixels_of(root, names[0]), texture(499 + number))
    refused(pixels_of, "no frame 9 among 3", root, "a/x.dcm/frame-0009")


def test_a_table_of_dicom_and_pictures(tmp_path):
    root = tmp_path / "set"
    cine(root / "x.dcm")
    cine(root / "y", seed=6)
    save(root / "z.png", texture(3))
    publish(root)
    (root / "manifest.csv").write_text(
        "file,label,patient,split\nx.dcm/frame-0002,a,,train\nx.dcm/frame-0003,b,,train\n"
        "y,b,p7,test\nz.png,a,,\n")
    cases = manifest.read(root, frames="all").cases
    assert [c.file for c in cases] == [
        "x.dcm/frame-0002", "x.dcm/frame-0003", "y/frame-0001", "y/frame-0002", "y/frame-0003",
        "z.png"]
    assert [c.patient for c in cases][2:] == ["p7"] * 3 + [None]
    assert cases[0].patient == cases[1].patient and cases[0].patient.startswith("P")
    assert [c.split for c in cases] == ["train", "train", "test", "test", "test", "set_aside"]
    (root / "manifest.csv").write_text("file,label\nx.dcm/frame-0002,a\nx.dcm,b\n")
    refused(manifest.read, "listed twice", root, frames="all")


def test_through_the_data_stage(tmp_path):
    root = folder(tmp_path / "set", 12)
    cine(tmp_path / "more/benign/cine.dcm", 4, PatientID="SECRET-77")
    shutil.copytree(tmp_path / "more", root, dirs_exist_ok=True)
    (root / "manifest.json").unlink()
    publish(root)
    run = tmp_path / "run"
    prepare(run, Study(data=DataConfig(source=str(root), frames="all", proportions=(2, 1, 1))))
    cases = stored.cases(run)
    assert len(cases) == 28
    frames = [c for c in cases if "frame-" in c.file]
    assert len(frames) == 4 and len({c.group for c in frames}) == 1
    assert len({c.split for c in frames}) == 1 and len({c.sha256 for c in frames}) == 4
    text = (layout.data_dir(run) / layout.CASES).read_text()
    assert "SECRET" not in text and "P00" not in text


def test_bad_files_in_a_study(tmp_path):
    root = folder(tmp_path / "set", 12)
    (root / "manifest.json").unlink()
    good = as_bytes(dataset(texture(77)))
    (root / "benign/cut.dcm").write_bytes(good[:-500])
    (root / "benign/text.dcm").write_bytes(b"no DICOM at all" * 20)
    publish(root)
    config = DataConfig(source=str(root), proportions=(2, 1, 1))
    refused(prepare, r"text\.dcm: not a DICOM file", tmp_path / "run", Study(data=config))
    skipping = Study(data=DataConfig(source=str(root), proportions=(2, 1, 1), skip_bad=True))
    prepare(tmp_path / "run", skipping)
    audit = codec.read_json(Audit, layout.data_dir(tmp_path / "run") / layout.AUDIT)
    told = {s.file: s.reason for s in audit.set_aside}
    assert told["benign/text.dcm"] == "not a DICOM file"
    assert told["benign/cut.dcm"] == "the pixel data end early"
    assert len(stored.cases(tmp_path / "run")) == 24


def test_many_files_in_bounded_time_and_memory(tmp_path):
    data = as_bytes(dataset(texture(1)))
    for i in range(400):
        path = tmp_path / f"S{i // 100}/IM{i:05d}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    # Processor time: the clock tells how busy the machine is.
    start = time.process_time()
    found = dicom.listing(tmp_path)
    assert len(found.entries) == 400 and time.process_time() - start < 20
    assert len({f for _, f in found.entries}) == 1


def test_bytes_and_names_in_messages():
    refused(read_file, "^image: not a DICOM file", b"x" * 200)
    refused(read_file, "^upload: the file is empty", b"", name="upload")
    refused(read_file, "nowhere: cannot be read", Path("/nowhere"))
