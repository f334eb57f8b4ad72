"""Reader of a table whose columns a mapping names, beside the images that it describes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bedside.core.errors import BadInput
from bedside.core.types import Case, SetAside, Split
from bedside.readers import beside, names, tables
from bedside.readers.base import MASK_SPLIT, Listing, check_text, missing
from bedside.readers.columns import (
    REQUIRED,
    TABLE,
    Expression,
    expressions,
    named_columns,
    plain_names,
)
from bedside.readers.dicom_walk import holds_dicom
from bedside.readers.files import NOT_AN_IMAGE, FileIndex, Tree, stem, walk
from bedside.readers.masks import Pairing, pair
from bedside.readers.tables import Table

NO_LABEL = "no label in the table"
NO_ROW = "not named by the table"
NO_FILE = "named by the table and not there"
_LIST = re.compile(r"[|;]")


def read(source: Path, columns: Mapping[str, str], literal: bool = False, skip_bad: bool = False
         ) -> Listing:
    """List the images that a table names.

    Args:
        source: the table, or the folder that holds it and the images.
        columns: role to column, see :mod:`bedside.readers.columns`.
        literal: whether folders named as masks are images.
        skip_bad: whether rows whose file is not there are set aside.

    Raises:
        BadInput: no such table or column, no file that a row names, two files that it may mean,
            one image under two labels, a formula, a multi-label table without a chosen label.
    """
    root = (source if source.is_dir() else source.parent).resolve()
    tree = walk(root, tolerant=True)
    if source.is_file() and TABLE in columns:
        raise BadInput(f"two tables: {source.name} and {columns[TABLE]}", where="--columns",
                       remedy="Give the folder as the data set, or leave table out.")
    paths = [source] if source.is_file() else _tables(tree, columns, source)
    pairing = pair(root, tree.images, literal)
    if not tree.images and holds_dicom(root):
        raise BadInput("a mapping of columns does not read DICOM", where=source,
                       remedy="Write a manifest.csv with the columns file,label,patient beside "
                       "the files that bedside import wrote.")
    indexes = FileIndex(pairing.images), FileIndex(pairing.every_mask)
    found: dict[str, tuple[Case, str]] = {}
    aside: list[SetAside] = []
    notes: list[str] = []
    masks = {m for own in pairing.masks.values() for m in own}
    for path in paths:
        table = tables.read(path, plain_names(columns))
        where = f"{path}: line 1" if not tables.is_workbook(path) else str(path)
        roles = expressions(columns, table.header, where)
        _need_roles(roles, tree, path, pairing)
        _refuse_formulas(table, roles)
        part = names.part_of(stem(path.name), loose=True) if len(paths) > 1 else None
        rows = _Rows(table, roles, *indexes, pairing, part if "split" not in roles else None)
        aside.extend(rows.read_into(found, skip_bad))
        masks |= rows.masks_used
        notes.extend(rows.notes(path, columns))
    cases = [c for c, _ in found.values() if not missing(c.label)]
    if not cases:
        raise BadInput("no row has a label", where=paths[0],
                       remedy="Name another column for the label.")
    _refuse_several(cases, paths[0])
    aside.extend(SetAside(c.file, NO_LABEL) for c, _ in found.values() if missing(c.label))
    files = [s for s in tree.aside if s.file not in tree.tables or s.reason != NOT_AN_IMAGE]
    left = [SetAside(f, NO_ROW) for f in pairing.images if f not in found and f not in masks]
    orphans = [s for s in pairing.orphans if s.file not in masks]
    if left:
        notes.append(f"{len(left)} images are not named by the table.")
    return Listing(root, tuple(cases), (*files, *aside, *left, *orphans),
                   (*notes, *pairing.notes))


def _need_roles(roles: Mapping[str, Expression], tree: Tree, path: Path, pairing: Pairing) -> None:
    for role in REQUIRED:
        if role not in roles:
            inside = path.resolve().is_relative_to(tree.root)
            only = replace(tree, tables=(path.resolve().relative_to(tree.root).as_posix(),)
                           ) if inside else replace(tree, tables=())
            raise BadInput(f"no column is named for {role}", where="--columns",
                           remedy=beside.suggestion(only, pairing).strip()
                           or "Write --columns label=dx,file=image_id+.jpg.")


def _refuse_several(cases: Sequence[Case], where: Path) -> None:
    """Refuse labels that are lists of findings: ``Effusion|Edema`` beside ``Edema``."""
    known = {c.label for c in cases}
    for case in cases:
        findings = [f.strip() for f in _LIST.split(case.label)]
        if len(findings) > 1 and any(f in known for f in findings):
            raise BadInput(f"multi-label: {case.file!r} has several findings, {case.label!r}",
                           where=where, remedy="A study tells the classes of one column apart: "
                           "add a column that holds one class an image, and name it as label.")


def _tables(tree: Tree, columns: Mapping[str, str], source: Path) -> list[Path]:
    """Return the table of a folder that has the columns of a mapping, or those that it names."""
    if TABLE in columns:
        named = [columns[TABLE]] if (tree.root / columns[TABLE]).is_file() else [
            t.strip() for t in columns[TABLE].split("+")]
        for name in named:
            if not (tree.root / name).is_file():
                raise BadInput(f"no such table: {name!r}", where="--columns",
                               remedy=f"Give its path, or one relative to {source}.")
        return [tree.root / name for name in named]
    if not tree.tables:
        raise BadInput("no table in the folder", where=source,
                       remedy="Name it: --columns table=PATH,file=…,label=….")
    fits = [t for t in tree.tables if len(tree.tables) == 1 or _has(tree.root / t, columns)]
    if len(fits) != 1:
        shown = ", ".join((fits or list(tree.tables))[:5])
        parts = len(fits) > 1 and all(names.part_of(stem(f), loose=True) for f in fits)
        raise BadInput("several tables have these columns" if fits else
                       "no table has these columns", where=source,
                       remedy=f"Name one of {shown}: --columns table=…." + (
                           f" To read all, each as its part: table={'+'.join(fits)}."
                           if parts else ""))
    return [tree.root / fits[0]]


def _has(path: Path, columns: Mapping[str, str]) -> bool:
    try:
        header = tables.read(path, plain_names(columns), most_rows=1).header
    except BadInput:
        return False
    return named_columns(columns, header)


def _refuse_formulas(table: Table, roles: Mapping[str, Expression]) -> None:
    used = {i: role for role, e in roles.items() for i in e.columns}
    for row, column in sorted(table.formulas):
        if column in used:
            raise BadInput(f"the column {table.header[column]!r} holds a formula",
                           where=table.where(row),
                           remedy="Its stored result may be out of date: paste the values, or "
                           "save the sheet as CSV.")


class _Rows:
    """The rows of one table, matched to files."""

    def __init__(self, table: Table, roles: Mapping[str, Expression], images: FileIndex,
                 masks: FileIndex, pairing: Pairing, part: Split | None) -> None:
        self._table, self._roles, self._part = table, roles, part
        self._images, self._masks, self._pairing = images, masks, pairing
        self._labels = self._read_labels()
        self.repeated = self.respelt = self.lost = self.unlabelled = 0
        self.masks_used: set[str] = set()

    def _read_labels(self) -> list[str]:
        """Return the label of every row; whole numbers without the ``.0`` of a spreadsheet."""
        labels = [names.nfc(self._roles["label"].value(cells, self._table.where(n)))
                  for n, cells in self._table.rows]
        try:
            numbers = [None if missing(v) else float(v) for v in labels]
        except ValueError:
            return labels
        if not all(n is None or (math.isfinite(n) and n.is_integer()) for n in numbers):
            return labels
        return ["" if n is None else str(int(n)) for n in numbers]

    def read_into(self, found: dict[str, tuple[Case, str]], skip_bad: bool) -> list[SetAside]:
        """Add a case, and its place in the table, for every row; return the rows without a file."""
        lost: list[tuple[int, str]] = []
        before = len(found)
        for (number, cells), label in zip(self._table.rows, self._labels, strict=True):
            where = self._table.where(number)
            name = self._roles["file"].value(cells, where)
            file = self._file(name, where) if not missing(name) else None
            if file is None:
                lost.append((number, name))
                continue
            case = self._case(file, label, cells, where)
            if file in found:
                self.repeated += 1
                if found[file][0] != case:
                    _conflict(found[file][0], case, where, found[file][1])
                continue
            found[file] = case, where
            self.unlabelled += missing(label)
        if len(found) + self.repeated == before or (lost and not skip_bad):
            raise self._nothing(lost, len(found) > before)
        self.lost = len(lost)
        return [SetAside(names.nfc(n)[:200] or f"row {i}", NO_FILE) for i, n in lost]

    def _file(self, name: str, where: str) -> str | None:
        check_text(name, "the path", where)
        fits = self._images.find(name) or self._masks.find(name)
        if len(fits) > 1:
            raise BadInput(f"{name!r} may be {fits[0]!r} or {fits[1]!r}", where=where,
                           remedy="Name the folder too, as --columns file=images/+image_id+.jpg.")
        if not fits:
            return None
        self.respelt += fits[0] != name
        return fits[0]

    def _nothing(self, lost: list[tuple[int, str]], some: bool) -> BadInput:
        number, name = lost[0] if lost else (1, "")
        there = self._images.files[0] if self._images.files else "no image"
        rows = len(self._table.rows)
        if not rows:
            return BadInput("no image is listed", where=self._table.path,
                            remedy="Add one line per image.")
        if some:
            return BadInput(f"{len(lost)} of {rows} rows name no image of the folder; first "
                            f"{name!r}", where=self._table.where(number),
                            remedy="Add the files, or set these rows aside with --skip-bad.")
        return BadInput(f"no row names an image of the folder: {name!r} in the table, {there!r} "
                        "on the disk", where=self._table.where(number),
                        remedy="Name the column and what is missing, as --columns "
                        "file=image_id+.jpg.")

    def _case(self, file: str, label: str, cells: Sequence[str], where: str) -> Case:
        def cell(role: str) -> str | None:
            text = self._roles[role].value(cells, where) if role in self._roles else ""
            check_text(text, f"the {role}", where)
            return None if missing(text) else names.nfc(text)

        check_text(label, "the label", where)
        return Case("", file, label, patient=cell("patient"),
                    split=self._part or _part(cell("split"), where) or "set_aside",
                    masks=self._masks_of(file, cell("mask"), where),
                    age=_number(cell("age"), "age", where, 0.0, 150.0),
                    size_mm=_number(cell("size_mm"), "size_mm", where, 0.0, 1000.0),
                    device=cell("device"), sex=cell("sex"))

    def _masks_of(self, file: str, cell: str | None, where: str) -> tuple[str, ...]:
        if "mask" not in self._roles:
            return self._pairing.masks.get(file, ())
        own = []
        for name in MASK_SPLIT.split(cell or ""):
            if missing(name):
                continue
            fits = self._masks.find(name) or self._images.find(name)
            if len(fits) != 1:
                raise BadInput(f"the mask {name!r} is {'not there' if not fits else 'not unique'}",
                               where=where, remedy="Correct the table, or leave mask out.")
            own.append(fits[0])
        self.masks_used.update(own)
        return tuple(own)

    def notes(self, path: Path, columns: Mapping[str, str]) -> tuple[str, ...]:
        """Return what was taken for what."""
        taken = ", ".join(f"{role} from {column}" for role, column in columns.items()
                          if role != TABLE)
        how = f" ({self._table.how})" if self._table.how else ""
        used = {i for e in self._roles.values() for i in e.columns}
        unused = [h for i, h in enumerate(self._table.header) if i not in used]
        counted = ((self.respelt, "file names are written otherwise than on the disk and were "
                    "found (endings, folders, letter case, Unicode form, leading zeros)"),
                   (self.repeated, "rows repeat another and are the same"),
                   (self.lost, "rows name no image of the folder"),
                   (self.unlabelled, "rows have no label"))
        shown = ", ".join(unused[:8]) + (", …" if len(unused) > 8 else "")
        part = f", all {self._part}" if self._part else ""
        return (f"{path.name}{how}: {taken}; {len(self._table.rows)} rows{part}.",
                *(f"{path.name}: {n} {what}." for n, what in counted if n),
                *((f"Columns of {path.name} that are not used: {shown}.",) if unused else ()))


def _conflict(before: Case, now: Case, where: str, first: str) -> None:
    same = first.rpartition(": ")[0] == where.rpartition(": ")[0]
    line = first.rpartition(": ")[2] if same else first
    if before.label != now.label:
        raise BadInput(f"{now.file!r} is {now.label!r} here and {before.label!r} in {line}",
                       where=where, remedy="Keep one row per image, or choose a label column "
                       "that holds one class.")
    raise BadInput(f"{now.file!r} is listed twice and differently (first in {line})", where=where,
                   remedy="Keep one row per image.")


def _part(text: str | None, where: str) -> Split | None:
    if text is None:
        return None
    part = names.part_of(text)
    if part is None:
        raise BadInput(f"unknown split {text!r}", where=where,
                       remedy="Write train, val or test, or leave split out of the mapping.")
    return part


def _number(text: str | None, column: str, where: str, low: float, high: float) -> float | None:
    if text is None:
        return None
    try:
        # DICOM writes ages as 045Y; many countries a decimal comma.
        value = float(text.strip().removesuffix("Y").removesuffix("y").replace(",", "."))
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise BadInput(f"{column} {text!r} is not a number from {low:g} to {high:g}", where=where,
                       remedy=f"Correct it, or leave {column} out of the mapping.")
    return value
