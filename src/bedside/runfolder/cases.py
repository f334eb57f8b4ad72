"""The table ``cases.csv``: one row a case, columns as the fields of :class:`Case`."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.types import Case

_TUPLES = frozenset({"flags", "masks"})
_INTS = frozenset({"height_px", "width_px"})
_FLOATS = frozenset({"age", "size_mm"})
_SEPARATOR = "|"


def cases_to_csv(cases: Iterable[Case]) -> str:
    """Return cases as CSV text, one row a case, columns as the fields of :class:`Case`."""
    names = [f.name for f in dataclasses.fields(Case)]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(names)
    for case in cases:
        row = [getattr(case, n) for n in names]
        writer.writerow([_SEPARATOR.join(v) if isinstance(v, tuple) else "" if v is None else v
                         for v in row])
    return buffer.getvalue()


def _case(row: dict[str, str], where: str) -> Case:
    values: dict[str, Any] = {}
    try:
        for name, text in row.items():
            if name in _TUPLES:
                values[name] = tuple(text.split(_SEPARATOR)) if text else ()
            elif name in _INTS:
                values[name] = int(text)
            elif name in _FLOATS:
                values[name] = float(text) if text else None
            else:
                values[name] = (text or None) if name in ("patient", "device", "sex") else text
    except (ValueError, AttributeError) as error:
        raise BadInput(f"a row does not read ({error})", where=where,
                       remedy="Delete the data folder and run again.") from None
    decoded: Case = codec.decode(Case, values, where)
    return decoded


def read_cases(path: Path) -> tuple[Case, ...]:
    """Read cases from ``cases.csv``. Raises BadInput where a row does not read."""
    reader = csv.DictReader(io.StringIO(codec.read_text(path)))
    return tuple(_case(row, f"{path}: line {i}") for i, row in enumerate(reader, 2))
