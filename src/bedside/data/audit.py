"""``audit.json``: what was read, what is not used and why, and what groups hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bedside.data.group import Groups
from bedside.data.split import PARTS, Twins
from bedside.errors import GateFailed
from bedside.types import Case, SetAside


@dataclass(frozen=True, slots=True)
class DuplicatePair:
    """Two files that are one picture. ``score`` is the correlation of detail."""

    first: str
    second: str
    kind: str
    score: float


@dataclass(frozen=True, slots=True)
class Conflict:
    """One picture under several classes: all its files are set aside."""

    labels: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Audit:
    """The flow of cases. ``read`` counts images and the entries of ``set_aside``.

    ``used``: part to class to number of images. ``duplicates`` lists the links that join the
    groups of duplicates, one fewer than images in each. ``twins``: groups that the given split
    separates (moved whole where ``regrouped``).
    """

    read: int
    masks: int
    used: dict[str, dict[str, int]]
    set_aside: tuple[SetAside, ...]
    groups: int
    largest_group: int
    schema: int = 1
    duplicates: tuple[DuplicatePair, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    twins: tuple[Twins, ...] = ()
    regrouped: bool = False
    notes: tuple[str, ...] = ()


def used_counts(cases: Sequence[Case], classes: Sequence[str]) -> dict[str, dict[str, int]]:
    """Images by part and class, zeros included."""
    counts = Counter((c.split, c.label) for c in cases)
    return {part: {name: counts[part, name] for name in classes} for part in PARTS}


def pairs(groups: Groups, files: Sequence[str]) -> tuple[DuplicatePair, ...]:
    """The links of a grouping by file."""
    return tuple(DuplicatePair(files[k.first], files[k.second], k.kind, k.score)
                 for k in groups.links)


def empty_parts(used: dict[str, dict[str, int]]) -> list[str]:
    """Notes on classes that a part lacks."""
    notes: list[str] = []
    for part, counts in used.items():
        if not sum(counts.values()):
            continue
        notes.extend(f"The {part} part holds no image of {name!r}: figures that need it are "
                     "null." for name, n in counts.items() if not n)
    return notes


def gate(found: Sequence[Twins], where: str) -> None:
    """Fail where a given split separates groups.

    Raises:
        GateFailed: names how many groups, the first files, and the way out.
    """
    if not found:
        return
    first = found[0]
    shown = ", ".join(f"{files[0]!r} in {part}" for part, files in first.files.items())
    images = sum(len(files) for t in found for files in t.files.values())
    raise GateFailed(
        f"the given split separates near-duplicates or one patient's images: {len(found)} groups "
        f"of {images} images in all, first {shown}", where=where,
        remedy="Add --regroup to move each group whole to the part that holds most of it.")
