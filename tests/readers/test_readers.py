"""The choice of a reader."""

from __future__ import annotations

from pathlib import Path

import pytest
from data_fixture import folder, npz, read

from bedside import readers
from bedside.core.errors import BadInput


def test_class_names_are_for_npz(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--class-names is for"):
        read(folder(tmp_path), ("a", "b"))


def test_detect(tmp_path: Path) -> None:
    assert readers.detect(folder(tmp_path / "f")) == "folder"
    assert readers.detect(npz(tmp_path / "x.npz")) == "npz"
    (tmp_path / "f/manifest.csv").write_text("file,label\n")
    assert readers.detect(tmp_path / "f") == "manifest"
    assert readers.detect(tmp_path / "f/manifest.csv") == "manifest"
    (tmp_path / "x.zip").write_bytes(b"")
    for bad in (tmp_path / "x.zip", tmp_path / "nowhere", Path("a\0b")):
        with pytest.raises(BadInput):
            readers.detect(bad)
