"""A look at a data set: what it is taken for, what is unclear, and the command that reads it.

Names, tables and the headers of a few images are read, so that the answer comes in a second or two
however large the data set is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from shlex import quote
from typing import Literal

from bedside import readers
from bedside.core import registry
from bedside.core.errors import BadInput
from bedside.core.types import Case
from bedside.readers import beside, layouts, masks, tables
from bedside.readers.base import Listing
from bedside.readers.files import Tree, walk
from bedside.readers.manifest import REQUIRED
from bedside.readers.propose import Proposal
from bedside.readers.range16 import used_range

Kind = Literal["folder", "table", "npz", "dicom"]

_HEADERS = 24
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class TableLook:
    """A table: how it is written, its size, the mapping proposed, and what its label may be."""

    file: str
    how: str
    rows: int
    columns: dict[str, str]
    labels: dict[str, int]
    multi_label: bool
    candidates: tuple[str, ...]
    unused: tuple[str, ...]
    matched: str


@dataclass(frozen=True, slots=True)
class DataLook:
    """What ``bedside inspect DATASET --json`` prints.

    ``classes`` and ``split`` count images by label and given part; ``sizes`` and ``pixels`` are of
    a sample of images. ``questions`` are what must be settled first, each with the flag;
    ``command`` is the command that reads the data set, empty where a question has no default.
    """

    path: str
    kind: Kind
    images: int
    masks: int = 0
    classes: dict[str, int] = field(default_factory=dict)
    split: dict[str, int] = field(default_factory=dict)
    patients: int = 0
    sizes: str = ""
    pixels: tuple[str, ...] = ()
    tables: tuple[TableLook, ...] = ()
    set_aside: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    command: str = ""
    schema: int = 1


def inspect_data(path: Path) -> DataLook:
    """Look at a folder, a table or a MedMNIST ``.npz``; nothing is written.

    Raises:
        BadInput: nothing is there, or no data set.
    """
    kind = readers.detect(path)
    run = f"bedside run {quote(str(path))}"
    if kind == "npz":
        listing: Listing = registry.lookup(readers.READERS, kind, "reader")(path)
        found = _listed(path, "npz", listing)
        return replace(found, command=run, notes=(*found.notes, *_numbered(found.classes)))
    if kind == "dicom":
        return DataLook(str(path), "dicom", 0, notes=("A folder of DICOM.",),
                        command=f"bedside import {quote(str(path))} --out DIR")
    root = (path if path.is_dir() else path.parent).resolve()
    tree = walk(root, tolerant=True)
    if kind == "manifest":
        table = path / readers.MANIFEST_CSV if path.is_dir() else path
        header = tables.read(table, REQUIRED, most_rows=1).header
        if set(REQUIRED) <= set(header):
            return _sampled(tree.root, tree.images, _manifest(path, run))
        tree = replace(tree, tables=(table.name,))
        return _tables(path, tree, run, table_only=True)
    return _tables(path, tree, run, table_only=False)


def _manifest(path: Path, run: str) -> DataLook:
    try:
        listing: Listing = registry.lookup(readers.READERS, "manifest", "reader")(path)
    except BadInput as error:
        return DataLook(str(path), "table", 0, questions=(error.message,))
    return replace(_listed(path, "table", listing), command=run)


def _listed(path: Path, kind: Kind, listing: Listing) -> DataLook:
    return _counted(DataLook(str(path), kind, len(listing.cases), notes=listing.notes,
                             set_aside=dict(Counter(s.reason for s in listing.set_aside))),
                    listing.cases)


def _counted(look: DataLook, cases: Sequence[Case]) -> DataLook:
    return replace(
        look, masks=sum(len(c.masks) for c in cases),
        classes=dict(sorted(Counter(c.label for c in cases).items())),
        split=dict(Counter(c.split for c in cases if c.split != "set_aside")),
        patients=len({c.patient for c in cases if c.patient}))


def _tables(path: Path, tree: Tree, run: str, table_only: bool) -> DataLook:
    """Look at a folder by its names, and at the tables in it."""
    questions: list[str] = []
    notes: list[str] = []
    try:
        pairing = masks.pair(tree.root, tree.images)
    except BadInput as error:
        questions.append(error.message)
        pairing = masks.pair(tree.root, tree.images, literal=True)
    proposals, unread = beside.proposals(tree, pairing)
    look = DataLook(
        str(path), "table" if table_only else "folder", len(pairing.images),
        len(pairing.every_mask), tables=tuple(_table_look(p) for p in proposals),
        set_aside=dict(Counter(s.reason for s in (*tree.aside, *pairing.orphans))))
    best = proposals[0] if proposals else None
    command = ""
    if not table_only:
        try:
            reading = layouts.understand(tree)
            compared = beside.compare(tree, reading.cases, pairing)
            notes += [*reading.notes, *(n for n in compared if n not in unread)]
            look = replace(_counted(look, reading.cases), images=len(reading.cases))
            command = run
        except BadInput as error:
            # The command below answers what has one answer.
            questions.append(error.message if best is None or "label" not in best.columns else
                             f"{error.fault}: the command below reads {best.table}; --layout "
                             "classes takes the folders as classes.")
    elif best is None:
        questions.append(f"{tree.tables[0]} names no image of {tree.root}: name its columns with "
                         "--columns file=COLUMN+.jpg,label=COLUMN.")
    if not command and best is not None:
        command = f"{run} {best.flag}" if best.flag.startswith("--") else (
            f"bedside run -c study.toml   # with {best.flag}")
        questions += _doubts(best)
        if "label" not in best.columns:
            command = command if best.multi_label else ""
        else:
            look = replace(look, classes=best.labels)
            if "patient" not in best.columns:
                notes.append("No column names the patient: images of one patient may be separated "
                             "by a split, unless they look alike.")
    look = replace(look, notes=(*unread, *notes), questions=tuple(dict.fromkeys(questions)),
                   command=command)
    return _sampled(tree.root, pairing.images, look)


def _doubts(p: Proposal) -> list[str]:
    """Return what a person must decide about a table."""
    said = []
    if p.matched < p.looked_at:
        said.append(f"{p.table}: of {p.looked_at} rows looked at {p.looked_at - p.matched} name no "
                    "image of the folder; --skip-bad sets such rows aside.")
    if p.multi_label:
        said.append(f"{p.table} is multi-label: {len(p.flags)} columns of 0, 1 and −1 "
                    f"({', '.join(p.flags[:6])}{', …' if len(p.flags) > 6 else ''}). A study tells "
                    "the classes of one column apart: pick one.")
    elif "label" not in p.columns:
        said.append(f"Which column of {p.table} is the label? " + (
            f"Perhaps {', '.join(p.others[:4])}: {p.flag_with(p.others[0])}" if p.others else
            f"None has 2 to 40 values: {p.flag_with('COLUMN')}"))
    elif p.others:
        said.append(f"The label is taken from {p.columns['label']!r}; {', '.join(p.others[:4])} "
                    "could be it, too.")
    return said


def _table_look(p: Proposal) -> TableLook:
    how = p.how or ("an Excel workbook" if p.table.lower().endswith(".xlsx") else "comma-separated")
    return TableLook(p.table, how, p.rows, p.columns,
                     dict(list(p.labels.items())[:40]), p.multi_label,
                     p.flags if p.multi_label else p.others, p.unused,
                     f"{p.matched} of {p.looked_at} rows looked at name an image")


def _numbered(classes: dict[str, int]) -> tuple[str, ...]:
    return (f"Labels are numbers: name them with --class-names, {len(classes)} names in order.",)


# ------------------------------------------------------------------ a few images


def _sampled(root: Path, images: Sequence[str], look: DataLook) -> DataLook:
    """Add sizes and pixel formats of a sample of images, from their headers."""
    from PIL import Image

    files = images[::max(1, len(images) // _HEADERS)][:_HEADERS]
    sizes, modes, wide = [], Counter[str](), []
    for file in files:
        try:
            with Image.open(root / file) as image:
                sizes.append(image.size)
                modes[_MODES.get(image.mode, image.mode)] += 1
                if image.mode.startswith("I"):
                    wide.append(root / file)
        except (OSError, ValueError, Image.DecompressionBombError):
            modes["unreadable"] += 1
    if not sizes:
        return look
    widths, heights = [w for w, _ in sizes], [h for _, h in sizes]
    said = (f"{min(widths)} to {max(widths)} pixels wide, {min(heights)} to {max(heights)} high")
    ranges = used_range(wide[:4])
    return replace(look, sizes=said, pixels=tuple(f"{name}: {n} of {len(files)}"
                                                  for name, n in modes.most_common()),
                   notes=(*look.notes, *((ranges,) if ranges else ())))


_MODES = {"L": "8-bit grey", "1": "black and white", "P": "palette", "RGB": "colour",
          "RGBA": "colour with transparency", "LA": "grey with transparency", "I": "16-bit grey",
          "I;16": "16-bit grey", "I;16B": "16-bit grey", "CMYK": "CMYK", "F": "floating point"}


# ------------------------------------------------------------------ text


def lines(look: DataLook) -> list[str]:
    """Return what ``bedside inspect`` prints, one sentence or list a line."""
    what = {"folder": "a folder of images", "table": "a table of images", "npz": "a MedMNIST file",
            "dicom": "a folder of DICOM"}[look.kind]
    text = [f"{look.path}: {what}"]
    if look.images:
        text.append(f"{look.images} images" + (f", {look.masks} masks" if look.masks else "")
                    + (f", {look.patients} patients" if look.patients else ""))
    if look.classes:
        text.append(f"classes: {_counts(look.classes)}")
    if look.split:
        text.append(f"given split: {_counts(look.split)}")
    if look.sizes:
        text.append(f"sample: {look.sizes}; {', '.join(look.pixels)}")
    for table in look.tables:
        text.append(f"table {table.file} ({table.how}): {table.rows} rows, {table.matched}")
        text.append("  " + ", ".join(f"{role} from {c}" for role, c in table.columns.items()))
        if table.unused:
            text.append(f"  not used: {', '.join(table.unused[:_SHOWN])}"
                        + (", …" if len(table.unused) > _SHOWN else ""))
    text.extend(f"set aside: {n} × {reason}" for reason, n in look.set_aside.items())
    text.extend(look.notes)
    text.extend(f"question: {q}" for q in look.questions)
    if look.command:
        text.append(f"to run: {look.command}")
    return text


def _counts(counts: dict[str, int]) -> str:
    shown = [f"{name} {n}" for name, n in list(counts.items())[:_SHOWN]]
    return ", ".join(shown) + (f", … ({len(counts)} in all)" if len(counts) > _SHOWN else "")
