"""Reader of a table ``file,label[,patient][,split][,mask][,age][,sex][,size_mm][,device]``.

A table with other columns is read by a mapping: :mod:`bedside.readers.mapped`.
"""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from bedside.core.errors import BadInput
from bedside.core.registry import did_you_mean
from bedside.core.types import Case, Split
from bedside.readers import MANIFEST_CSV, beside, mapped, tables
from bedside.readers.base import (
    SPLITS,
    Listing,
    check_text,
    file_inside,
    no_class_names,
    relative_name,
)
from bedside.readers.dicom import of_table
from bedside.readers.dicom_file import Frames, stored_file
from bedside.readers.dicom_walk import is_dicom
from bedside.readers.files import FileIndex, walk
from bedside.readers.masks import pair
from bedside.readers.names import nfc, part_of
from bedside.runtime.preprocess import SUFFIXES

REQUIRED = ("file", "label")
OPTIONAL = ("patient", "split", "mask", "age", "sex", "size_mm", "device")
MASK_SEPARATOR = "|"

_Row = tuple[str, dict[str, str]]


def read(source: Path, class_names: Sequence[str] = (), *, frames: Frames = "middle",
         columns: Mapping[str, str] | None = None, layout: str = "auto", skip_bad: bool = False
         ) -> Listing:
    """List the images of a table, or of a folder with a ``manifest.csv``.

    Paths are relative to the folder that the table lies in. Several masks of one image are
    joined by ``|``. A file may be DICOM that ``bedside import`` wrote, or one of its frames
    (``cine.dcm/frame-0012``); ``frames`` says which frames a bare name stands for. With
    ``columns`` the table may have any columns: :func:`bedside.readers.mapped.read`.

    Raises:
        BadInput: a missing column, label or file, a file named twice, a path outside the
            folder, a split other than train, val and test, an age or size that is no number.
    """
    no_class_names(class_names, source)
    if columns:
        return mapped.read(source, columns, layout == "classes", skip_bad)
    table = source / MANIFEST_CSV if source.is_dir() else source
    root = table.parent.resolve()
    rows, notes = _rows(table, root)
    seen: dict[str, str] = {}
    cases: list[Case] = []
    dicom: list[tuple[int, str]] = []
    files = _Files(root)
    for where, row in rows:
        name = files.name(row["file"], where)
        if name in seen:
            raise BadInput(f"{name!r} is listed twice (first at {seen[name]})", where=where,
                           remedy="Keep one line per image.")
        seen[name] = where.rpartition(": ")[2]
        path = file_inside(root, stored_file(root, name)[0], where)
        case = _case(files, name, row, where)
        if path.suffix.lower() not in SUFFIXES and is_dicom(path):
            dicom.append((len(cases), where))
        cases.append(case)
    if not cases:
        raise BadInput("no image is listed", where=table, remedy="Add one line per image.")
    if dicom:
        cases = _with_dicom(root, source, cases, dicom, frames)
    if files.respelt:
        notes = (*notes, f"{table.name}: {files.respelt} file names are written otherwise than on "
                 "the disk and were found (separators, letter case, Unicode form).")
    return Listing(root, tuple(cases), (), notes)


def _rows(table: Path, root: Path) -> tuple[list[_Row], tuple[str, ...]]:
    """Return the rows of a table; propose a mapping for one that has other columns."""
    try:
        return read_table(table, REQUIRED, OPTIONAL)
    except BadInput as error:
        if not error.fault.endswith("is missing"):
            raise
        tree = replace(walk(root, True), tables=(table.name,))
        proposed = beside.suggestion(tree, pair(root, tree.images, True), "").strip()
        raise BadInput(error.fault, where=error.where,
                       remedy=proposed or f"{error.remedy} Or name the columns it has: --columns "
                       "file=…,label=….") from None


class _Files:
    """The files of a table's folder, by names as the table spells them."""

    def __init__(self, root: Path) -> None:
        self.root, self.respelt = root, 0
        self._index: FileIndex | None = None

    def name(self, cell: str, where: str) -> str:
        """Return a cell's path as the disk spells it; as the table does where it is not there."""
        text = cell
        if "\\" in cell and not cell.startswith(("\\", "/")):
            text = cell.replace("\\", "/")
        name = relative_name(text, where)
        if not (self.root / name).exists():
            if self._index is None:
                self._index = FileIndex(walk(self.root, True).images)
            name = self._index.same(name) or name
        self.respelt += name != PurePosixPath(cell).as_posix()
        return name


def _with_dicom(root: Path, source: Path, cases: list[Case], dicom: list[tuple[int, str]],
                frames: Frames) -> list[Case]:
    found = of_table(root, source, [(where, cases[i]) for i, where in dicom], frames)
    by_row = dict(zip((i for i, _ in dicom), found, strict=True))
    every = [c for i, case in enumerate(cases) for c in by_row.get(i, [case])]
    for file, count in Counter(c.file for c in every).items():
        if count > 1:
            raise BadInput(f"{file!r} is listed twice, as a frame and as its file", where=source,
                           remedy="Keep one line per image.")
    return every


def _case(files: _Files, name: str, row: dict[str, str], where: str) -> Case:
    label = nfc(row["label"])
    if not label:
        raise BadInput(f"{name!r} has no label", where=where,
                       remedy="Give its class or remove the line.")
    for column in ("label", "patient", "device", "sex"):
        check_text(row.get(column, ""), f"the {column}", where)
    masks = tuple(files.name(m, where)
                  for m in row.get("mask", "").split(MASK_SEPARATOR) if m.strip())
    for mask in masks:
        file_inside(files.root, mask, where)
    return Case(
        "", name, label, patient=nfc(row.get("patient", "")) or None,
        split=split_of(row.get("split", ""), where) or "set_aside", masks=masks,
        age=_number(row.get("age", ""), "age", where, 0.0, 150.0),
        size_mm=_number(row.get("size_mm", ""), "size_mm", where, 0.0, 1000.0),
        device=row.get("device") or None, sex=row.get("sex") or None)


def split_of(text: str, where: str) -> Split | None:
    """Return the part that a cell names, None if empty. Raises BadInput for another word."""
    if not text:
        return None
    part = part_of(text)
    if part is None:
        raise BadInput(f"unknown split {text!r}", where=where, remedy=did_you_mean(text, SPLITS))
    return part


def _number(text: str, column: str, where: str, low: float, high: float) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise BadInput(f"{column} {text!r} is not a number from {low:g} to {high:g}", where=where,
                       remedy="Correct it, or leave the cell empty where it is unknown.")
    return value


def read_table(path: Path, required: Sequence[str], optional: Sequence[str]
               ) -> tuple[list[_Row], tuple[str, ...]]:
    """Return the rows of a table, cells stripped, blank lines skipped.

    Returns:
        ``(place, row)`` for each row, and notes on columns that are not used.

    Raises:
        BadInput: no header, a column missing, given twice or misspelt, a formula, a row that is
            too long or too short, or text that is no table.
    """
    table = tables.read(path, required)
    notes = _check_header(path, list(table.header), required, optional)
    known = {*required, *optional}
    for row, column in sorted(table.formulas):
        if table.header[column] in known:
            raise BadInput(f"the column {table.header[column]!r} holds a formula",
                           where=table.where(row), remedy="Paste the values, or save it as CSV.")
    said = (f"{path.name}: {table.how}.",) if table.how else ()
    return [(table.where(number), dict(zip(table.header, cells, strict=True)))
            for number, cells in table.rows], (*said, *notes)


def _check_header(path: Path, header: list[str], required: Sequence[str],
                  optional: Sequence[str]) -> tuple[str, ...]:
    where = f"{path}: line 1"
    known = [*required, *optional]
    missing = [c for c in required if c not in header]
    unknown = [c for c in header if c not in known]
    # A misspelt column must not be dropped in silence: `patiant` would let patients leak. A table
    # without the required ones is another program's, and its Age no misspelling.
    for column in unknown:
        near = difflib.get_close_matches(column.lower(), missing or [
            c for c in known if c not in header], n=1, cutoff=0.7)
        if near:
            raise BadInput(f"unknown column {column!r}", where=where,
                           remedy=f"Did you mean {near[0]!r}?")
    if missing:
        raise BadInput(f"the column {missing[0]!r} is missing", where=where,
                       remedy=f"The columns are {','.join(required)}"
                       + (f" and, if known, {', '.join(optional)}." if optional else "."))
    if not unknown:
        return ()
    return (f"Columns of {path.name} that are not used: {', '.join(unknown)}.",)
