"""What the folders of a data set mean: classes, parts of a split, images and masks.

Two readings are never decided in silence: what a folder is taken for is a note, and a folder that
may be two things is a question that ``--layout`` or ``--columns`` answers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bedside.core.errors import BadInput
from bedside.core.types import Case, SetAside, Split
from bedside.readers import beside, names
from bedside.readers.files import Tree
from bedside.readers.masks import Pairing, pair, sampled

Layout = Literal["auto", "classes", "parts"]

NO_CLASS = "not inside a class folder"
_LAYOUT = "Put the images into one folder per class: DATASET/benign/1.png, DATASET/malignant/2.png."
_CLASSES = "If every folder is a class, give --layout classes"
_A_TABLE = "Give the labels in a table: --columns table=labels.csv,file=…,label=…. "
_MOST_LOOKED_AT = 48


@dataclass(frozen=True, slots=True)
class Reading:
    """The cases of a folder, what is not used, and what was taken for what."""

    cases: tuple[Case, ...]
    aside: tuple[SetAside, ...]
    notes: tuple[str, ...]
    pairing: Pairing


@dataclass(frozen=True, slots=True)
class _Located:
    """Where an image lies: its class and part by folder; ``top`` is the first folder."""

    file: str
    top: str
    label: str | None
    part: Split | None


def understand(tree: Tree, layout: Layout = "auto") -> Reading:
    """Return what a folder without a table holds.

    Args:
        tree: from :func:`bedside.readers.files.walk`.
        layout: ``classes``: the first folder is the class, whatever its name; ``parts``: folders
            whose names speak of train, val or test are parts; ``auto``: recognised.

    Raises:
        BadInput: no image in a class folder, or names that allow two readings.
    """
    literal = layout == "classes"
    pairing = pair(tree.root, tree.images, literal)
    if literal:
        located = [_literal(f) for f in pairing.images]
    else:
        located = [_place(f, layout == "parts") for f in pairing.images]
        if layout == "auto":
            _ask_loose(tree, pairing, located)
        _ask_parts(tree.root, located)
        _ask_two_parts(tree.root, pairing.images)
    notes = list(pairing.notes)
    loose = [p for p in located if p.label is None]
    inside = [p for p in located if p.label is not None]
    if not literal:
        _ask_classless(tree, pairing, loose, inside)
    _check_layout(tree, inside, pairing)
    if not literal:
        _look(tree.root, inside)
    if any(p.part for p in inside):
        notes.append(_said_parts(inside))
    cases = tuple(sorted(
        (Case("", p.file, p.label or "", split=p.part or "set_aside",
              masks=pairing.masks.get(p.file, ())) for p in inside),
        key=lambda c: (c.label, c.file)))
    aside = (*tree.aside, *(SetAside(p.file, NO_CLASS) for p in loose), *pairing.orphans)
    return Reading(cases, aside, tuple(notes), pairing)


def _literal(file: str) -> _Located:
    top, inside, _ = file.partition("/")
    return _Located(file, top if inside else "", names.nfc(top) if inside else None, None)


def _place(file: str, loose: bool) -> _Located:
    folders = file.split("/")[:-1]
    # The part is one of the first two folders: train/benign or benign/train.
    parts = [names.part_of(f, loose) for f in folders[:3]]
    part = next((p for p in parts if p), None)
    rest = [f for f, p in zip(folders[:3], parts, strict=True) if p is None] + folders[3:]
    named = [f for f in rest if not names.is_image_folder(f)]
    label = names.nfc(named[0]) if named else None
    return _Located(file, folders[0] if folders else "", label, part)


# ------------------------------------------------------------------ questions


def _ask_loose(tree: Tree, pairing: Pairing, located: Sequence[_Located]) -> None:
    """Ask about folders whose names speak of parts among other words, of numbers or of patients."""
    tops = sorted({p.top for p in located if p.top})
    spoken = [t for t in tops if names.part_of(t) is None and names.part_of(t, loose=True)]
    if len(tops) > 1 and spoken and all(names.part_of(t, loose=True) for t in tops):
        raise BadInput(f"the folders {_shown(tops)} may be parts of a split or classes",
                       where=tree.root, remedy=f"For parts give --layout parts. {_CLASSES}.")
    bare = {re.sub(r"\d+", "", t) for t in tops}
    image_words = [w for t in tops for w in names.words(t) if names.is_image_folder(w)]
    if len(tops) > 1 == len(bare) and len(image_words) >= len(tops) and not all(
            map(names.is_image_folder, tops)):
        raise BadInput(f"the folders {_shown(tops)} differ in a number alone", where=tree.root,
                       remedy=f"{beside.suggestion(tree, pairing) or _A_TABLE}{_CLASSES}.")
    classes = sorted({p.label for p in located if p.label})
    if len(classes) > 1 and all(names.is_person(c) for c in classes):
        raise BadInput(f"the folders {_shown(classes)} are named as patients, not classes",
                       where=tree.root,
                       remedy=f"{beside.suggestion(tree, pairing) or _A_TABLE}{_CLASSES}.")


def _ask_parts(root: Path, located: Sequence[_Located]) -> None:
    """Ask where some folders are parts of a split and others beside them are not."""
    deep = [p for p in located if p.top]
    without = sorted({p.top for p in deep if p.part is None})
    parts = sorted({p.top for p in deep if p.part is not None})
    if parts and without:
        raise BadInput(f"{_shown(parts)} {'has' if len(parts) == 1 else 'have'} parts of a split, "
                       f"{_shown(without)} {'has' if len(without) == 1 else 'have'} none",
                       where=root, remedy=f"{_CLASSES}; else put every image into a part, or "
                       "move what is no image of the study out of the folder.")


def _ask_two_parts(root: Path, files: Sequence[str]) -> None:
    """Ask about an image below folders of two parts: ``train/benign/val/1.png``."""
    for file in files:
        parts = {p for f in file.split("/")[:-1] if (p := names.part_of(f))}
        if len(parts) > 1:
            raise BadInput(f"{file!r} lies below folders of two parts, "
                           f"{' and '.join(sorted(parts))}", where=root,
                           remedy=f"Move it into one. {_CLASSES}.")


def _ask_classless(tree: Tree, pairing: Pairing, loose: Sequence[_Located],
                   inside: Sequence[_Located]) -> None:
    deep = [p for p in loose if p.top]
    if inside and deep:
        tops = sorted({p.top for p in deep})
        raise BadInput(f"{len(deep)} images in {_shown(tops)} lie in no class folder, beside "
                       f"{_shown(sorted({p.label or '' for p in inside}))}", where=tree.root,
                       remedy=f"{_CLASSES}; else put them into one.")
    if not inside and deep:
        tops = sorted({p.top for p in deep})
        split = all(names.part_of(t) for t in tops)
        raise BadInput(
            f"{_folders(tops)} {'the parts of a split' if split else 'images'}, not "
            f"classes{', and no table is used' if tree.tables else ''}", where=tree.root,
            remedy=(beside.suggestion(tree, pairing) or
                    "Put a folder per class into each, or describe the images in a manifest.csv "
                    "with the columns file,label,split. ") + f"{_CLASSES}.")


def _check_layout(tree: Tree, inside: Sequence[_Located], pairing: Pairing) -> None:
    classes = sorted({p.label or "" for p in inside})
    if not classes:
        raise BadInput("no image in a class folder", where=tree.root,
                       remedy=(beside.suggestion(tree, pairing) if pairing.images else "")
                       + _LAYOUT)
    if len(classes) == 1:
        top = classes[0]
        inner = {f.split("/")[1] for f in pairing.images
                 if names.nfc(f).startswith(f"{top}/") and f.count("/") > 1}
        if len(inner) > 1:
            raise BadInput(f"only one class folder, {top!r}", where=tree.root,
                           remedy=f"If its folders are the classes, give {tree.root / top}.")


def _look(root: Path, inside: Sequence[_Located]) -> None:
    """Ask about a class whose images are all two-valued. Looks at a few of each class."""
    by_class: dict[str, list[str]] = {}
    for p in inside:
        by_class.setdefault(p.label or "", []).append(p.file)
    each = max(2, min(6, _MOST_LOOKED_AT // len(by_class)))
    for label, files in sorted(by_class.items())[:_MOST_LOOKED_AT]:
        if sampled(root, files, each) == "mask":
            raise BadInput(f"the images of {label!r} are two-valued, as masks are "
                           f"({files[0]!r})", where=root,
                           remedy=f"Move masks out, or name them after their image (X_mask.png). "
                           f"{_CLASSES}.")


def _said_parts(inside: Sequence[_Located]) -> str:
    counts = Counter((p.part, next(f for f in p.file.split("/") if names.part_of(f, loose=True)))
                     for p in inside)
    said = ", ".join(f"{folder} is {part} ({n})" for (part, folder), n in sorted(
        counts.items(), key=lambda item: ("train", "val", "test").index(item[0][0] or "train")))
    return f"Folders taken as the given split: {said}."


def _folders(tops: Sequence[str]) -> str:
    if len(tops) == 1:
        return f"the folder {tops[0]!r} holds"
    return f"the folders {_shown(tops)} hold"


def _shown(items: Sequence[str]) -> str:
    quoted = [repr(i) for i in items[:4]]
    more = f" and {len(items) - 4} more" if len(items) > 4 else ""
    return (", ".join(quoted) if more or len(quoted) < 2 else
            f"{', '.join(quoted[:-1])} and {quoted[-1]}") + more
