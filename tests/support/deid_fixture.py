"""What the de-identification tests share."""

from __future__ import annotations

import stat
from pathlib import Path

from PIL import Image, PngImagePlugin
from pydicom.data import get_testdata_file

from bedside.core.types import DeidConfig
from bedside.deid import process_file
from bedside.deid.key import Key

KEY = Key(bytes(range(32)))
OPEN = DeidConfig(pixels="unchecked")
CT, US = get_testdata_file("CT_small.dcm"), get_testdata_file("examples_rgb_color.dcm")
MARK = "Kelmindorzev"


def process_without_search(*args, **kwargs):
    """A worker on a machine on which nobody looks for text."""
    process_file.PIXELS = None
    return process_file.process(*args, **kwargs)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def dirty_png(path, image):
    info = PngImagePlugin.PngInfo()
    info.add_text("Patient", MARK)
    info.add_itxt("XML:com.adobe.xmp", f"<x>{MARK}</x>")
    exif = Image.Exif()
    exif[0x010E] = MARK
    image.save(path, pnginfo=info, exif=exif, icc_profile=b"\0" * 64 + MARK.encode())
    path.write_bytes(path.read_bytes() + MARK.encode())
