"""How many of 16 bits an image uses: 12-bit scanners store their values in 16-bit files."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from bedside.core.errors import BadInput
from bedside.runtime.preprocess import decode

_PNG = b"\x89PNG\r\n\x1a\n"
# TIFF's MaxSampleValue.
_MAX_SAMPLE = 281


def declared_bits(path: Path) -> int | None:
    """Return the bits that a 16-bit file says are significant, None where it says nothing.

    PNG's sBIT chunk (W3C PNG, 11.3.2.3) or TIFF's MaxSampleValue.
    """
    try:
        with path.open("rb") as handle:
            head = handle.read(4096)
        if head.startswith(_PNG):
            return _sbit(head)
        with Image.open(path) as image:
            tags = getattr(image, "tag_v2", {})
            largest = tags.get(_MAX_SAMPLE)
        largest = largest[0] if isinstance(largest, tuple) else largest
        return int(largest).bit_length() if largest else None
    except (OSError, ValueError, TypeError, struct.error, Image.DecompressionBombError):
        return None


def _sbit(head: bytes) -> int | None:
    at = len(_PNG)
    while at + 12 <= len(head):
        length, kind = struct.unpack_from(">I4s", head, at)
        if kind == b"sBIT" and length >= 1:
            return head[at + 8]
        if kind in (b"IDAT", b"PLTE"):
            return None
        at += 12 + length
    return None


def used_range(paths: Sequence[Path]) -> str:
    """Return a sentence on the range of 16-bit images, empty where there are none."""
    peaks, declared = [], set()
    for path in paths:
        try:
            pixels = decode(path)
        except BadInput:
            continue
        if pixels.dtype == np.uint16:
            peaks.append(int(pixels.max()))
            declared.add(declared_bits(path))
    return said(peaks, next(iter(declared)) if len(declared) == 1 else None)


def said(peaks: Sequence[int], declared: int | None = None) -> str:
    """Return a sentence on the largest values of 16-bit images, empty where there are none."""
    if not peaks:
        return ""
    peak = max(peaks)
    bits = max(1, peak.bit_length())
    told = f", {declared} bits are declared" if declared and declared < 16 else ""
    scale = ("Each image is divided by its own maximum; a network with normalise = \"dtype\" "
             f"would see at most {peak / 65535:.2f} of its range." if bits < 16 else
             "Each image is divided by its own maximum.")
    return (f"16-bit images: {len(peaks)}; values up to {peak:,} of 65,535, {bits} bits are "
            f"used{told}. {scale}")
