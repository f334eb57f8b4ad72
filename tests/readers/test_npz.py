"""MedMNIST files, sound, damaged and lying."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from data_fixture import npz, read, texture
from PIL import Image

from bedside.core.errors import BadInput
from bedside.readers.load import pixels_of
from bedside.readers.npz import NpzImages


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


@pytest.mark.parametrize("names", [("a", "a"), ("a", "")])
def test_class_names_differ(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(BadInput, match="given twice or empty"):
        read(npz(tmp_path / "x.npz"), names)
