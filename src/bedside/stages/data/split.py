"""Split into train, validation and test: stratified, seeded, never separating a group."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import cast

from bedside.core.audit import SeparatedGroup
from bedside.core.errors import BadInput
from bedside.core.types import Case, Split

PARTS: tuple[Split, ...] = ("train", "val", "test")


def given_part(case: Case) -> Split | None:
    """Return the part that a data set gives a case, None where it gives none."""
    return None if case.split == "set_aside" else case.split


def check_proportions(proportions: Sequence[int]) -> None:
    """Refuse proportions that leave nothing to train on. Raises BadInput."""
    if min(proportions) < 0 or proportions[0] == 0:
        raise BadInput(f"proportions {':'.join(map(str, proportions))}", where="data.proportions",
                       remedy="Give train, validation and test shares such as 1000:200:200.")


def assign(labels: Sequence[str], groups: Sequence[str], shares: Mapping[str, float], seed: int
           ) -> list[str]:
    """Give each group to a part so that every class comes close to the shares.

    Large groups go first; each goes to the part that lacks most of its classes. Ties and the
    order of equal groups follow a hash of the seed and the group's name, so the result does not
    depend on the order of the images.

    Args:
        labels: class of each image.
        groups: group of each image; never separated.
        shares: part to its share, any positive scale; a part with share 0 gets nothing.
        seed: of the order.

    Returns:
        The part of each image. A class with at least as many groups as parts reaches
        every part (groups of one class each).
    """
    members: dict[str, Counter[str]] = {}
    for label, group in zip(labels, groups, strict=True):
        members.setdefault(group, Counter())[label] += 1
    wanted = _targets(labels, members, shares)
    lacking = {part: dict(counts) for part, counts in wanted.items()}
    left = Counter(label for counts in members.values() for label in counts)
    without = {label: set(lacking) for label in left}
    chosen: dict[str, str] = {}
    for group in sorted(members, key=lambda g: (-members[g].total(), _draw(seed, g))):
        counts = members[group]
        part = _best(counts, wanted, lacking, _allowed(counts, lacking, left, without))
        chosen[group] = part
        for label, n in counts.items():
            lacking[part][label] -= n
            left[label] -= 1
            without[label].discard(part)
    return [chosen[g] for g in groups]


_PerPart = dict[str, dict[str, float]]


def _allowed(counts: Counter[str], lacking: _PerPart, left: Counter[str],
             without: Mapping[str, set[str]]) -> list[str]:
    """Return the parts open to a group, in a fixed order."""
    for label in counts:
        # The last groups of a class belong to the parts that have none of it yet.
        if len(without[label]) > 0 and left[label] <= len(without[label]):
            return [p for p in lacking if p in without[label]]
    # A small part must not be overfilled by one large group while another has room.
    room = [p for p in lacking if all(lacking[p][k] > n / 2 for k, n in counts.items())]
    return room or list(lacking)


def _best(counts: Counter[str], wanted: _PerPart, lacking: _PerPart, parts: list[str]) -> str:
    """Return the part that lacks most of its target; ties go to the largest part."""
    def need(part: str) -> tuple[float, float]:
        return (sum(n * lacking[part][k] / max(wanted[part][k], 1e-9) for k, n in counts.items()),
                sum(wanted[part][k] for k in counts))

    return max(parts, key=need)


def _draw(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()


def _targets(labels: Sequence[str], members: Mapping[str, Counter[str]],
             shares: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Return the images of each class that each part should get, one or more where possible."""
    parts = [p for p, share in shares.items() if share > 0]
    total = sum(shares[p] for p in parts)
    targets: dict[str, dict[str, float]] = {p: {} for p in parts}
    in_groups = Counter(label for counts in members.values() for label in counts)
    for label, n in Counter(labels).items():
        for part in parts:
            targets[part][label] = n * shares[part] / total
        if in_groups[label] < len(parts):
            continue
        for part in parts:
            missing = 1.0 - targets[part][label]
            if missing > 0:
                largest = max(parts, key=lambda p: targets[p][label])
                targets[part][label] += missing
                targets[largest][label] -= missing
    return targets


def split(labels: Sequence[str], groups: Sequence[str], given: Sequence[Split | None],
          proportions: Sequence[int], seed: int) -> tuple[list[Split], list[str]]:
    """Complete a split.

    Args:
        labels: class of each image.
        groups: group of each image.
        given: part of each image, all None where no split is given. Groups lie in one part.
        proportions: train, validation, test.
        seed: of the draw.

    Returns:
        The part of each image, and notes on parts that were carved from train.

    Raises:
        BadInput: a given split without a training part.
    """
    check_proportions(proportions)
    shares: dict[str, float] = dict(zip(PARTS, map(float, proportions), strict=True))
    present = {part for part in given if part is not None}
    if not present:
        return [cast(Split, p) for p in assign(labels, groups, shares, seed)], []
    if "train" not in present:
        raise BadInput("the given split has no training part", where="split",
                       remedy="Mark training images with 'train'.")
    missing = [p for p in PARTS if p not in present and shares[p] > 0]
    result: list[Split] = [p or "set_aside" for p in given]
    if not missing:
        return result, []
    rows = [i for i, p in enumerate(given) if p == "train"]
    parts = assign([labels[i] for i in rows], [groups[i] for i in rows],
                   {p: shares[p] for p in ("train", *missing)}, seed)
    for i, part in zip(rows, parts, strict=True):
        result[i] = cast(Split, part)
    counts = Counter(parts)
    ratio = ":".join(str(int(shares[p])) for p in ("train", *missing))
    notes = [f"The given split has no {'test' if p == 'test' else 'validation'} part: "
             f"{counts[p]} of its {len(rows)} training images were drawn for it, by group, "
             f"class and seed {seed} ({'train:' + ':'.join(missing)} = {ratio})." for p in missing]
    return result, notes


# ------------------------------------------------------------------ groups across a given split


def separated_groups(files: Sequence[str], groups: Sequence[str],
                     given: Sequence[Split | None]) -> list[SeparatedGroup]:
    """Return the groups with images in several parts of a given split, in the images' order."""
    seen: dict[str, dict[str, list[str]]] = {}
    for file, group, part in zip(files, groups, given, strict=True):
        if part is not None:
            seen.setdefault(group, {}).setdefault(part, []).append(file)
    return [SeparatedGroup(group, {p: tuple(parts[p]) for p in PARTS if p in parts})
            for group, parts in seen.items() if len(parts) > 1]


def regroup(groups: Sequence[str], given: Sequence[Split | None]) -> list[Split | None]:
    """Move each separated group whole to the part with most of its images, ties to train."""
    counts: dict[str, Counter[Split]] = {}
    for group, part in zip(groups, given, strict=True):
        if part is not None:
            counts.setdefault(group, Counter())[part] += 1
    # max keeps the first of equals, and train comes first.
    best = {g: max(PARTS, key=c.__getitem__) for g, c in counts.items()}
    return [None if p is None else best[g] for g, p in zip(groups, given, strict=True)]


def folds(cases: Sequence[Case], k: int, seed: int) -> dict[str, int]:
    """Grouped, stratified k-fold assignment.

    Args:
        cases: those to be divided.
        k: number of folds, from 2 to the number of groups.
        seed: of the draw.

    Returns:
        Case id to fold, 0 … k − 1.

    Raises:
        BadInput: fewer groups than folds.
    """
    groups = [c.group or c.id for c in cases]
    if not 2 <= k <= len(set(groups)):
        raise BadInput(f"{k} folds of {len(set(groups))} groups", where="folds",
                       remedy="Give from 2 folds up to the number of groups.")
    parts = assign([c.label for c in cases], groups, {str(f): 1.0 for f in range(k)}, seed)
    return {c.id: int(p) for c, p in zip(cases, parts, strict=True)}
