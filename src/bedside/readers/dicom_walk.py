"""Find the DICOM files of a PACS export by content, and compare them with its DICOMDIR."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bedside.core.errors import BadInput
from bedside.core.types import SetAside
from bedside.readers.base import check_text
from bedside.readers.dicom_header import looks_like_dicom, opened, read_header
from bedside.runtime.preprocess import SUFFIXES

INDEX = "DICOMDIR"
HIDDEN = "a hidden file or folder"
LINKED_FOLDER = "a link to a folder"
OUTSIDE = "a link that leads outside the data set"
NOT_REGULAR = "not a regular file"
NOT_DICOM = "not a DICOM file"
THE_INDEX = "the index of the export"
TRAVERSAL = "an entry of the DICOMDIR that leads outside the data set"
MISSING = "listed in the DICOMDIR but not there"

_HEAD_BYTES = 256


@dataclass(frozen=True, slots=True)
class Walk:
    """Names relative to the root, in order; ``faulty`` are unreadable."""

    files: tuple[str, ...]
    aside: tuple[SetAside, ...]
    faulty: tuple[SetAside, ...]
    indexes: tuple[str, ...]


def is_dicom(path: Path) -> bool:
    """Return whether a file begins like DICOM; False where it cannot be read."""
    try:
        with path.open("rb") as handle:
            return looks_like_dicom(handle.read(_HEAD_BYTES))
    except OSError:
        return False


def holds_dicom(root: Path) -> bool:
    """Return whether the first image file below a folder is DICOM."""
    for folder, folders, names in os.walk(root):
        folders.sort()
        folders[:] = [f for f in folders if not f.startswith(".")]
        for name in sorted(names):
            path = Path(folder) / name
            if path.suffix.lower() in SUFFIXES:
                return False
            if name.upper() == INDEX or (path.is_file() and is_dicom(path)):
                return True
    return False


def walk(root: Path) -> Walk:
    """List the DICOM files below a folder by content, not by name.

    Args:
        root: resolved.
    """
    files: list[str] = []
    aside: list[SetAside] = []
    faulty: list[SetAside] = []
    indexes: list[str] = []
    pending = [""]
    while pending:
        prefix = pending.pop()
        try:
            with os.scandir(root / prefix) as found:
                entries = sorted(found, key=lambda e: e.name)
        except OSError as error:
            faulty.append(SetAside(prefix or ".", f"cannot be read ({error.strerror})"))
            continue
        for entry in entries:
            name = f"{prefix}/{entry.name}" if prefix else entry.name
            reason, bad = _reason(root, entry)
            if reason is not None:
                (faulty if bad else aside).append(SetAside(ascii(name)[1:-1] if not
                                                           name.isprintable() else name, reason))
            elif entry.is_dir(follow_symlinks=False):
                pending.append(name)
            elif entry.name.upper() == INDEX:
                indexes.append(name)
                aside.append(SetAside(name, THE_INDEX))
            else:
                files.append(name)
    return Walk(tuple(sorted(files)), tuple(aside), tuple(faulty), tuple(sorted(indexes)))


def _reason(root: Path, entry: os.DirEntry[str]) -> tuple[str | None, bool]:
    """Return why an entry is not read, and whether that is a fault; None where it is read."""
    try:
        check_text(entry.name, "the name", "")
    except BadInput:
        return "a name that a table cannot hold", True
    if entry.name.startswith("."):
        return HIDDEN, False
    if entry.is_symlink():
        try:
            inside = Path(entry.path).resolve(strict=True).is_relative_to(root)
        except (OSError, RuntimeError):
            return "a link that leads nowhere", True
        if not inside:
            return OUTSIDE, True
        if entry.is_dir():
            return LINKED_FOLDER, False
    if entry.is_dir():
        return None, False
    if not entry.is_file():
        return NOT_REGULAR, False
    try:
        with Path(entry.path).open("rb") as handle:
            dicom = looks_like_dicom(handle.read(_HEAD_BYTES))
    except OSError as error:
        return f"cannot be read ({error.strerror})", True
    # A file that calls itself DICOM and is not (truncated, overwritten) is a fault.
    return (None, False) if dicom else (NOT_DICOM, entry.name.lower().endswith((".dcm", ".dicom")))


def check_index(index: str, entries: Iterable[Sequence[str]], files: Sequence[str]
                ) -> list[SetAside]:
    """Compare what a DICOMDIR refers to with the files that are there. Nothing is opened.

    Args:
        index: its name relative to the root.
        entries: file ids, lists of name components.
        files: names of :func:`walk`.
    """
    folder = index.rpartition("/")[0]
    known = {f.upper() for f in files}
    faults = []
    for parts in entries:
        shown = ascii("/".join(parts))[1:-1][:200]
        if not parts or any(p in ("", ".", "..") or set(p) & set("/\\\0:") for p in parts):
            faults.append(SetAside(f"{index}: {shown}", TRAVERSAL))
            continue
        name = "/".join([folder, *parts] if folder else parts).upper()
        if name not in known and f"{name};1" not in known:
            faults.append(SetAside(f"{index}: {shown}", MISSING))
    return faults


def referenced(blob: bytes, path: str) -> tuple[list[list[str]], list[Any]]:
    """Return, in a worker, the file ids (lists of name components) that a DICOMDIR refers to."""
    with opened(blob, path) as stream:
        ds = read_header(stream, ("DirectoryRecordSequence",))
        found = []
        for record in ds.get("DirectoryRecordSequence") or ():
            names = record.get("ReferencedFileID")
            if names:
                found.append([str(n) for n in ([names] if isinstance(names, str) else names)])
    return found, []
