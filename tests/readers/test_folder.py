"""One folder per class, with masks, links and pipes in it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from data_fixture import folder, read, save, texture

from bedside.core.errors import BadInput
from bedside.readers.load import pixels_of


def test_folders_are_classes_and_masks_are_not_images(tmp_path: Path) -> None:
    for name in ("benign/benign (1)", "benign/benign (1)_mask", "benign/benign (1)_mask_1",
                 "benign/benign (10)", "malignant/x/malignant (1)", "malignant/lost_mask"):
        save(tmp_path / f"{name}.png", texture(1))
    (tmp_path / "official_split.csv").write_text("file,split\n")
    (tmp_path / "benign/notes.txt").write_text("hello")
    (tmp_path / "benign/.DS_Store").write_text("")
    save(tmp_path / "loose.png", texture(2))
    (tmp_path / "empty").mkdir()
    listing = read(tmp_path)
    assert [(c.file, c.label, c.masks) for c in listing.cases] == [
        ("benign/benign (1).png", "benign",
         ("benign/benign (1)_mask.png", "benign/benign (1)_mask_1.png")),
        ("benign/benign (10).png", "benign", ()),
        ("malignant/x/malignant (1).png", "malignant", ())]
    assert {s.file: s.reason for s in listing.set_aside} == {
        "official_split.csv": "not a PNG, JPEG, BMP or TIFF file",
        "benign/notes.txt": "not a PNG, JPEG, BMP or TIFF file",
        "benign/.DS_Store": "a hidden file or folder",
        "malignant/lost_mask.png": "a lesion mask without its image",
        "loose.png": "not inside a class folder",
        "empty": "a folder without images"}


@pytest.mark.parametrize("suffix", ["png", "jpg", "JPEG", "bmp", "tif", "tiff"])
def test_formats(tmp_path: Path, suffix: str) -> None:
    pixels = texture(3)
    save(tmp_path / f"a/1.{suffix}", pixels)
    save(tmp_path / "b/1.png", pixels)
    listing = read(tmp_path)
    assert len(listing.cases) == 2
    found = pixels_of(listing.root, f"a/1.{suffix}")
    tolerance = 40 if suffix.lower().startswith("jp") else 0
    assert np.abs(found.astype(int) - pixels).max() <= tolerance


def test_links_inside_are_read_and_links_outside_refused(tmp_path: Path) -> None:
    root = folder(tmp_path / "set", {"a": 2, "b": 2})
    (root / "a/link.png").symlink_to(root / "a/000.png")
    (root / "c").symlink_to(root / "b")
    listing = read(root)
    assert "a/link.png" in [c.file for c in listing.cases]
    assert ("c", "a link to a folder") in [(s.file, s.reason) for s in listing.set_aside]
    outside = save(tmp_path / "elsewhere.png", texture(9))
    (root / "b/out.png").symlink_to(outside)
    with pytest.raises(BadInput, match=r"b/out\.png.*outside the data set"):
        read(root)


def test_a_linked_folder_outside_is_refused(tmp_path: Path) -> None:
    root = folder(tmp_path / "set", {"a": 2, "b": 2})
    (root / "c").symlink_to(folder(tmp_path / "other", {"x": 1}))
    with pytest.raises(BadInput, match="outside the data set"):
        read(root)


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    root = folder(tmp_path, {"a": 2, "b": 2})
    os.mkfifo(root / "a/pipe.png")
    with pytest.raises(BadInput, match="not a regular file"):
        read(root)


def test_folders_named_as_parts_are_no_classes(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"parts of a split.*manifest\.csv"):
        read(folder(tmp_path, {"train": 2, "test": 2}))


def test_a_folder_too_high_is_pointed_out(tmp_path: Path) -> None:
    folder(tmp_path / "Dataset_BUSI", {"a": 2, "b": 2})
    with pytest.raises(BadInput, match=r"only one class folder.*Dataset_BUSI"):
        read(tmp_path)
