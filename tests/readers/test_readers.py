"""Readers: what they list, what they set aside, and where they refuse to go."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from data_fixture import folder, npz, save, texture
from PIL import Image

from bedside import readers
from bedside.core import registry
from bedside.core.errors import BadInput
from bedside.readers.base import Listing, relative_name
from bedside.readers.load import pixels_of
from bedside.readers.npz import NpzImages
from bedside.runfolder.cases import cases_to_csv, read_cases


def read(source: Path, class_names: tuple[str, ...] = ()) -> Listing:
    return registry.lookup(readers.READERS, readers.detect(source), "reader")(source, class_names)


def write_table(root: Path, text: str) -> Path:
    path = root / "manifest.csv"
    path.write_text(text)
    return path


# ------------------------------------------------------------------ folder


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


# ------------------------------------------------------------------ manifest


def test_every_column(tmp_path: Path) -> None:
    folder(tmp_path / "img", {"a": 2, "b": 1})
    table = write_table(tmp_path, "\ufefffile,label,patient,split,mask,age,size_mm\r\n"
                        "img/a/000.png,benign,P1,train,img/a/001.png|img/b/000.png,51,12.5\r\n"
                        "\r\n./img/b/000.png,malignant,,val,,,\r\n")
    for source in (table, tmp_path):
        first, second = read(source).cases
        assert first.masks == ("img/a/001.png", "img/b/000.png")
        assert (first.patient, first.split, first.age, first.size_mm) == ("P1", "train", 51, 12.5)
        assert (second.file, second.patient, second.age) == ("img/b/000.png", None, None)


def test_a_device_column_goes_the_whole_way_to_cases_csv(tmp_path: Path) -> None:
    from bedside.core.types import Case

    folder(tmp_path / "img", {"a": 2})
    write_table(tmp_path, "file,label,device\nimg/a/000.png,x,GE LOGIQ E9\nimg/a/001.png,x,\n")
    first, second = read(tmp_path).cases
    assert (first.device, second.device) == ("GE LOGIQ E9", None)
    cases = [Case("c0", "f", "x", device=first.device), Case("c1", "g", "x")]
    path = tmp_path / "cases.csv"
    path.write_text(cases_to_csv(cases))
    assert read_cases(path) == tuple(cases)
    # A run made before there was such a column still reads.
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line.rpartition(",")[0] for line in lines) + "\n")
    assert [c.device for c in read_cases(path)] == [None, None]


@pytest.mark.parametrize(("text", "message"), [
    ("file\nimg/a/000.png\n", "line 1: the column 'label' is missing"),
    ("file;label\nimg/a/000.png;x\n", "Separate the columns by commas"),
    ("file,label,patiant\nimg/a/000.png,x,1\n", "Did you mean 'patient'"),
    ("file,label,label\nimg/a/000.png,x,y\n", "given twice"),
    ("", "table is empty"),
    ("file,label\n", "no image is listed"),
    ("file,label\nimg/a/000.png\n", "line 2: 1 cells where the header has 2"),
    ("file,label\nimg/a/000.png,x\nimg/a/./000.png,x\n", "line 3.*listed twice .*line 2"),
    ("file,label\nimg/a/000.png,\n", "no label"),
    ("file,label\n,x\n", "an empty path"),
    ("file,label\nimg/a/999.png,x\n", r"line 2: no such file: 'img/a/999\.png'"),
    ("file,label\nimg/a,x\n", "not a regular file"),
    ("file,label\n../secret.png,x\n", "leads outside"),
    ("file,label\nimg/../../secret.png,x\n", "leads outside"),
    ("file,label\n/etc/passwd,x\n", "absolute path"),
    ("file,label\nC:/images/1.png,x\n", "absolute path"),
    ("file,label\n\\\\server\\share\\1.png,x\n", "absolute path"),
    ("file,label\n//server/share/1.png,x\n", "absolute path"),
    ("file,label\nimg\\a\\000.png,x\n", "backslash"),
    ("file,label\nimg/a/000.png\x00,x\n", "NUL|control character"),
    ("file,label\nimg/link.png,x\n", "link that leads outside"),
    ("file,label,mask\nimg/a/000.png,x,../secret.png\n", "leads outside"),
    ("file,label,split\nimg/a/000.png,x,vall\n", "Did you mean 'val'"),
    ("file,label,age\nimg/a/000.png,x,nan\n", "age 'nan' is not a number from 0 to 150"),
    ("file,label,size_mm\nimg/a/000.png,x,-1\n", "size_mm"),
    ('file,label\n"img/a/000.png,x\n', "not a comma-separated table"),
])
def test_bad_tables(tmp_path: Path, text: str, message: str) -> None:
    root = tmp_path / "set"
    folder(root / "img", {"a": 2})
    save(tmp_path / "secret.png", texture(5))
    (root / "img/link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(BadInput, match=message) as caught:
        read(write_table(root, text))
    assert "manifest.csv" in caught.value.message and caught.value.remedy


def test_unknown_columns_are_said(tmp_path: Path) -> None:
    folder(tmp_path / "img", {"a": 1})
    listing = read(write_table(tmp_path, "file,label,machine\nimg/a/000.png,x,Logiq\n"))
    assert listing.notes == ("Columns of manifest.csv that are not used: machine.",)


@pytest.mark.parametrize("name", ["a\nb.png", "a\udc80.png", "a\x7f.png"])
def test_names_a_table_cannot_hold(name: str) -> None:
    with pytest.raises(BadInput):
        relative_name(name, "here")


# ------------------------------------------------------------------ npz


def test_medmnist(tmp_path: Path) -> None:
    listing = read(npz(tmp_path / "x.npz"), ("malignant", "benign"))
    assert len(listing.cases) == 16
    first, last = listing.cases[0], listing.cases[-1]
    assert (first.file, first.label, first.split) == ("train_images[0]", "malignant", "train")
    assert (last.file, last.label, last.split) == ("val_images[3]", "benign", "val")
    np.testing.assert_array_equal(pixels_of(listing.root, "val_images[3]"), texture(15, 28, 28))


def test_labels_without_names_are_their_numbers(tmp_path: Path) -> None:
    flat = np.array([2, 7] * 6)
    listing = read(npz(tmp_path / "x.npz", train_labels=flat))
    assert {c.label for c in listing.cases if c.split == "train"} == {"2", "7"}


def test_colour_and_sixteen_bits(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (12, 20, 24, 3), dtype=np.uint8)
    deep = rng.integers(0, 65536, (4, 20, 24), dtype=np.uint16).astype(">u2")
    path = npz(tmp_path / "x.npz", train_images=rgb, val_images=deep)
    np.testing.assert_array_equal(pixels_of(path, "train_images[5]", 3), rgb[5])
    grey = np.asarray(Image.fromarray(rgb[5]).convert("L"))
    np.testing.assert_array_equal(pixels_of(path, "train_images[5]", 1), grey)
    found = pixels_of(path, "val_images[2]", 3)
    assert found.dtype == np.uint16 and found.dtype.isnative
    np.testing.assert_array_equal(found[..., 1], deep[2])


def test_images_are_read_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bedside.readers.npz._BLOCK_BYTES", 3 * 28 * 28)
    monkeypatch.setattr("bedside.readers.npz._BLOCKS_KEPT", 1)
    with NpzImages(npz(tmp_path / "x.npz")) as images:
        for i in (11, 0, 7, 3, 2, 10, 11):
            np.testing.assert_array_equal(images.image("train_images", i), texture(i, 28, 28))


STACK = np.stack([texture(i, 28, 28) for i in range(12)])


@pytest.mark.parametrize(("arrays", "message"), [
    ({"train_images": STACK.astype(np.float32)}, "float32 pixels, which may hold NaN"),
    ({"train_images": np.full((12, 4, 4), np.nan)}, "may hold NaN"),
    ({"train_images": STACK.astype(object)}, "holds Python objects"),
    ({"val_labels": np.array(["a", "b", "a", "b"], dtype=object)}, "holds Python objects"),
    ({"train_images": STACK.astype(np.int64)}, "int64 pixels"),
    ({"train_images": np.zeros((12, 9, 9, 9), np.uint8)}, "volumes are not read"),
    ({"train_images": np.zeros((12, 0, 9), np.uint8)}, "images of 9 x 0 pixels"),
    ({"train_images": np.asfortranarray(STACK)}, "Fortran order"),
    ({"train_labels": np.array([0, 5] * 6)}, "label 5 in train_labels is outside the range"),
    ({"train_labels": np.array([0, -1] * 6)}, "label -1 in train_labels is outside"),
    ({"train_labels": np.array([0.0, 1.0] * 6)}, "not whole numbers"),
    ({"train_labels": np.zeros((12, 14), int)}, r"shape \(12, 14\)"),
    ({"train_labels": np.zeros(11, int)}, r"shape \(11,\) for 12 images"),
    ({"train_labels": None}, "'train_labels' is missing"),
    ({"train_images": None, "train_labels": None}, "'train_images' is missing"),
])
def test_bad_arrays(tmp_path: Path, arrays: dict, message: str) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        read(npz(tmp_path / "x.npz", **arrays), ("malignant", "benign"))
    assert "x.npz" in caught.value.message and caught.value.remedy


def test_a_header_that_lies_is_not_believed(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, STACK)
    lying = buffer.getvalue().replace(b"(12, 28, 28)", b"(99, 28, 28)")
    assert lying != buffer.getvalue()
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train_images.npy", lying)
    with pytest.raises(BadInput, match="not of the size its header gives"):
        read(path)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 not really", b"\x93NUMPY"])
def test_not_a_zip(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(data)
    with pytest.raises(BadInput, match="no zip of arrays"):
        read(path)


def test_damaged_data(tmp_path: Path) -> None:
    path = npz(tmp_path / "x.npz")
    data = bytearray(path.read_bytes())
    data[2000:2400] = bytes(400)
    path.write_bytes(data)
    with pytest.raises(BadInput, match="does not read"):
        for i in range(12):
            pixels_of(path, f"train_images[{i}]")


def test_class_names_are_for_npz(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--class-names is for"):
        read(folder(tmp_path), ("a", "b"))


@pytest.mark.parametrize("names", [("a", "a"), ("a", "")])
def test_class_names_differ(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(BadInput, match="given twice or empty"):
        read(npz(tmp_path / "x.npz"), names)


# ------------------------------------------------------------------ which reader


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
