"""12-bit values in 16-bit files: what is declared and used is said."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from data_fixture import texture
from PIL import Image

from bedside.core.study import DataConfig, Study
from bedside.readers import range16
from bedside.runfolder import layout
from bedside.stages.data.stage import prepare


def wide(path: Path, seed: int, peak: int = 4095, sbit: int | None = None) -> Path:
    """A 16-bit image with values up to ``peak``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = (texture(seed).astype(np.uint32) * peak // 255).astype(np.uint16)
    Image.fromarray(pixels).save(path)
    if sbit is not None:
        data, body = path.read_bytes(), b"sBIT" + bytes([sbit])
        chunk = struct.pack(">I", 1) + body + struct.pack(">I", zlib.crc32(body))
        path.write_bytes(data[:33] + chunk + data[33:])
    return path


@pytest.mark.parametrize(("ending", "sbit", "expected"), [
    ("png", None, None), ("png", 12, 12), ("tif", None, None)])
def test_declared_bits(tmp_path: Path, ending: str, sbit: int | None, expected: int | None) -> None:
    assert range16.declared_bits(wide(tmp_path / f"a.{ending}", 1, sbit=sbit)) == expected


def test_declared_bits_of_a_tiff(tmp_path: Path) -> None:
    image = Image.fromarray(np.full((8, 8), 100, np.uint16))
    image.save(tmp_path / "a.tif", tiffinfo={281: 4095})
    assert range16.declared_bits(tmp_path / "a.tif") == 12


@pytest.mark.parametrize(("peak", "bits"), [(4095, 12), (1023, 10), (65535, 16), (4096, 13)])
def test_used_bits(peak: int, bits: int) -> None:
    assert f"{bits} bits are used" in range16.said([7, peak])
    assert ("at most" in range16.said([peak])) is (bits < 16)
    assert range16.said([]) == ""


def test_the_summary_of_a_data_set_says_it(tmp_path: Path) -> None:
    for label, base in (("a", 0), ("b", 50)):
        for i in range(4):
            wide(tmp_path / "set" / label / f"{i}.png", base + i, sbit=12)
    prepare(tmp_path / "run", Study(data=DataConfig(source=str(tmp_path / "set"))))
    audit = json.loads((layout.data_dir(tmp_path / "run") / layout.AUDIT).read_text())
    (note,) = [n for n in audit["notes"] if "16-bit" in n]
    assert "8; values up to 4,095 of 65,535, 12 bits are used, 12 bits are declared" in note


def test_eight_bits_are_not_mentioned(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(texture(1)).save(path)
    assert range16.used_range([path]) == ""
