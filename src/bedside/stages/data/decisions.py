"""A person's decisions after an audit: ``audit_decisions.toml``, read by the data stage.

    [[apart]]
    first = "benign/a.png"
    second = "benign/b.png"
    reason = "two lesions of one breast"

    [[set_aside]]
    file = "benign/c.png"
    reason = "axilla, not breast"

Images are named by file as in ``cases.csv``, or by case id, which outlives renaming.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.types import Case

NAME = "audit_decisions.toml"


@dataclass(frozen=True, slots=True)
class Apart:
    """Two images that the audit takes for near-duplicates and a person does not."""

    first: str
    second: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Aside:
    """An image that must not be used."""

    file: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Decisions:
    """The contents of ``audit_decisions.toml``."""

    schema: int = 1
    apart: tuple[Apart, ...] = ()
    set_aside: tuple[Aside, ...] = ()

    @property
    def count(self) -> int:
        """Number of decisions."""
        return len(self.apart) + len(self.set_aside)


@dataclass(frozen=True, slots=True)
class Resolved:
    """Decisions by index of image: pairs (smaller first), and reasons of those set aside."""

    apart: frozenset[tuple[int, int]]
    aside: Mapping[int, str]


def read(file: str | None, run: Path) -> tuple[Decisions, Path | None]:
    """Return the decisions of a study: ``file``, or the run's own where there is one.

    Raises:
        BadInput: the file is named and missing, or does not read.
    """
    path = Path(file) if file is not None else run / NAME
    if not path.is_file():
        if file is not None:
            raise BadInput("no such file", where=path, remedy="Check --decisions.")
        return Decisions(), None
    return codec.read_toml(Decisions, path), path


def resolve(decisions: Decisions, cases: Sequence[Case], where: Path | None) -> Resolved:
    """Find the images that decisions name.

    Args:
        decisions: from :func:`read`.
        cases: the readable images.
        where: the decisions' file, for messages.

    Raises:
        BadInput: an image that is not there, or a pair of one image with itself.
    """
    if not decisions.count:
        return Resolved(frozenset(), {})
    files = [c.file for c in cases]
    # A file's name goes before another image's id.
    index_of = {**{c.id: i for i, c in enumerate(cases)}, **{f: i for i, f in enumerate(files)}}

    def find(name: str) -> int:
        if name not in index_of:
            near = difflib.get_close_matches(name, files[:5000], n=1)
            raise BadInput(f"{name!r} is no readable image of the data set", where=where,
                           remedy=f"Did you mean {near[0]!r}?" if near else
                           "Name it as cases.csv does, or remove the decision.")
        return index_of[name]

    apart = set()
    for pair in decisions.apart:
        i, j = sorted((find(pair.first), find(pair.second)))
        if i == j:
            raise BadInput(f"{pair.first!r} is to be kept apart from itself", where=where,
                           remedy="Name two images.")
        apart.add((i, j))
    aside = {find(a.file): a.reason for a in decisions.set_aside}
    return Resolved(frozenset(apart), aside)
