"""From images that are fit for use to the cases of a study, and the audit of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bedside.core.study import Study
from bedside.core.types import Case, SetAside, Split, Task
from bedside.readers.base import RawCase
from bedside.stages.data import audit, split, task
from bedside.stages.data.cache import WIDE
from bedside.stages.data.decisions import Resolved
from bedside.stages.data.duplicates.group import Groups, conflicts
from bedside.stages.data.outliers import Outlier, outliers
from bedside.stages.data.scan import Scanned
from bedside.stages.data.shortcut import shortcuts

NO_SPLIT = "no part in the given split"
CONFLICT = "one picture under several classes"
DECIDED = "set aside by decision"


@dataclass(frozen=True, slots=True)
class Kept:
    """Images that are fit for use, field by field in one order."""

    raw: tuple[RawCase, ...]
    seen: tuple[Scanned, ...]
    labels: tuple[str, ...]
    groups: Groups
    ids: tuple[str, ...]
    decided: Resolved

    @property
    def files(self) -> list[str]:
        """Their files."""
        return [r.file for r in self.raw]


def divide(kept: Kept, study: Study, chosen: Task, aside: list[SetAside], notes: list[str],
           gate: bool = True) -> tuple[list[Case], audit.Audit]:
    """Set conflicts aside, mend or refuse a separated group, split, and write it all down.

    Args:
        kept: the images.
        study: its ``data`` and ``seed`` are used.
        chosen: the task.
        aside: what is set aside already; grows.
        notes: sentences for the audit; grows.
        gate: whether a given split that separates groups fails.

    Raises:
        BadInput: a class without images, or a split without a training part.
        GateFailed: the given split separates groups and ``regroup`` is off.
    """
    config = study.data
    files, kept_groups = kept.files, kept.groups.kept
    given = [r.split for r in kept.raw]
    out = set(kept.decided.aside)
    aside.extend(SetAside(files[i], f"{DECIDED}: {why}" if why else DECIDED)
                 for i, why in sorted(kept.decided.aside.items()))
    disputed = _disputed(kept, out)
    in_dispute = {i for members in disputed.values() for i in members}
    aside.extend(SetAside(files[i], CONFLICT) for i in sorted(in_dispute))
    out |= in_dispute
    if any(given):
        unplaced = [i for i, p in enumerate(given) if p is None and i not in out]
        aside.extend(SetAside(files[i], NO_SPLIT) for i in unplaced)
        out.update(unplaced)
    used = [i for i in range(len(files)) if i not in out]
    task.check_counts(Counter(kept.labels[i] for i in used), chosen.classes,
                      f"{config.source} (after setting images aside)")
    names = _group_names(kept.ids, kept_groups)
    here = [names[i] for i in used]
    parts_given = [given[i] for i in used]
    separated = split.twins([files[i] for i in used], here, parts_given)
    if not config.regroup:
        if gate:
            audit.gate(separated, config.split_file or config.source)
    else:
        if separated:
            notes.append(f"Groups that the given split separates: {len(separated)}; each was "
                         "moved whole to the part with most of its images, ties to train.")
        parts_given = split.regroup(here, parts_given)
    parts, carved = split.split([kept.labels[i] for i in used], here, parts_given,
                                config.proportions, study.seed)
    cases = _cases(kept, names, dict(zip(used, parts, strict=True)), in_dispute)
    counts = audit.used_counts(cases, chosen.classes)
    if chosen.positive is not None and config.positive is None \
            and chosen.positive.lower() != task.DEFAULT_POSITIVE:
        notes.append(f"No positive class is named: {chosen.positive!r}, the last in order, is "
                     "taken (--positive chooses).")
    if disputed:
        notes.append(f"Pictures that lie under several classes: {len(disputed)}; their "
                     f"{len(in_dispute)} images are set aside and listed.")
    joined = sum(kept.groups.pictures[i] == kept.groups.pictures[j]
                 for i, j in kept.decided.apart)
    if joined:
        notes.append("Pairs that a decision keeps apart and that equal pixels or other images "
                     f"join all the same: {joined}.")
    sizes = Counter(here)
    balance = {name: sum(c[name] for c in counts.values()) for name in chosen.classes}
    shared_groups, shared_patients = audit.shared(cases)
    ways = shortcuts([cases[i] for i in used], [kept.seen[i] for i in used], chosen.classes,
                     chosen.positive, study.seed)
    notes.extend([*audit.balance_notes(balance), *audit.shortcut_notes(ways)])
    return cases, audit.Audit(
        read=len(used) + len(aside), masks=sum(len(r.masks) for r in kept.raw), used=counts,
        set_aside=tuple(aside), groups=len(sizes), largest_group=max(sizes.values(), default=0),
        duplicates=audit.pairs(kept.groups, files),
        conflicts=tuple(audit.Conflict(_by_label(m, kept.labels, files))
                        for m in disputed.values()),
        twins=tuple(separated), regrouped=bool(separated) and config.regroup,
        notes=(*notes, *carved, *audit.empty_parts(counts)), balance=balance,
        findings=audit.found_by_class(cases, chosen.classes), outliers=_outliers(kept, used),
        shortcuts=ways, shared_groups=shared_groups, shared_patients=shared_patients,
        decisions=len(kept.decided.apart) + len(kept.decided.aside))


def _disputed(kept: Kept, out: set[int]) -> dict[int, list[int]]:
    """Pictures under several classes, with their images, among those not set aside already."""
    here = [i for i in range(len(kept.raw)) if i not in out]
    found = conflicts([kept.groups.pictures[i] for i in here], [kept.labels[i] for i in here])
    return {root: [here[k] for k in members] for root, members in found.items()}


def _cases(kept: Kept, names: Sequence[str], part_of: Mapping[int, Split],
           in_dispute: set[int]) -> list[Case]:
    cases = []
    for i, (case, seen) in enumerate(zip(kept.raw, kept.seen, strict=True)):
        flags = (*((WIDE,) if seen.wide else ()), *(("conflict",) if i in in_dispute else ()),
                 *seen.look.flags)
        cases.append(Case(
            kept.ids[i], case.file, kept.labels[i], case.patient, names[i],
            part_of.get(i, "set_aside"), seen.height_px, seen.width_px, seen.sha256, flags,
            case.masks, case.age, case.size_mm, case.device))
    return cases


def _outliers(kept: Kept, used: Sequence[int]) -> tuple[Outlier, ...]:
    seen = [kept.seen[i] for i in used]
    return outliers(
        [kept.raw[i].file for i in used],
        {"height_px": [s.height_px for s in seen], "width_px": [s.width_px for s in seen],
         "mean": [s.look.mean for s in seen], "spread": [s.look.spread for s in seen]},
        logarithmic=("height_px", "width_px"))


def _by_label(members: Sequence[int], labels: Sequence[str], files: Sequence[str]
              ) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for i in members:
        found[labels[i]] = (*found.get(labels[i], ()), files[i])
    return found


def case_ids(seen: Sequence[Scanned], files: Sequence[str]) -> list[str]:
    """Ids from content, so that they are stable and say nothing of a patient or a file."""
    ids = [""] * len(seen)
    copies: Counter[str] = Counter()
    for i in sorted(range(len(seen)), key=lambda i: files[i]):
        stem = "c" + seen[i].content[:15]
        copies[stem] += 1
        ids[i] = stem if copies[stem] == 1 else f"{stem}-{copies[stem]}"
    return ids


def _group_names(ids: Sequence[str], roots: Sequence[int]) -> list[str]:
    """A group is named after the smallest id in it."""
    first: dict[int, str] = {}
    for case_id, root in zip(ids, roots, strict=True):
        first[root] = min(first.get(root, case_id), case_id)
    return ["g" + first[root][1:] for root in roots]
