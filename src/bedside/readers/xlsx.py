"""Reader of Excel workbooks (.xlsx): the text of every cell, nothing computed or followed.

A workbook is a zip of XML (ECMA-376, part 1, clause 18). What is read: shared strings, and the
cells of each visible sheet. A document type, which could hold entities that grow without bound or
name other files, is refused, as is more XML than :data:`MAX_XML_BYTES`. See
``docs/decisions/0022-tables.md``.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from bedside.core.errors import BadInput

MAX_XML_BYTES = 256 << 20
MAX_CELLS = 10_000_000

_OLE = bytes.fromhex("D0CF11E0A1B11AE1")
_CELL = re.compile(r"^([A-Z]{1,3})(\d{1,7})$")
_SAVE = "Save the sheet as CSV, or as .xlsx without a password."
_CHUNK = 1 << 16
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


@dataclass(slots=True)
class Sheet:
    """One sheet: rows by number from 1, each column number to text; cells that hold formulas."""

    name: str
    rows: dict[int, dict[int, str]] = field(default_factory=dict)
    formulas: set[tuple[int, int]] = field(default_factory=set)


def read_sheets(path: Path) -> list[Sheet]:
    """Return the visible sheets of a workbook that hold any cell, in order.

    Raises:
        BadInput: encrypted, damaged, too large, or no .xlsx.
    """
    try:
        with path.open("rb") as handle:
            start = handle.read(len(_OLE))
        if start == _OLE:
            raise BadInput("an encrypted workbook, or one of the old .xls format", where=path,
                           remedy=_SAVE)
        with zipfile.ZipFile(path) as archive:
            return _Book(archive, path).sheets()
    except OSError as error:
        raise BadInput(f"cannot be read ({error.strerror})", where=path,
                       remedy="Check the file and its permissions.") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, IndexError,
            NotImplementedError, RuntimeError, expat.ExpatError) as error:
        raise BadInput(f"a damaged workbook ({type(error).__name__})", where=path,
                       remedy="Open it in a spreadsheet program and save the sheet as CSV."
                       ) from None


def column_name(column: int) -> str:
    """Return the letters of a column counted from 1: 1 is A, 27 is AA."""
    name = ""
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(65 + rest) + name
    return name


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number


class _Book:
    def __init__(self, archive: zipfile.ZipFile, path: Path) -> None:
        self._zip, self._path, self._read, self._cells = archive, path, 0, 0
        self._strings: list[str] = []

    def sheets(self) -> list[Sheet]:
        found, targets = self._workbook()
        if "xl/sharedStrings.xml" in self._zip.namelist():
            self._shared()
        sheets = [self._sheet(name, targets[key]) for name, key in found if key in targets]
        return [s for s in sheets if s.rows]

    def _parse(self, member: str, start: Callable[[str, dict[str, str]], None],
               end: Callable[[str], None] | None = None,
               text: Callable[[str], None] | None = None) -> None:
        if self._zip.getinfo(member).flag_bits & 1:
            raise BadInput("an encrypted workbook", where=self._path, remedy=_SAVE)
        # Names of elements may carry a prefix (x:row); prefixes are free, local names are not.
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = lambda name, given: start(
            name.rpartition(" ")[2], {k.rpartition(" ")[2]: v for k, v in given.items()})
        if end is not None:
            parser.EndElementHandler = lambda name: end(name.rpartition(" ")[2])
        parser.CharacterDataHandler = text
        parser.StartDoctypeDeclHandler = self._doctype
        with self._zip.open(member) as stream:
            while chunk := stream.read(_CHUNK):
                self._read += len(chunk)
                if self._read > MAX_XML_BYTES:
                    raise BadInput(f"a workbook of more than {MAX_XML_BYTES >> 20} MB",
                                   where=self._path, remedy="Save the sheet as CSV, with the "
                                   "columns that are needed.")
                parser.Parse(chunk, False)
            parser.Parse(b"", True)

    def _doctype(self, *_: object) -> None:
        raise BadInput("a workbook with a document type, which no spreadsheet program writes",
                       where=self._path, remedy="Save the sheet as CSV.")

    def _workbook(self) -> tuple[list[tuple[str, str]], dict[str, str]]:
        """Return (name, relation) of the visible sheets, and the file of each relation."""
        sheets: list[tuple[str, str]] = []
        targets: dict[str, str] = {}

        def sheet(name: str, given: dict[str, str]) -> None:
            if name == "sheet" and given.get("state", "visible") == "visible":
                sheets.append((given["name"], given["id"]))

        def relation(name: str, given: dict[str, str]) -> None:
            if name == "Relationship" and given.get("TargetMode") != "External":
                target = given["Target"]
                targets[given["Id"]] = (target.lstrip("/") if target.startswith("/") else
                                        posixpath.normpath(f"xl/{target}"))

        self._parse("xl/workbook.xml", sheet)
        self._parse("xl/_rels/workbook.xml.rels", relation)
        return sheets, targets

    def _shared(self) -> None:
        texts: list[str] = []
        inside = {"t": False, "rPh": False}

        def start(name: str, _: dict[str, str]) -> None:
            if name in inside:
                inside[name] = True
            elif name == "si":
                texts.clear()

        def end(name: str) -> None:
            if name in inside:
                inside[name] = False
            elif name == "si":
                self._strings.append(_unescaped("".join(texts)))

        def text(piece: str) -> None:
            # Readings of Japanese words stand beside them, in rPh.
            if inside["t"] and not inside["rPh"]:
                texts.append(piece)

        self._parse("xl/sharedStrings.xml", start, end, text)

    def _sheet(self, title: str, member: str) -> Sheet:
        sheet = Sheet(title)
        pieces: list[str] = []
        at, kind, reads = [0, 0], [""], [False]

        def start(name: str, given: dict[str, str]) -> None:
            if name == "row":
                at[:] = [int(given.get("r", at[0] + 1)), 0]
            elif name == "c":
                place = _CELL.match(given.get("r", ""))
                at[1] = _column(place[1]) if place else at[1] + 1
                kind[0] = given.get("t", "n")
                pieces.clear()
            elif name == "f":
                sheet.formulas.add((at[0], at[1]))
            reads[0] = name in ("v", "t")

        def end(name: str) -> None:
            reads[0] = False
            if name == "c" and pieces:
                self._cells += 1
                if self._cells > MAX_CELLS:
                    raise BadInput(f"a workbook of more than {MAX_CELLS:,} cells",
                                   where=self._path, remedy="Save the sheet as CSV, with the "
                                   "columns that are needed.")
                value = self._value("".join(pieces), kind[0])
                if value.strip():
                    sheet.rows.setdefault(at[0], {})[at[1]] = value

        def text(piece: str) -> None:
            if reads[0]:
                pieces.append(piece)

        self._parse(member, start, end, text)
        return sheet

    def _value(self, text: str, kind: str) -> str:
        if kind == "s":
            return self._strings[int(text)]
        if kind == "n":
            return number_text(text)
        return _unescaped(text)


def number_text(text: str) -> str:
    """Return a stored number as a person would write it: ``51.0`` is ``51``."""
    value = float(text)
    if value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    # Excel shows 15 digits; the file holds 0.1 + 0.2 with all of its rounding.
    return f"{value:.15g}"


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda m: chr(int(m[1], 16)), text) if "_x" in text else text
