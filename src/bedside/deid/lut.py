"""Truncate lookup tables of a DICOM header to their declared length, so that nothing is appended.

Their values are not text, so nothing else in them can be checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bedside.deid.outcome import Quarantine

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

# Data to its descriptor (PS3.3 C.7.6.3.1.5 and C.7.9; alpha has that of red; C.11.1, C.11.2).
TABLES = {0x00281201: 0x00281101, 0x00281202: 0x00281102, 0x00281203: 0x00281103,
          0x00281204: 0x00281101, 0x00281221: 0x00281101, 0x00281222: 0x00281102,
          0x00281223: 0x00281103, 0x00283006: 0x00283002}
_SEGMENTED = range(0x00281221, 0x00281224)
_WORDS = frozenset({"OW", "OB", "US", "SS", "US or OW", "OB or OW"})
_ALL = 65536


def _segments_end(data: bytes, entries: int, size: int) -> int:
    """Return the number of bytes of segments (PS3.3 C.7.9.2) that make up the entries."""
    units = [int.from_bytes(data[i:i + size], "little") for i in range(0, len(data), size)]
    at = 0
    while entries > 0 and at + 1 < len(units):
        kind, length = units[at], units[at + 1]
        if kind not in (0, 1):
            break
        entries -= length
        at += 2 + (length if kind == 0 else 1)
    if entries != 0 or at > len(units):
        raise Quarantine("a lookup table that does not fit its description")
    return at * size


def cut(element: Any, dataset: Dataset) -> Any:
    """Return a table's value, cut to the length that its descriptor declares.

    Raises:
        Quarantine: text instead of values, no descriptor, or fewer values than it says.
    """
    wrong = Quarantine("a lookup table that does not fit its description")
    tag, value = int(element.tag), element.value
    try:
        entries, _, bits = (int(v) for v in dataset[TABLES[tag]].value)
    except Exception:
        raise wrong from None
    entries = entries or _ALL
    if element.VR not in _WORDS or not 0 < bits <= 16:
        raise wrong
    if not isinstance(value, bytes):
        numbers = [value] if isinstance(value, int) else list(value or [])
        # 8-bit values may stand two to a word.
        words = -(-entries // 2) if bits <= 8 and len(numbers) < entries else entries
        if tag in _SEGMENTED or len(numbers) < words:
            raise wrong
        return numbers[:words]
    size = 1 if bits <= 8 else 2
    if tag in _SEGMENTED:
        return _even(value[:_segments_end(value, entries, size)])
    if size == 1 and len(value) >= 2 * entries:
        # Some writers give each 8-bit value a word; then every other byte is nothing.
        wide = value[:2 * entries]
        if not any(wide[1::2]) or not any(wide[::2]):
            return wide
    if len(value) < entries * size:
        raise wrong
    return _even(value[:entries * size])


def _even(data: bytes) -> bytes:
    return data + b"\0" * (len(data) % 2)
