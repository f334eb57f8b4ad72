"""The contents of ``audit.json``: counts, pairs, notes, and the gate on a separated group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bedside.core.audit import DuplicatePair, SeparatedGroup, Shortcut
from bedside.core.errors import GateFailed
from bedside.core.types import Case
from bedside.stages.data.duplicates.group import Groups
from bedside.stages.data.overlays import FLAGS
from bedside.stages.data.shortcut import EVERYTHING, SHOWN
from bedside.stages.data.split import PARTS


def used_counts(cases: Sequence[Case], classes: Sequence[str]) -> dict[str, dict[str, int]]:
    """Count images by part and class, zeros included."""
    counts = Counter((c.split, c.label) for c in cases)
    return {part: {name: counts[part, name] for name in classes} for part in PARTS}


def pairs(groups: Groups, files: Sequence[str]) -> tuple[DuplicatePair, ...]:
    """Return the links of a grouping by file."""
    return tuple(DuplicatePair(files[k.first], files[k.second], k.kind, k.score)
                 for k in groups.links)


def shared(cases: Sequence[Case]) -> tuple[int, int]:
    """Count the groups, and the patients, that have images in several parts."""
    used = [c for c in cases if c.split != "set_aside"]
    counts = []
    for name in ("group", "patient"):
        places = {(getattr(c, name), c.split) for c in used if getattr(c, name)}
        counts.append(sum(n > 1 for n in Counter(owner for owner, _ in places).values()))
    return counts[0], counts[1]


def findings_by_class(cases: Sequence[Case], classes: Sequence[str]) -> dict[str, dict[str, int]]:
    """Count the images in use with each kind of overlay, by class; absent kinds are left out."""
    counts = Counter((flag, c.label) for c in cases if c.split != "set_aside" for flag in c.flags)
    every = {flag: {name: counts[flag, name] for name in classes} for flag in FLAGS}
    return {flag: by_class for flag, by_class in every.items() if any(by_class.values())}


_RARE = 0.2


def balance_notes(balance: dict[str, int]) -> list[str]:
    """Return a note on each class with less than a fifth of an equal share."""
    total, equal = sum(balance.values()), 1 / max(1, len(balance))
    return [f"The class {name!r} has {n} of {total} images: its figures will be uncertain, and "
            "accuracy alone is misleading." for name, n in balance.items()
            if total and n / total < _RARE * equal]


def shortcut_notes(shortcuts: Sequence[Shortcut]) -> list[str]:
    """Return a note on each family of features that predicts a class."""
    by_name: dict[str, list[str]] = {}
    for s in shortcuts:
        if s.warning and s.name != EVERYTHING:
            by_name.setdefault(s.name, []).append(
                f"{s.label} {s.auc.value:.2f} [{s.auc.low:.2f}, {s.auc.high:.2f}]")
    return [f"Possible shortcut: {SHOWN[name]} alone predict the class (AUC {', '.join(lines)}). "
            "A network may learn it instead of the tissue." for name, lines in by_name.items()]


def empty_parts(used: dict[str, dict[str, int]]) -> list[str]:
    """Return notes on classes that a part lacks."""
    notes: list[str] = []
    for part, counts in used.items():
        if not sum(counts.values()):
            continue
        notes.extend(f"The {part} part has no image of {name!r}: figures that need it are "
                     "null." for name, n in counts.items() if not n)
    return notes


def gate(separated: Sequence[SeparatedGroup], where: str) -> None:
    """Raise GateFailed where a given split separates groups.

    Raises:
        GateFailed: names how many groups, the first files, and the way out.
    """
    if not separated:
        return
    first = separated[0]
    shown = ", ".join(f"{files[0]!r} in {part}" for part, files in first.files.items())
    images = sum(len(files) for g in separated for files in g.files.values())
    raise GateFailed(
        "the given split separates near-duplicates or one patient's images: "
        f"{len(separated)} groups of {images} images in all, first {shown}", where=where,
        remedy="Add --regroup to move each group whole to the part that holds most of it.")
