"""The file that a cell means, and the files of a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from data_fixture import save, texture

from bedside.core.errors import BadInput
from bedside.readers.files import FileIndex, cleaned, walk

FILES = ("part_1/ISIC_1.jpg", "part_2/ISIC_2.JPG", "a/1.png", "b/1.png", "c/0005.png", "x.png")


@pytest.mark.parametrize(("cell", "found"), [
    ("part_1/ISIC_1.jpg", ["part_1/ISIC_1.jpg"]), ("ISIC_1.jpg", ["part_1/ISIC_1.jpg"]),
    ("isic_2.jpg", ["part_2/ISIC_2.JPG"]), ("ISIC_2", ["part_2/ISIC_2.JPG"]),
    ("data/set/part_2/ISIC_2.jpg", ["part_2/ISIC_2.JPG"]), ("a\\1.png", ["a/1.png"]),
    (".\\b\\1.png", ["b/1.png"]), ("C:\\data\\a\\1.png", ["a/1.png"]),
    ("1.png", ["a/1.png", "b/1.png"]), ("5.png", ["c/0005.png"]), ("c/5", ["c/0005.png"]),
    # Never another folder, another ending, or a part of a name.
    ("part_2/ISIC_1.jpg", []), ("ISIC_1.png", []), ("SIC_1.jpg", []), ("q/1.png", []),
    ("../x.png", []), ("", []), ("d/5.png", [])])
def test_find(cell: str, found: list[str]) -> None:
    assert list(FileIndex(FILES).find(cell)) == found


def test_same_is_the_very_path() -> None:
    index = FileIndex(FILES)
    assert index.same("PART_1/isic_1.JPG") == "part_1/ISIC_1.jpg"
    assert index.same("ISIC_1.jpg") is None and index.same("b/1.png") == "b/1.png"


def test_cleaned() -> None:
    assert cleaned("C:\\a\\.\\b.png") == "a/b.png" and cleaned("/a//b") == "a/b"


def test_walk_tolerates_or_refuses(tmp_path: Path) -> None:
    save(tmp_path / "set/a/1.png", texture(1))
    outside = save(tmp_path / "out.png", texture(2))
    (tmp_path / "set/a/2.png").symlink_to(outside)
    (tmp_path / "set/t.csv").write_text("x")
    with pytest.raises(BadInput, match="outside the data set"):
        walk(tmp_path / "set")
    tree = walk(tmp_path / "set", tolerant=True)
    assert tree.images == ("a/1.png",) and tree.tables == ("t.csv",)
    assert {s.file: "outside" in s.reason for s in tree.aside}["a/2.png"]
