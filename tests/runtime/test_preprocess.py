"""Preprocessing against golden vectors and an independent resampler."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from paths import GOLDEN
from PIL import Image, ImageOps, PngImagePlugin

from bedside.core.errors import BadInput
from bedside.core.types import Preprocess
from bedside.runtime.preprocess import (
    decode,
    exif_orientation,
    normalise,
    resize,
    to_tensor,
)

ENTRIES = json.loads((GOLDEN / "golden.json").read_text())


def _name(entry: dict) -> str:
    return f"{entry['input']}-{'x'.join(map(str, entry['shape']))}-{_how(entry)}"


def _how(entry: dict) -> str:
    return entry.get("resize", "bilinear")


def _pixels(entry: dict) -> np.ndarray:
    data = base64.b64decode(entry["pixels"])
    return np.frombuffer(data, np.dtype(entry["dtype"]).newbyteorder("<")).reshape(entry["shape"])


def _spec(entry: dict) -> Preprocess:
    return Preprocess(entry["shape"][0], entry["shape"][1], entry["channels"], _how(entry))


@pytest.mark.parametrize("entry", ENTRIES, ids=_name)
def test_resized_pixels_are_the_golden_ones(entry: dict) -> None:
    small = resize(decode(GOLDEN / entry["input"], entry["channels"]), _spec(entry))
    assert small.dtype.name == entry["dtype"]
    np.testing.assert_array_equal(small, _pixels(entry))
    assert int(small.max()) == entry["max"]


@pytest.mark.parametrize("entry", ENTRIES, ids=_name)
def test_tensor_is_the_golden_pixels_over_their_maximum(entry: dict) -> None:
    tensor = to_tensor(GOLDEN / entry["input"], _spec(entry))
    expected = _pixels(entry).astype(np.float64) / entry["max"]
    assert tensor.shape == (1, *entry["shape"]) and tensor.dtype == np.float32
    np.testing.assert_allclose(tensor[0], expected, rtol=1e-6)


def _weights(source: int, target: int) -> np.ndarray:
    """A triangle filter, widened when shrinking, one row for each output pixel."""
    scale = source / target
    reach = max(scale, 1.0)
    matrix = np.zeros((target, source))
    for out in range(target):
        centre = (out + 0.5) * scale
        for at in range(source):
            matrix[out, at] = max(0.0, 1.0 - abs(at + 0.5 - centre) / reach)
        matrix[out] /= matrix[out].sum()
    return matrix


def _planes(path: Path, channels: int) -> np.ndarray:
    """Decode without our code; grey by ITU-R 601."""
    with Image.open(path) as image:
        if image.mode.startswith("I"):
            return np.repeat(np.asarray(image).astype(np.float64)[..., None], channels, axis=2)
        if image.mode in ("L", "1"):
            grey = np.asarray(image.convert("L"), dtype=np.float64)
            return np.repeat(grey[..., None], channels, axis=2)
        rgb = np.asarray(image.convert("RGBA"), dtype=np.float64)[..., :3]
    if channels == 3:
        return rgb
    return np.rint(rgb @ [0.299, 0.587, 0.114])[..., None]


@pytest.mark.parametrize("entry", [e for e in ENTRIES if _how(e) == "bilinear"], ids=_name)
def test_golden_pixels_follow_a_triangle_filter(entry: dict) -> None:
    planes = _planes(GOLDEN / entry["input"], entry["channels"])
    if entry["input"] == "exif_turned.png":
        planes = np.rot90(planes, -1)
    rows = _weights(planes.shape[0], entry["shape"][0])
    columns = _weights(planes.shape[1], entry["shape"][1])
    expected = np.einsum("ih,hwc,jw->ijc", rows, planes, columns)
    # Pillow rounds to grey levels between its two passes.
    assert np.abs(_pixels(entry).astype(np.float64) - np.rint(expected)).max() <= 1


def test_golden_files_are_what_the_script_writes(tmp_path: Path,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("golden_make", GOLDEN / "make.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "HERE", tmp_path)
    module.main()
    assert json.loads((tmp_path / "golden.json").read_text()) == ENTRIES


def test_resizing_shrinks_with_antialiasing() -> None:
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 200
    small = resize(stripes, Preprocess(16, 16))
    # Plain bilinear sampling would show full stripes or none.
    assert np.abs(small.astype(int) - 100).max() <= 15


def test_sixteen_bits_keep_more_than_eight_do() -> None:
    ramp = np.tile(np.arange(1000, 1064, dtype=np.uint16), (64, 1))
    small = resize(ramp, Preprocess(32, 32))
    assert small.dtype == np.uint16 and len(np.unique(small)) >= 30


def test_all_black_has_no_maximum() -> None:
    with pytest.raises(BadInput, match="all black"):
        normalise(np.zeros((4, 4, 1), np.uint8), Preprocess(4, 4))


XMP = b'<rdf:Description tiff:Orientation="6"/>'
ORIENTATION = 0x0112


def _saved(kind: str, **said: object) -> bytes:
    """A grey image, 4 high and 3 wide, dark above and bright below."""
    buffer = io.BytesIO()
    Image.fromarray(np.repeat(np.arange(0, 240, 60, dtype=np.uint8)[:, None], 3, axis=1)).save(
        buffer, kind, **said)
    return buffer.getvalue()


def _png_with(key: str, text: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_itxt(key, text)
    return _saved("PNG", pnginfo=info)


def _exif(orientation: int | None) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010E] = "scan"
    if orientation is not None:
        exif[ORIENTATION] = orientation
    return exif


@pytest.mark.parametrize("data", [
    _png_with("XML:com.adobe.xmp", XMP.decode()),
    _png_with("Raw profile type exif", f"\nexif\n  10\n{_exif(6).tobytes().hex()}\n"),
    _saved("JPEG", xmp=XMP),
    # With EXIF and without a resolution, Pillow reads XMP's orientation on opening already.
    _saved("JPEG", xmp=XMP, exif=_exif(None)),
    _saved("TIFF", tiffinfo={700: XMP}),
], ids=["png", "png-text", "jpeg", "jpeg-exif", "tiff"])
def test_what_is_no_exif_does_not_turn_an_image(data: bytes) -> None:
    assert decode(data).shape == (4, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_exif_turns_an_image_as_pillow_does(kind: str, orientation: int) -> None:
    data = _saved(kind, exif=_exif(orientation))
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(decode(data), expected)


def test_exif_overrules_xmp() -> None:
    assert decode(_saved("JPEG", exif=_exif(1), xmp=XMP)).shape == (4, 3)
    assert decode(_saved("JPEG", exif=_exif(6), xmp=XMP.replace(b"6", b"1"))).shape == (3, 4)


def test_damaged_exif_turns_nothing() -> None:
    whole = b"II*\0" + struct.pack("<IHHHIHH", 8, 1, ORIENTATION, 3, 1, 6, 0)
    assert exif_orientation(whole) == exif_orientation(b"Exif\0\0" + whole) == 6
    for length in range(len(whole)):
        assert exif_orientation(whole[:length]) == 1
    assert exif_orientation(b"XX*\0" + whole[4:]) == 1
    assert exif_orientation(whole[:4] + b"\xff" * 4 + whole[8:]) == 1
    assert exif_orientation(whole.replace(b"\x06\0", b"\x09\0")) == 1
