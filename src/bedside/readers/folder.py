"""Reader of one folder per class, BUSI's layout included: ``X (1)_mask.png`` is a lesion mask."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from bedside.core.errors import BadInput
from bedside.core.types import Case, SetAside
from bedside.readers.base import Listing, check_text, file_inside, no_class_names
from bedside.runtime.preprocess import SUFFIXES

HIDDEN = "a hidden file or folder"
NOT_AN_IMAGE = "not a PNG, JPEG, BMP or TIFF file"
NO_CLASS = "not inside a class folder"
ORPHAN_MASK = "a lesion mask without its image"
LINKED_FOLDER = "a link to a folder"
EMPTY_FOLDER = "a folder without images"

_MASK = re.compile(r"^(?P<stem>.+)_mask(_\d+)?$")
_PARTS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})
_LAYOUT = "Put the images into one folder per class: DATASET/benign/1.png, DATASET/malignant/2.png."


def read(source: Path, class_names: Sequence[str] = ()) -> Listing:
    """List a class-per-folder data set; folders below a class folder belong to its class.

    Raises:
        BadInput: no image, folders named as parts of a split, an image that is a link out of
            the folder or no regular file, a name that a table cannot hold.
    """
    no_class_names(class_names, source)
    root = source.resolve()
    aside: list[SetAside] = []
    cases: list[Case] = []
    classes = []
    for name, entry in _entries(root, "", root):
        if not _real_folder(root, name, entry, aside):
            if entry.is_symlink() and entry.is_dir():
                continue
            reason = NO_CLASS if _suffix(name) in SUFFIXES else NOT_AN_IMAGE
            aside.append(SetAside(name, HIDDEN if entry.name.startswith(".") else reason))
            continue
        check_text(entry.name, "the class", str(source))
        found = _class_folder(root, name, aside)
        if found:
            classes.append(name)
        else:
            aside.append(SetAside(name, EMPTY_FOLDER))
        cases.extend(found)
    _check_layout(source, root, classes)
    return Listing(root, tuple(cases), tuple(aside))


def _check_layout(source: Path, root: Path, classes: list[str]) -> None:
    if not classes:
        raise BadInput("no image in a class folder", where=source, remedy=_LAYOUT)
    if {c.lower() for c in classes} <= _PARTS:
        raise BadInput(f"the folders {', '.join(classes)} are parts of a split, not classes",
                       where=source, remedy="Describe the images in a manifest.csv with the "
                       "columns file,label,split.")
    if len(classes) == 1:
        inner = [e.name for _, e in _entries(root / classes[0], classes[0], root) if e.is_dir()]
        if len(inner) > 1:
            raise BadInput(f"only one class folder, {classes[0]!r}", where=source,
                           remedy=f"If its folders are the classes, give {source / classes[0]}.")


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - ten times faster than Path


def _entries(folder: Path, prefix: str, root: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda e: e.name)
    except OSError as error:
        raise BadInput(f"the folder cannot be read ({error.strerror})", where=folder,
                       remedy="Check its permissions.") from None
    for entry in entries:
        yield (f"{prefix}/{entry.name}" if prefix else entry.name), entry


def _real_folder(root: Path, name: str, entry: os.DirEntry[str], aside: list[SetAside]) -> bool:
    """Return whether to walk into an entry; set a linked folder aside, refuse one outside."""
    if not entry.is_dir() or entry.name.startswith("."):
        return False
    if entry.is_symlink():
        if not Path(entry.path).resolve().is_relative_to(root):
            raise BadInput(f"{name!r} is a link that leads outside the data set", where=root,
                           remedy="Copy the folder into the data set.")
        aside.append(SetAside(name, LINKED_FOLDER))
        return False
    return True


def _class_folder(root: Path, label: str, aside: list[SetAside]) -> list[Case]:
    cases: list[Case] = []
    pending = [label]
    while pending:
        prefix = pending.pop()
        images: list[str] = []
        for name, entry in _entries(root / prefix, prefix, root):
            if _real_folder(root, name, entry, aside):
                pending.append(name)
            elif entry.name.startswith("."):
                aside.append(SetAside(name, HIDDEN))
            elif entry.is_symlink() and entry.is_dir():
                continue
            elif _suffix(name) not in SUFFIXES:
                aside.append(SetAside(name, NOT_AN_IMAGE))
            else:
                check_text(name, "the name", str(root))
                if entry.is_symlink() or not entry.is_file():
                    file_inside(root, name, str(root / name))
                images.append(name)
        cases.extend(_with_masks(images, label, aside))
    return sorted(cases, key=lambda c: c.file)


def _with_masks(names: list[str], label: str, aside: list[SetAside]) -> list[Case]:
    """Return the cases of one folder, each with the masks that are named after it."""
    masks: dict[str, list[str]] = {}
    images: list[str] = []
    for name in names:
        found = _MASK.match(name[:-len(_suffix(name))])
        if found:
            masks.setdefault(found["stem"], []).append(name)
        else:
            images.append(name)
    cases = []
    for name in images:
        # A mask goes to the first image of its stem where a.png and a.jpg both exist.
        own = masks.pop(name[:-len(_suffix(name))], [])
        for mask in own:
            if "|" in mask:
                raise BadInput(f"the name {mask!r} holds a |", where=mask, remedy="Rename it.")
        cases.append(Case("", name, label, masks=tuple(sorted(own, key=lambda m: (len(m), m)))))
    aside.extend(SetAside(m, ORPHAN_MASK) for left in masks.values() for m in left)
    return cases
