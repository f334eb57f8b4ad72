"""Reader of a CSV table: ``file,label[,patient][,split][,mask][,age][,size_mm][,device]``."""

from __future__ import annotations

import csv
import difflib
import io
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.registry import did_you_mean
from bedside.core.types import Case, Split
from bedside.readers import MANIFEST_CSV
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
from bedside.runtime.preprocess import SUFFIXES

REQUIRED = ("file", "label")
OPTIONAL = ("patient", "split", "mask", "age", "size_mm", "device")
MASK_SEPARATOR = "|"

_Row = tuple[str, dict[str, str]]


def read(source: Path, class_names: Sequence[str] = (), *, frames: Frames = "middle") -> Listing:
    """List the images of a CSV file, or of a folder with a ``manifest.csv``.

    Paths are relative to the folder that the CSV lies in. Several masks of one image are
    joined by ``|``. A file may be DICOM that ``bedside import`` wrote, or one of its frames
    (``cine.dcm/frame-0012``); ``frames`` says which frames a bare name stands for.

    Raises:
        BadInput: a missing column, label or file, a file named twice, a path outside the
            folder, a split other than train, val and test, an age or size that is no number.
    """
    no_class_names(class_names, source)
    table = source / MANIFEST_CSV if source.is_dir() else source
    root = table.parent.resolve()
    rows, notes = read_table(table, REQUIRED, OPTIONAL)
    seen: dict[str, str] = {}
    cases: list[Case] = []
    dicom: list[tuple[int, str]] = []
    for where, row in rows:
        name = relative_name(row["file"], where)
        if name in seen:
            raise BadInput(f"{name!r} is listed twice (first at {seen[name]})", where=where,
                           remedy="Keep one line per image.")
        seen[name] = where.rpartition(": ")[2]
        path = file_inside(root, stored_file(root, name)[0], where)
        case = _case(root, name, row, where)
        if path.suffix.lower() not in SUFFIXES and is_dicom(path):
            dicom.append((len(cases), where))
        cases.append(case)
    if not cases:
        raise BadInput("no image is listed", where=table, remedy="Add one line per image.")
    if dicom:
        cases = _with_dicom(root, source, cases, dicom, frames)
    return Listing(root, tuple(cases), (), notes)


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


def _case(root: Path, name: str, row: dict[str, str], where: str) -> Case:
    label = row["label"]
    if not label:
        raise BadInput(f"{name!r} has no label", where=where,
                       remedy="Give its class or remove the line.")
    for column in ("label", "patient", "device"):
        check_text(row.get(column, ""), f"the {column}", where)
    masks = tuple(relative_name(m, where)
                  for m in row.get("mask", "").split(MASK_SEPARATOR) if m.strip())
    for mask in masks:
        file_inside(root, mask, where)
    return Case(
        "", name, label, patient=row.get("patient") or None,
        split=split_of(row.get("split", ""), where) or "set_aside", masks=masks,
        age=_number(row.get("age", ""), "age", where, 0.0, 150.0),
        size_mm=_number(row.get("size_mm", ""), "size_mm", where, 0.0, 1000.0),
        device=row.get("device") or None)


def split_of(text: str, where: str) -> Split | None:
    """Return the part that a cell names, None if empty. Raises BadInput for another word."""
    if not text:
        return None
    if text not in SPLITS:
        raise BadInput(f"unknown split {text!r}", where=where, remedy=did_you_mean(text, SPLITS))
    return text


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
    """Return the rows of a comma-separated table, cells stripped, blank lines skipped.

    Returns:
        ``(place, row)`` for each row, and notes on columns that are not used.

    Raises:
        BadInput: no header, a column missing, given twice or misspelt, a row that is too long
            or too short, or text that is no CSV.
    """
    reader = csv.reader(io.StringIO(codec.read_text(path).removeprefix("\ufeff")), strict=True)
    try:
        lines = [(reader.line_num, line) for line in reader if any(c.strip() for c in line)]
    except csv.Error as error:
        raise BadInput(f"not a comma-separated table ({error})",
                       where=f"{path}: line {reader.line_num}",
                       remedy="Save it as CSV, UTF-8, with commas.") from None
    if not lines:
        raise BadInput("the table is empty", where=path,
                       remedy=f"Begin with the line {','.join(required)}.")
    header = [c.strip() for c in lines[0][1]]
    notes = _check_header(path, header, required, optional)
    rows = []
    for number, line in lines[1:]:
        where = f"{path}: line {number}"
        if len(line) != len(header):
            raise BadInput(f"{len(line)} cells where the header has {len(header)}", where=where,
                           remedy="Put a text that holds a comma between double quotes.")
        rows.append((where, dict(zip(header, (c.strip() for c in line), strict=True))))
    return rows, notes


def _check_header(path: Path, header: list[str], required: Sequence[str],
                  optional: Sequence[str]) -> tuple[str, ...]:
    where = f"{path}: line 1"
    twice = sorted({c for c in header if header.count(c) > 1})
    if twice:
        raise BadInput(f"the column {twice[0]!r} is given twice", where=where,
                       remedy="Keep one of them.")
    known = [*required, *optional]
    missing = [c for c in required if c not in header]
    unknown = [c for c in header if c not in known]
    # A misspelt column must not be dropped in silence: `patiant` would let patients leak.
    for column in unknown:
        near = difflib.get_close_matches(column.lower(), [c for c in known if c not in header],
                                         n=1, cutoff=0.7)
        if near:
            raise BadInput(f"unknown column {column!r}", where=where,
                           remedy=f"Did you mean {near[0]!r}?")
    if missing:
        commas = any(s in header[0] for s in ";\t") and len(header) == 1
        raise BadInput(f"the column {missing[0]!r} is missing", where=where,
                       remedy="Separate the columns by commas." if commas else
                       f"The columns are {','.join(required)}"
                       + (f" and, if known, {', '.join(optional)}." if optional else "."))
    if not unknown:
        return ()
    return (f"Columns of {path.name} that are not used: {', '.join(unknown)}.",)
