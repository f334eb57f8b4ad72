"""The files of a data set's folder: what is there, and which one a table's cell means."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bedside.core.errors import BadInput
from bedside.core.types import SetAside
from bedside.readers import names, tables
from bedside.readers.base import check_text, file_inside
from bedside.runtime.preprocess import SUFFIXES

HIDDEN = "a hidden file or folder"
JUNK = "written by an operating system, not an image of the data set"
NOT_AN_IMAGE = "not a PNG, JPEG, BMP or TIFF file"
LINKED_FOLDER = "a link to a folder"
EMPTY_FOLDER = "a folder without images"

_DRIVE = re.compile(r"^[A-Za-z]:")


@dataclass(frozen=True, slots=True)
class Tree:
    """A folder's images and tables, by names relative to it, sorted; and what is neither."""

    root: Path
    images: tuple[str, ...]
    tables: tuple[str, ...]
    aside: tuple[SetAside, ...]


def suffix(name: str) -> str:
    """Return a name's ending with its dot, in lower case."""
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - ten times faster than Path


def stem(name: str) -> str:
    """Return the last part of a path without its ending."""
    base = name.rpartition("/")[2]
    return base[:len(base) - len(suffix(base))]


def walk(root: Path, tolerant: bool = False) -> Tree:
    """List a folder and the folders below it; links to folders are not followed.

    Args:
        root: resolved.
        tolerant: set aside what is faulty: a table says which files matter.

    Raises:
        BadInput: a folder that cannot be read; unless ``tolerant`` an image that is a link out of
            ``root`` or no regular file, or a name that a table cannot hold.
    """
    images: list[str] = []
    found_tables: list[str] = []
    aside: list[SetAside] = []
    pending = [""]
    while pending:
        prefix = pending.pop()
        count = len(images), len(pending)
        for name, entry in _entries(root / prefix, prefix):
            if tolerant and (fault := _fault(root, name, entry)):
                aside.append(SetAside(ascii(name)[1:-1], fault))
            elif entry.name.startswith("."):
                aside.append(SetAside(name, HIDDEN))
            elif names.is_junk(entry.name):
                aside.append(SetAside(name, JUNK))
            elif entry.is_dir():
                if _followed(root, name, entry, aside):
                    check_text(entry.name, "the class" if not prefix else "the name", str(root))
                    pending.append(name)
            elif suffix(entry.name) not in SUFFIXES:
                aside.append(SetAside(name, NOT_AN_IMAGE))
                if tables.is_table(entry.name) and entry.is_file():
                    found_tables.append(name)
            else:
                check_text(name, "the name", str(root))
                if entry.is_symlink() or not entry.is_file():
                    file_inside(root, name, str(root / name))
                images.append(name)
        if prefix and "/" not in prefix and (len(images), len(pending)) == count:
            aside.append(SetAside(prefix, EMPTY_FOLDER))
    return Tree(root, tuple(sorted(images)), tuple(sorted(found_tables)), tuple(aside))


def _fault(root: Path, name: str, entry: os.DirEntry[str]) -> str | None:
    """Return what :func:`walk` would raise on an entry, None where it is in order."""
    try:
        check_text(name, "the name", "")
        if entry.is_symlink() or not (entry.is_dir() or entry.is_file()):
            if entry.is_dir():
                return None if Path(entry.path).resolve().is_relative_to(root) else (
                    "a link that leads outside the data set")
            file_inside(root, name, "")
    except BadInput as error:
        return error.fault
    return None


def _entries(folder: Path, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda e: e.name)
    except OSError as error:
        raise BadInput(f"the folder cannot be read ({error.strerror})", where=folder,
                       remedy="Check its permissions.") from None
    for entry in entries:
        yield (f"{prefix}/{entry.name}" if prefix else entry.name), entry


def _followed(root: Path, name: str, entry: os.DirEntry[str], aside: list[SetAside]) -> bool:
    """Return whether to walk into a folder; set a linked one aside, refuse one outside."""
    if entry.is_symlink():
        if not Path(entry.path).resolve().is_relative_to(root):
            raise BadInput(f"{name!r} is a link that leads outside the data set", where=root,
                           remedy="Copy the folder into the data set.")
        aside.append(SetAside(name, LINKED_FOLDER))
        return False
    return True


# ------------------------------------------------------------------ what a cell means


def cleaned(cell: str) -> str:
    """Return a table's path with ``/`` between folders, without drive, ``./`` or leading ``/``."""
    path = _DRIVE.sub("", names.nfc(cell.strip()).replace("\\", "/"))
    return "/".join(p for p in path.split("/") if p not in ("", "."))


class FileIndex:
    """Finds the file that a table names, however the name was written.

    Args:
        files: relative names as they lie on the disk.
    """

    def __init__(self, files: Iterable[str]) -> None:
        self.files = tuple(files)
        self._exact = {f: f for f in self.files}
        self._base: dict[str, list[str]] = {}
        self._stem: dict[str, list[str]] = {}
        self._number: dict[str, list[str]] = {}
        for file in self.files:
            base = names.folded(file.rpartition("/")[2])
            self._base.setdefault(base, []).append(file)
            bare = base[:len(base) - len(suffix(base))]
            self._stem.setdefault(bare, []).append(file)
            if bare.isdecimal() and bare.isascii():
                self._number.setdefault(bare.lstrip("0"), []).append(file)

    def same(self, name: str) -> str | None:
        """Return the file of this very path but for letter case and Unicode form."""
        want = names.folded(name)
        fits = [f for f in self._base.get(want.rpartition("/")[2], ()) if names.folded(f) == want]
        return fits[0] if len(fits) == 1 else None

    def find(self, cell: str) -> tuple[str, ...]:
        """Return the files that a cell may mean: one, none, or several equally well.

        Compared without letter case and Unicode form. The cell may lack leading folders of the
        file (``ISIC_1.jpg`` for ``part_1/ISIC_1.jpg``), or have more of them
        (``CheXpert-v1.0/train/1.jpg`` for ``train/1.jpg``), or lack the ending, or the leading
        zeros that a spreadsheet takes from a number; never the other folders between.
        """
        if cell in self._exact:
            return (cell,)
        name = names.folded(cleaned(cell))
        if not name or ".." in name.split("/"):
            return ()
        base = name.rpartition("/")[2]
        whole = self._base.get(base)
        if whole is None and base[:len(base) - len(suffix(base))].isdecimal():
            fits = self._numbered(name)
        elif whole is None:
            whole = self._stem.get(base, []) if suffix(base) not in SUFFIXES else []
            fits = [f for f in whole if _tails(name, names.folded(f)[:-len(suffix(f))])]
        else:
            fits = [f for f in whole if _tails(name, names.folded(f))]
        if len(fits) > 1:
            # The very path goes before a longer one that ends alike.
            same = [f for f in fits if names.folded(f) in (name, name + suffix(f))]
            exact = [f for f in same if names.nfc(f) == cleaned(cell)]
            fits = exact or same or fits
        return tuple(fits)


    def _numbered(self, name: str) -> list[str]:
        """Return the files of a name that is a number, with or without leading zeros."""
        folder, _, base = name.rpartition("/")
        ending = suffix(base)
        number = base[:len(base) - len(ending)].lstrip("0")
        return [f for f in self._number.get(number, ()) if ending in ("", suffix(f)) and (
            not folder or _tails(folder, names.folded(f).rpartition("/")[0]))]


def _tails(one: str, other: str) -> bool:
    """Return whether one path ends with the whole of the other."""
    return one == other or one.endswith(f"/{other}") or other.endswith(f"/{one}")
