"""``audit.json``: what was read, what is not used and why, and what groups hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from bedside.core.errors import GateFailed
from bedside.core.types import Case, SetAside
from bedside.stages.data.duplicates.group import Groups
from bedside.stages.data.outliers import Outlier
from bedside.stages.data.overlays import FLAGS
from bedside.stages.data.shortcut import EVERYTHING, Shortcut
from bedside.stages.data.split import PARTS, Twins


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
    separates (moved whole where ``regrouped``). ``findings``: what images carry beside tissue, by
    class; ``balance``: images in use by class; ``shared_groups`` and ``shared_patients``: those
    with images in several parts, counted anew from the finished cases; ``decisions``: how many
    of a person's decisions were applied.
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
    balance: dict[str, int] = field(default_factory=dict)
    findings: dict[str, dict[str, int]] = field(default_factory=dict)
    outliers: tuple[Outlier, ...] = ()
    shortcuts: tuple[Shortcut, ...] = ()
    shared_groups: int = 0
    shared_patients: int = 0
    decisions: int = 0


def used_counts(cases: Sequence[Case], classes: Sequence[str]) -> dict[str, dict[str, int]]:
    """Images by part and class, zeros included."""
    counts = Counter((c.split, c.label) for c in cases)
    return {part: {name: counts[part, name] for name in classes} for part in PARTS}


def pairs(groups: Groups, files: Sequence[str]) -> tuple[DuplicatePair, ...]:
    """The links of a grouping by file."""
    return tuple(DuplicatePair(files[k.first], files[k.second], k.kind, k.score)
                 for k in groups.links)


def shared(cases: Sequence[Case]) -> tuple[int, int]:
    """How many groups, and how many patients, have images in several parts."""
    used = [c for c in cases if c.split != "set_aside"]
    counts = []
    for name in ("group", "patient"):
        places = {(getattr(c, name), c.split) for c in used if getattr(c, name)}
        counts.append(sum(n > 1 for n in Counter(owner for owner, _ in places).values()))
    return counts[0], counts[1]


def found_by_class(cases: Sequence[Case], classes: Sequence[str]) -> dict[str, dict[str, int]]:
    """Images in use that carry each kind of mark, by class; kinds that none carries are absent."""
    counts = Counter((flag, c.label) for c in cases if c.split != "set_aside" for flag in c.flags)
    every = {flag: {name: counts[flag, name] for name in classes} for flag in FLAGS}
    return {flag: by_class for flag, by_class in every.items() if any(by_class.values())}


_RARE = 0.2


def balance_notes(balance: dict[str, int]) -> list[str]:
    """A note on classes with less than a fifth of an equal share."""
    total, equal = sum(balance.values()), 1 / max(1, len(balance))
    return [f"The class {name!r} holds {n} of {total} images: its figures will be uncertain, and "
            "accuracy alone says little." for name, n in balance.items()
            if total and n / total < _RARE * equal]


def shortcut_notes(found: Sequence[Shortcut]) -> list[str]:
    """A note on each family of features that tells a class from the others."""
    by_name: dict[str, list[str]] = {}
    for s in found:
        if s.warning and s.name != EVERYTHING:
            by_name.setdefault(s.name, []).append(
                f"{s.label} {s.auc.value:.2f} [{s.auc.low:.2f}, {s.auc.high:.2f}]")
    return [f"The class shows without the tissue: AUC from {name} alone {', '.join(lines)}. "
            "A network may learn this shortcut." for name, lines in by_name.items()]


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
