"""Canonical zip: names and contents determine every byte (stored, no dates, no extra fields).

Reading parses only what a rebuild needs, rebuilds, and compares byte for byte, so nothing that
zip allows besides (compression, links, comments, gaps, a second directory) can hide anything.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable

from bedside.core.errors import GateFailed

MAX_BYTES = 1 << 30
MAX_ENTRIES = 512
MAX_NAME = 120

# One spelling per name: lower case, no empty part, no part that starts with a dot.
NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]*(?:/[a-z0-9_][a-z0-9_.-]*)*\Z")

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_VERSION = 10
_DATE = 0x21  # 1 January 1980, the zero of zip's calendar
_REMEDY = "Get the bundle from its source again."


def fits(name: str) -> bool:
    """Return whether a bundle may hold a name: lower-case ASCII, relative, no part like ``..``."""
    return len(name) <= MAX_NAME and NAME.match(name) is not None


def build(entries: Iterable[tuple[str, bytes | memoryview]]) -> bytes:
    """Return the canonical zip of these entries, in this order.

    Raises:
        ValueError: a name that may not stand in a bundle.
    """
    body, directory, count = bytearray(), bytearray(), 0
    for name, data in entries:
        if not fits(name):
            raise ValueError(f"{name!r} are not allowed in a bundle")
        raw = name.encode("ascii")
        common = (_VERSION, 0, 0, 0, _DATE, zlib.crc32(data), len(data), len(data), len(raw), 0)
        directory += _CENTRAL.pack(b"PK\x01\x02", _VERSION, *common, 0, 0, 0, 0, len(body)) + raw
        body += _LOCAL.pack(b"PK\x03\x04", *common) + raw
        body += data
        count += 1
    end = _END.pack(b"PK\x05\x06", 0, 0, count, count, len(directory), len(body), 0)
    return bytes(body + directory + end)


def _refuse(fault: str, where: str) -> GateFailed:
    return GateFailed(fault, where=where, remedy=_REMEDY)


def read(data: bytes, where: str) -> dict[str, memoryview]:
    """Return the entries of a canonical zip, in its order.

    Args:
        data: the whole file.
        where: what to call it in a message.

    Raises:
        GateFailed: not a zip, or not the canonical one of its names and contents.
    """
    if len(data) > MAX_BYTES:
        raise _refuse(f"larger than {MAX_BYTES >> 20} MiB", where)
    if len(data) < _END.size or data[:4] != b"PK\x03\x04":
        raise _refuse("not a bundle (no zip)", where)
    entries = dict(_entries(data, where))
    rebuilt = build(entries.items())
    if rebuilt != data:
        raise _refuse("not the canonical zip of its contents: it was changed or repacked", where)
    return entries


def _entries(data: bytes, where: str) -> Iterable[tuple[str, memoryview]]:
    (magic, _, _, _, count, size, start, _) = _END.unpack_from(data, len(data) - _END.size)
    if magic != b"PK\x05\x06" or start + size + _END.size != len(data):
        raise _refuse("the zip's directory is damaged", where)
    if count > MAX_ENTRIES:
        raise _refuse(f"more than {MAX_ENTRIES} files", where)
    view, position, seen, total = memoryview(data), start, set[str](), 0
    for _ in range(count):
        if position + _CENTRAL.size > start + size:
            raise _refuse("the zip's directory is damaged", where)
        fields = _CENTRAL.unpack_from(data, position)
        packed, plain, length, offset = fields[8], fields[9], fields[10], fields[16]
        raw = data[position + _CENTRAL.size:position + _CENTRAL.size + length]
        position += _CENTRAL.size + length
        name = raw.decode("ascii", errors="replace")
        if not fits(name):
            raise _refuse(f"invalid file name for a bundle ({name[:60]!a})", where)
        if name in seen:
            raise _refuse(f"{name}is listed twice", where)
        seen.add(name)
        first = offset + _LOCAL.size + length
        total += plain  # overlapping entries would let a small file be rebuilt into a huge one
        if fields[4] != 0 or packed != plain or first + plain > start or total > start:
            raise _refuse(f"{name} is compressed or lies outside the zip", where)
        yield name, view[first:first + plain]


