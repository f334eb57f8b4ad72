"""PACS exports: DICOMDIR, links, pipes and names."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from data_fixture import save, texture
from dicom_fixture import public, refused, write

from bedside import readers
from bedside.readers import dicom, dicom_walk


def test_an_export_with_dicomdir(tmp_path):
    source = public("DICOMDIR").parent
    export = tmp_path / "export"
    shutil.copytree(source, export)
    (export / "README.TXT").write_text("viewer\n")
    found = dicom.listing(export)
    told = {s.file: s.reason for s in (*found.aside, *found.faulty)}
    names = {p.relative_to(export).as_posix() for p in export.rglob("*") if p.is_file()}
    indexed = {n for n in told if ": " in n}
    assert {n for n, _ in found.entries} | (set(told) - indexed) == names
    assert told["DICOMDIR"] == dicom_walk.THE_INDEX and told["README.TXT"] == dicom_walk.NOT_DICOM
    assert {f.modality for _, f in found.entries} >= {"CR", "CT", "MR"}
    again = dicom.listing(export)
    # Pseudonyms included: a key made by whichever thread asks first gave a patient two names.
    assert again.entries == found.entries


@pytest.mark.parametrize("parts", [
    ["..", "x"], ["A", "..", "..", "x"], ["/etc/passwd"], ["C:", "x"], ["a\\b"], ["a\0b"], [""],
    ["."], ["..\\x"], [], ["A", "/etc", "passwd"]])
def test_a_dicomdir_does_not_lead_outside(parts):
    assert dicom_walk.check_index("DICOMDIR", [parts], ["A/x"])[0].reason == dicom_walk.TRAVERSAL
    assert dicom_walk.check_index("DICOMDIR", [["a", "X"]], ["A/x"]) == []
    assert dicom_walk.check_index("D/DICOMDIR", [["a", "X"]], ["D/A/x;1"]) == []
    assert dicom_walk.check_index("DICOMDIR", [["a", "Y"]], ["A/x"])[0].reason == dicom_walk.MISSING


def test_a_traversal_in_a_real_dicomdir_is_told_and_nothing_opened(tmp_path):
    data = public("DICOMDIR").read_bytes()
    assert data.count(b"77654033\\CR1\\6154 ") == 1
    evil = data.replace(b"77654033\\CR1\\6154 ", b"..\\..\\etc\\passwd  ")
    (tmp_path / "DICOMDIR").write_bytes(evil)
    found = dicom.listing(tmp_path)
    reasons = {s.file: s.reason for s in found.faulty}
    assert reasons["DICOMDIR: ../../etc/passwd"] == dicom_walk.TRAVERSAL
    refused(dicom.listing, "DICOMDIR", tmp_path, skip_bad=False)


def test_links_pipes_and_names(tmp_path):
    root = tmp_path / "set"
    write(root / "deep/er/IM1", texture(1))
    (tmp_path / "outside.dcm").write_bytes((root / "deep/er/IM1").read_bytes())
    (root / "link.dcm").symlink_to(tmp_path / "outside.dcm")
    (root / "gone.dcm").symlink_to(root / "nowhere")
    (root / "loop").symlink_to(root)
    os.mkfifo(root / "pipe")
    (root / ".hidden").write_bytes(b"x")
    (Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9.dcm"))).write_bytes(b"x")
    (root / "empty.dcm").touch()
    found = dicom.listing(root)
    assert [n for n, _ in found.entries] == ["deep/er/IM1"]
    told = {s.file: s.reason for s in (*found.aside, *found.faulty)}
    assert told["link.dcm"] == dicom_walk.OUTSIDE and "nowhere" in told["gone.dcm"]
    assert told["loop"] == dicom_walk.LINKED_FOLDER and told["pipe"] == dicom_walk.NOT_REGULAR
    assert told[".hidden"] == dicom_walk.HIDDEN and told["empty.dcm"] == dicom_walk.NOT_DICOM
    assert told["caf\\udce9.dcm"] == "a name that a table cannot hold"


def test_detect(tmp_path):
    save(tmp_path / "png/a/1.png", texture(1))
    write(tmp_path / "png/a/2.dcm", texture(1))
    assert readers.detect(tmp_path / "png") == "folder"
    write(tmp_path / "export/PAT/IM1", texture(1))
    (tmp_path / "export/A.TXT").write_text("x")
    assert readers.detect(tmp_path / "export") == "dicom"
    (tmp_path / "text").mkdir()
    (tmp_path / "text/x.txt").write_text("x")
    assert readers.detect(tmp_path / "text") == "folder"
