"""``fields.toml``: the source of every field of the evidence file."""

from __future__ import annotations

import csv
import io
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from bedside.core import codec

TABLE = "fields.toml"
LIST = "evidence_fields.csv"


@dataclass(frozen=True, slots=True)
class Question:
    """A question for a person, and who that is."""

    who: str
    text: str


@dataclass(frozen=True, slots=True)
class Item:
    """One automatic value: ``file`` and ``path``, or ``compute``; ``otherwise``: the reason."""

    label: str
    otherwise: str
    file: str = ""
    path: str = ""
    compute: str = ""

    @property
    def source(self) -> str:
        """The source of the value, in words."""
        if self.compute:
            return f"computed: {self.compute}"
        return f"{self.file}: {self.path}" if self.path else self.file


@dataclass(frozen=True, slots=True)
class Field:
    """One row of the evidence file."""

    id: str
    name: str
    human: tuple[str, ...] = ()
    items: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """Questions by key, fields in order."""

    question: dict[str, Question]
    field: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """One row of ``evidence_fields.csv``: field, who fills it, the standards that require it."""

    name: str
    filled_by: str
    standards: str


def text(name: str) -> str:
    """Read one of the files beside this module."""
    return resources.files("bedside.card").joinpath(name).read_text(encoding="utf-8")


@cache
def table() -> Table:
    """Read the table of sources.

    Raises:
        BadInput: it cannot be read.
    """
    found: Table = codec.decode(Table, tomllib.loads(text(TABLE)), TABLE)
    return found


@cache
def listed() -> dict[str, Listed]:
    """Read the rows of ``evidence_fields.csv`` by field name."""
    rows = csv.DictReader(io.StringIO(text(LIST)))
    return {r["field"]: Listed(r["field"], r["filled_by"], r["standard items"]) for r in rows}
