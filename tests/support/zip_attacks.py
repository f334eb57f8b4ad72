"""Ways to tamper with a bundle, by name."""

from __future__ import annotations

import hashlib
import io
import stat
import struct
import zipfile

from bedside.runtime.bundle import canonical_zip


def rezip(data, change):
    """The entries of a bundle after ``change(dict)``, as a canonical zip (seals untouched)."""
    entries = {n: bytes(v) for n, v in canonical_zip.read(data, "x").items()}
    changed = change(entries) or entries
    return canonical_zip.build(changed.items() if isinstance(changed, dict) else changed)


def _python_zip(data, method=zipfile.ZIP_STORED, mode=None, last=None):
    """The same entries as an ordinary zip program writes them."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in canonical_zip.read(data, "x").items():
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            if mode:
                info.external_attr = mode << 16
            archive.writestr(info, bytes(content))
        if last:
            archive.writestr(*last)
    return out.getvalue()


def _renamed(old, new):
    """A name changed in place, in both headers."""
    return lambda data: data.replace(old, new)


def _twice(data):
    entries = [(n, bytes(v)) for n, v in canonical_zip.read(data, "x").items()]
    return canonical_zip.build([*entries, entries[-1]])


def _relabelled(data):
    def change(e):
        text = e["manifest.json"].replace(b'"benign",\n   "malignant"',
                                          b'"malignant",\n   "benign"')
        assert text != e["manifest.json"]
        e["manifest.json"] = text
        e["manifest.sha256"] = hashlib.sha256(text).hexdigest().encode()
    return rezip(data, change)


def _swapped(data):
    def change(e):
        e["licence.txt"], e["model-card.md"] = e["model-card.md"], e["licence.txt"]
    return rezip(data, change)


def _overlapping(data):
    """Every central header points at the largest entry: a few bytes that claim many."""
    big = canonical_zip.build([("a", bytes(100_000))])
    start = struct.unpack_from("<L", big, len(big) - 6)[0]
    central = big[start:-22]
    return big[:start] + central * 500 + struct.pack(
        "<4s4H2LH", b"PK\x05\x06", 0, 0, 500, 500, len(central) * 500, start, 0)


ATTACKS = {
    "parent folder": _renamed(b"licence.txt", b"../nce.txtx"),
    "parent in the middle": _renamed(b"reference/1.png", b"reference/../ab"),
    "absolute": _renamed(b"licence.txt", b"/icence.txt"),
    "backslash": _renamed(b"reference/1.png", b"reference\\1.png"),
    "drive letter": _renamed(b"licence.txt", b"c:cence.txt"),
    "NUL": _renamed(b"licence.txt", b"licence\0txt"),
    "not ASCII": _renamed(b"licence.txt", "licénce.tx".encode()),
    "full-width slash": _renamed(b"reference/1.png", "reference／.p".encode()),
    "percent": _renamed(b"reference/1.png", b"%2e%2e%2fx/1.png"[:15]),
    "hidden": _renamed(b"licence.txt", b".icence.txt"),
    "case collision": _renamed(b"licence.txt", b"Licence.txt"),
    "folder entry": _renamed(b"licence.txt", b"licence.tx/"),
    "empty part": _renamed(b"reference/1.png", b"reference//.png"),
    "duplicate name": _twice,
    "duplicate by rename": _renamed(b"reference/1.png", b"reference/1.bin"),
    "repacked": _python_zip,
    "deflated": lambda d: _python_zip(d, zipfile.ZIP_DEFLATED),
    "symlink": lambda d: _python_zip(d, mode=stat.S_IFLNK | 0o777),
    "zip bomb": lambda d: _python_zip(d, zipfile.ZIP_DEFLATED, last=("bomb", bytes(50_000_000))),
    "overlapping entries": _overlapping,
    "extra file": lambda d: rezip(d, lambda e: {**e, "z": b"extra"}),
    "missing file": lambda d: rezip(d, lambda e: {n: v for n, v in e.items()
                                                  if n != "licence.txt"}),
    "missing manifest": lambda d: rezip(d, lambda e: {n: v for n, v in e.items()
                                                      if n != "manifest.json"}),
    "missing digest": lambda d: rezip(d, lambda e: {n: v for n, v in e.items()
                                                    if n != "manifest.sha256"}),
    "swapped labels": _relabelled,
    "swapped contents": _swapped,
    "other order": lambda d: rezip(d, lambda e: [*list(e.items())[:3], *list(e.items())[:2:-1]]),
    "another model": lambda d: rezip(d, lambda e: {**e, "model/model.tflite": b"other bytes"}),
    "another signature": lambda d: rezip(d, lambda e: {**e, "manifest.sig": bytes(96)}),
    "short signature": lambda d: rezip(d, lambda e: {**e, "manifest.sig": b""}),
    "trailing bytes": lambda d: d + b"\0",
    "leading bytes": lambda d: b"\0" + d,
    "truncated": lambda d: d[:-1],
    "empty": lambda d: b"",
    "comment": lambda d: d[:-2] + b"\x05\x00hello",
    "png": lambda d: b"\x89PNG\r\n\x1a\n" + d,
}
