"""Palette colour tables (PS3.3 C.7.6.3.1.5, C.7.9), with a cap on what they expand to."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from bedside.core.errors import BadInput

_ENTRIES = 65536
_NAMES = ("Red", "Green", "Blue")


def palette_table(ds: Any, low: int, span: int, big_endian: bool) -> npt.NDArray[np.uint8]:
    """Return the colour of every value that the stored bits can hold.

    Args:
        ds: the ``pydicom.Dataset``.
        low: the smallest value.
        span: how many values.
        big_endian: of the file.

    Returns:
        (span, 3) uint8; 16-bit tables by their upper byte.

    Raises:
        BadInput: no table, or one that is longer than 65,536 entries.
        Exception: of many types, from pydicom, on damaged tables.
    """
    from pydicom.pixels.processing import apply_color_lut

    if "RedPaletteColorLookupTableDescriptor" not in ds:
        raise BadInput("palette colour without a palette")
    depth = int(ds.RedPaletteColorLookupTableDescriptor[2])
    if depth not in (8, 16):
        raise BadInput("a palette of neither 8 nor 16 bits")
    for name in _NAMES:
        keyword = f"Segmented{name}PaletteColorLookupTableData"
        if f"{name}PaletteColorLookupTableData" not in ds and keyword in ds:
            _check_segments(ds[keyword].value, depth, big_endian)
        elif len(ds.get(f"{name}PaletteColorLookupTableData") or b"") > 2 * _ENTRIES:
            raise BadInput(f"a palette of more than {_ENTRIES} entries")
    for alpha in ("AlphaPaletteColorLookupTableData", "SegmentedAlphaPaletteColorLookupTableData"):
        if alpha in ds:
            del ds[alpha]  # opacity is for blending, not for one image
    values = np.arange(low, low + span, dtype=np.int32)
    table: npt.NDArray[Any] = apply_color_lut(values, ds)
    if table.dtype.itemsize == 1:
        return table.astype(np.uint8)
    if big_endian and "RedPaletteColorLookupTableData" in ds:
        table = table.byteswap()  # pydicom reads the bytes in the machine's order
    # Some writers keep 8 bits in 16: their upper byte is empty.
    return (table >> 8 if table.max() > 255 else table).astype(np.uint8)


def _check_segments(data: bytes, depth: int, big_endian: bool) -> None:
    """Count what a segmented table expands to; an indirect segment repeats direct ones only."""
    size = depth // 8
    if len(data) > size * 4 * _ENTRIES:
        raise BadInput(f"a palette of more than {_ENTRIES} entries")
    words = struct.unpack(f"{'>' if big_endian else '<'}{len(data) // size}"
                          f"{'B' if size == 1 else 'H'}", data[:len(data) // size * size])
    total, at = 0, 0
    while at + 1 < len(words):
        if words[at] == 2:
            added, at = _indirect(words, at, size, big_endian)
        else:
            added, at = _direct(words, at)
        total += added
        if total > _ENTRIES:
            raise BadInput(f"a palette of more than {_ENTRIES} entries")


def _direct(words: tuple[int, ...], at: int) -> tuple[int, int]:
    if words[at] not in (0, 1):
        raise BadInput("a damaged palette")
    length = words[at + 1]
    return length, at + 2 + (length if words[at] == 0 else 1)


def _indirect(words: tuple[int, ...], at: int, size: int, big_endian: bool) -> tuple[int, int]:
    wide = 4 if size == 1 else 2
    part = words[at + 2:at + 2 + wide]
    if len(part) < wide:
        raise BadInput("a damaged palette")
    if size == 1:
        low, high = ((part[0] | part[1] << 8, part[2] | part[3] << 8) if not big_endian else
                     (part[0] << 8 | part[1], part[2] << 8 | part[3]))
    else:
        low, high = part
    start, total = low | high << 16, 0
    for _ in range(words[at + 1]):
        if start + 1 >= len(words):
            break
        added, start = _direct(words, start)
        total += added
        if total > _ENTRIES:
            break
    return total, at + 2 + wide
