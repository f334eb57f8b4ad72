"""The mapping of a table's columns: which of them holds the file, the label, the patient, ….

``label=dx`` takes a column; ``file=image_id+.jpg`` joins columns and text; ``patient=Path/3`` takes
the third folder of a path; ``label=MEL|NV|BCC`` takes the column that holds 1 (one-hot).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bedside.core.errors import BadInput
from bedside.core.registry import did_you_mean

# Names the table itself, where the data set's folder holds several.
TABLE = "table"
REQUIRED = ("file", "label")
ROLES = ("file", "label", "patient", "split", "mask", "age", "sex", "size_mm", "device")
_LITERAL = re.compile(r"[^\w]|_")
_COMPONENT = re.compile(r"^(?P<column>.+)/(?P<number>-?\d+)$")
_ONE = frozenset({"1", "1.0", "true", "yes", "x"})
_HINT = "Write --columns label=dx,patient=lesion_id,file=image_id+.jpg."


@dataclass(frozen=True, slots=True)
class Expression:
    """What one role takes from a row: joined pieces, or the one column of several that holds 1.

    ``pieces``: column positions and literal text. ``component``: the part of a path, from 1 (from
    the end where negative), 0 for the whole. ``one_hot``: positions and names.
    """

    pieces: tuple[int | str, ...] = ()
    component: int = 0
    one_hot: tuple[tuple[int, str], ...] = ()

    @property
    def columns(self) -> tuple[int, ...]:
        """Positions of the columns that are read."""
        return (*(p for p in self.pieces if isinstance(p, int)), *(i for i, _ in self.one_hot))

    def value(self, cells: Sequence[str], where: str) -> str:
        """Return the text of a row; empty where its columns are.

        Raises:
            BadInput: not exactly one of the one-hot columns holds 1.
        """
        if self.one_hot:
            marked = [name for i, name in self.one_hot if cells[i].lower() in _ONE]
            if len(marked) > 1:
                raise BadInput(f"several classes are marked: {', '.join(marked[:4])}", where=where,
                               remedy="Choose one column, as --columns label="
                               f"{self.one_hot[0][1]}.")
            return marked[0] if marked else ""
        if not all(cells[p] for p in self.pieces if isinstance(p, int)):
            return ""
        text = "".join(cells[p] if isinstance(p, int) else p for p in self.pieces)
        if self.component:
            parts = [p for p in text.replace("\\", "/").split("/") if p]
            at = self.component - 1 if self.component > 0 else self.component
            return parts[at] if -len(parts) <= at < len(parts) else ""
        return text


def expressions(columns: Mapping[str, str], header: Sequence[str], where: str
                ) -> dict[str, Expression]:
    """Return the expression of each role of a mapping.

    Raises:
        BadInput: an unknown role, or a column that the table does not have.
    """
    for role in columns:
        if role not in (*ROLES, TABLE):
            raise BadInput(f"unknown role {role!r}", where="--columns",
                           remedy=did_you_mean(role, ROLES))
    return {role: _expression(role, text, header, where) for role, text in columns.items()
            if role != TABLE}


def plain_names(columns: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names in a mapping that can only be columns, without text or folders of a path."""
    pieces = (p.strip() for role, text in columns.items() if role != TABLE
              for p in re.split(r"[+|]", text))
    return tuple(p for p in pieces if p and not p.startswith((".", "/")) and not p.endswith("/")
                 and not _COMPONENT.match(p))


def named_columns(columns: Mapping[str, str], header: Sequence[str]) -> bool:
    """Return whether a header has every column of a mapping."""
    try:
        expressions(columns, header, "")
    except BadInput:
        return False
    return True


def _expression(role: str, text: str, header: Sequence[str], where: str) -> Expression:
    at = {name: i for i, name in enumerate(header)}
    if text in at:
        return Expression((at[text],))
    if "|" in text and role == "label":
        options = [t.strip() for t in text.split("|") if t.strip()]
        for name in options:
            if name not in at:
                raise _no_column(role, name, header, where)
        return Expression(one_hot=tuple((at[n], n) for n in options))
    component = _COMPONENT.match(text)
    if component and component["column"] in at:
        return Expression((at[component["column"]],), int(component["number"]))
    pieces: list[int | str] = []
    for piece in text.split("+"):
        if piece.strip() in at:
            pieces.append(at[piece.strip()])
        elif "+" in text and _LITERAL.search(piece):
            pieces.append(piece.strip())
        else:
            raise _no_column(role, piece.strip(), header, where)
    if not any(isinstance(p, int) for p in pieces):
        raise _no_column(role, text, header, where)
    return Expression(tuple(pieces))


def _no_column(role: str, name: str, header: Sequence[str], where: str) -> BadInput:
    shown = ", ".join(header[:12]) + (", …" if len(header) > 12 else "")
    folded = {h.casefold(): h for h in header}
    near = (f"Did you mean {folded[name.casefold()]!r}? " if name.casefold() in folded else "")
    return BadInput(f"no column {name!r} (for {role})", where=where,
                    remedy=f"{near}The columns are {shown}. {_HINT if not near else ''}".strip())
