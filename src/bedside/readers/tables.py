"""Tables as people save them: CSV, TSV or ``;``, UTF-8 or UTF-16, or an Excel workbook."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from bedside.core.errors import BadInput
from bedside.readers import TABLES, xlsx

# A table is read whole: about ten times its size in memory.
MAX_BYTES = 64 << 20

_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs"}
_SEP = re.compile(r"^sep=(.)\r?\n", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its header, and each row's number in the file with its cells, stripped.

    ``how`` says what was recognised (separator, encoding, sheet), empty for plain CSV.
    ``formulas``: (row, column from 0) of cells that a spreadsheet computes.
    """

    path: Path
    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    how: str = ""
    formulas: frozenset[tuple[int, int]] = frozenset()

    def where(self, row: int) -> str:
        """Return the place of a row for a message."""
        return f"{self.path}: {'row' if is_workbook(self.path) else 'line'} {row}"

    def column(self, name: str) -> list[str]:
        """Return the cells of a column."""
        at = self.header.index(name)
        return [cells[at] for _, cells in self.rows]


def is_table(name: str) -> bool:
    """Return whether a file is named as a table that bedside reads."""
    return Path(name).suffix.lower() in TABLES


def is_workbook(path: Path) -> bool:
    """Return whether a table is an Excel workbook."""
    return path.suffix.lower() == ".xlsx"


def read(path: Path, wanted: Collection[str] = (), most_rows: int | None = None) -> Table:
    """Read a whole table.

    Args:
        path: a text file, or an ``.xlsx``.
        wanted: columns by which a sheet of several is chosen.
        most_rows: stop after so many rows (for a look at the table).

    Raises:
        BadInput: missing, too large, empty, damaged or encrypted, no UTF-8 or UTF-16, uneven rows,
            a column given twice or without a name above its cells.
    """
    if is_workbook(path):
        return _from_workbook(path, wanted, most_rows)
    text, encoding = _text(path)
    delimiter, text, skipped = _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    lines: list[tuple[int, list[str]]] = []
    try:
        for line in reader:
            if any(c.strip() for c in line):
                lines.append((reader.line_num + skipped, line))
                if most_rows is not None and len(lines) > most_rows:
                    break
    except csv.Error as error:
        raise BadInput(f"not a comma-separated table ({error})",
                       where=f"{path}: line {reader.line_num + skipped}",
                       remedy="Save it as CSV, UTF-8, with commas.") from None
    how = ", ".join(x for x in (f"separated by {_NAMES[delimiter]}" if delimiter != "," else "",
                                encoding if encoding != "UTF-8" else "") if x)
    return _table(path, lines, how)


def _table(path: Path, lines: list[tuple[int, list[str]]], how: str,
           formulas: frozenset[tuple[int, int]] = frozenset()) -> Table:
    if not lines:
        raise BadInput("the table is empty", where=path,
                       remedy="Begin with a line that names the columns, as file,label.")
    header = [c.strip() for c in lines[0][1]]
    # Spreadsheets end lines with empty cells.
    width = max((i + 1 for i, c in enumerate(header) if c), default=0)
    rows = []
    for number, line in lines[1:]:
        cells = [c.strip() for c in line]
        if len(cells) < len(header) or any(cells[len(header):]) or any(cells[width:len(header)]):
            place = "row" if is_workbook(path) else "line"
            raise BadInput(f"{len(cells)} cells where the header has {width}",
                           where=f"{path}: {place} {number}",
                           remedy="Put a text that holds a comma between double quotes, and name "
                           "every column.")
        rows.append((number, tuple(cells[:width])))
    header = header[:width]
    twice = sorted({c for c in header if c and header.count(c) > 1})
    if twice:
        raise BadInput(f"the column {twice[0]!r} is given twice", where=f"{path}: line 1",
                       remedy="Keep one of them.")
    # Row names of R and pandas stand in a first column without a name.
    named = tuple(c or f"column {i + 1}" for i, c in enumerate(header))
    return Table(path, named, tuple(rows), how, formulas)


# ------------------------------------------------------------------ text


def _text(path: Path) -> tuple[str, str]:
    """Return the text of a file and its encoding."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadInput(f"a table of {path.stat().st_size / 1e6:.0f} MB", where=path,
                           remedy=f"Keep the columns that are needed: at most {MAX_BYTES >> 20} MB "
                           "are read.")
        data = path.read_bytes()
    except FileNotFoundError:
        raise BadInput("no such file", where=path, remedy="Check the path.") from None
    except OSError as error:
        raise BadInput(f"cannot be read ({error.strerror})", where=path,
                       remedy="Check the file and its permissions.") from None
    encoding = _encoding(data)
    try:
        return data.decode(encoding).removeprefix("\ufeff"), encoding.upper()[:6].rstrip("-")
    except UnicodeDecodeError:
        raise BadInput(f"not {encoding.upper()} text", where=path,
                       remedy="Save it as UTF-8.") from None


def _encoding(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    head = data[:4096]
    even, odd = head[::2].count(0), head[1::2].count(0)
    # Without a byte order mark: the high bytes of Latin letters are 0.
    if len(head) >= 8 and max(even, odd) > 0.4 * len(head) / 2:
        return "utf-16-le" if odd > even else "utf-16-be"
    return "utf-8"


def _delimiter(text: str) -> tuple[str, str, int]:
    """Return the separator, the text without Excel's ``sep=;``, and the lines that went with it."""
    told = _SEP.match(text)
    if told and told[1] in _NAMES:
        return told[1], text[told.end():], 1
    first = next((line for line in io.StringIO(text) if line.strip()), "")
    plain = re.sub(r'"[^"]*"', "", first)
    counts = {d: plain.count(d) for d in _NAMES}
    best = max(counts, key=lambda d: counts[d])
    return (best if counts[best] else ","), text, 0


# ------------------------------------------------------------------ workbooks


def _from_workbook(path: Path, wanted: Collection[str], most_rows: int | None) -> Table:
    if not path.is_file():
        raise BadInput("no such file", where=path, remedy="Check the path.")
    if path.stat().st_size > MAX_BYTES:
        raise BadInput(f"a workbook of {path.stat().st_size / 1e6:.0f} MB", where=path,
                       remedy="Save the sheet as CSV, with the columns that are needed.")
    sheets = xlsx.read_sheets(path)
    if not sheets:
        raise BadInput("the table is empty", where=path,
                       remedy="Begin with a row that names the columns, as file,label.")
    chosen = _sheet(path, sheets, wanted)
    first = min(chosen.rows)
    width = max(max(cells) for cells in chosen.rows.values())
    numbers = sorted(chosen.rows)[:None if most_rows is None else most_rows + 1]
    lines = [(n, [chosen.rows[n].get(c, "") for c in range(1, width + 1)]) for n in numbers]
    how = f"sheet {chosen.name!r}" if len(sheets) > 1 else ""
    if (first, 1) in chosen.formulas and len(chosen.rows) == 1:
        raise BadInput("the table is empty", where=path, remedy="Paste its values.")
    return _table(path, lines, how, frozenset((r, c - 1) for r, c in chosen.formulas))


def _sheet(path: Path, sheets: list[xlsx.Sheet], wanted: Collection[str]) -> xlsx.Sheet:
    def holds(sheet: xlsx.Sheet) -> bool:
        header = {c.strip() for c in sheet.rows[min(sheet.rows)].values()}
        return bool(wanted) and header.issuperset(wanted)

    fitting = [s for s in sheets if holds(s)]
    if len(fitting) > 1:
        names = ", ".join(repr(s.name) for s in fitting)
        raise BadInput(f"several sheets could be meant: {names}", where=path,
                       remedy="Save the right one as CSV.")
    # Without columns to tell by, as for a look: the sheet with most rows.
    return max(fitting or sheets, key=lambda s: len(s.rows))
