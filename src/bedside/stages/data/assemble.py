"""Build study cases: drop conflicts, split, audit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bedside.core.audit import Audit, Conflict, Outlier
from bedside.core.errors import BadInput
from bedside.core.study import Study
from bedside.core.types import Case, SetAside, Split, Task
from bedside.readers import range16
from bedside.stages.data import audit, split, task
from bedside.stages.data.cache import FLAG_16BIT
from bedside.stages.data.decisions import Resolved
from bedside.stages.data.duplicates.group import Groups, conflicts
from bedside.stages.data.outliers import outliers
from bedside.stages.data.scan import ScannedImage
from bedside.stages.data.shortcut import shortcuts

NO_SPLIT = "no part in the given split"
CONFLICT = "one image under several classes"
# Above this share of images in conflict the run asks, if they are more than a few.
_MANY = 0.02
_FEW = 6
DECIDED = "set aside by decision"


def assemble(images: Sequence[ScannedImage], groups: Groups, decided: Resolved, study: Study,
             chosen: Task, aside: list[SetAside], notes: list[str], gate: bool = True
             ) -> tuple[list[Case], Audit]:
    """Set conflicts aside, regroup or refuse a separated group, split, and audit the result.

    Args:
        images: those fit for use, with their ids, the task's labels and the given part.
        groups: of the images.
        decided: a person's decisions on the images.
        study: its ``data`` and ``seed`` are used.
        chosen: the task.
        aside: what is set aside already; grows.
        notes: sentences for the audit; grows.
        gate: whether a given split that separates groups fails.

    Raises:
        BadInput: a class without images, a split without a training part, or many images set
            aside where no mode of ``near_duplicates`` is named.
        GateFailed: the given split separates groups and ``regroup`` is off.
    """
    config = study.data
    cases = [image.case for image in images]
    files = [c.file for c in cases]
    given = [split.given_part(c) for c in cases]
    out = set(decided.aside)
    aside.extend(SetAside(files[i], f"{DECIDED}: {why}" if why else DECIDED)
                 for i, why in sorted(decided.aside.items()))
    disputed = _disputed(cases, groups, out)
    if gate and config.near_duplicates is None:
        _ask(disputed, cases, config.source)
    in_dispute = {i for members in disputed.values() for i in members}
    aside.extend(SetAside(files[i], CONFLICT) for i in sorted(in_dispute))
    out |= in_dispute
    if any(given):
        unplaced = [i for i, p in enumerate(given) if p is None and i not in out]
        aside.extend(SetAside(files[i], NO_SPLIT) for i in unplaced)
        out.update(unplaced)
    used = [i for i in range(len(files)) if i not in out]
    task.check_counts(Counter(cases[i].label for i in used), chosen.classes,
                      f"{config.source} (after setting images aside)")
    names = _group_names([c.id for c in cases], groups.together)
    used_names = [names[i] for i in used]
    parts_given = [given[i] for i in used]
    separated = split.separated_groups([files[i] for i in used], used_names, parts_given)
    if not config.regroup:
        if gate:
            audit.gate(separated, config.split_file or config.source)
    else:
        if separated:
            notes.append(f"Groups separated by the given split: {len(separated)}. Each was moved "
                         "whole to the part with most of its images, ties to train.")
        parts_given = split.regroup(used_names, parts_given)
    parts, carved = split.split([cases[i].label for i in used], used_names, parts_given,
                                config.proportions, study.seed)
    part_of: Mapping[int, Split] = dict(zip(used, parts, strict=True))
    images = [replace(image, case=replace(
        image.case, group=names[i], split=part_of.get(i, "set_aside"),
        flags=(*((FLAG_16BIT,) if image.is_16bit else ()),
               *(("conflict",) if i in in_dispute else ()), *image.overlays.flags)))
        for i, image in enumerate(images)]
    cases, in_use = [image.case for image in images], [images[i] for i in used]
    counts = audit.used_counts(cases, chosen.classes)
    if chosen.positive is not None and config.positive is None \
            and chosen.positive.lower() != task.DEFAULT_POSITIVE:
        notes.append(f"No positive class is named, so {chosen.positive!r}, the last in order, is "
                     "used. Choose another with --positive.")
    if disputed:
        notes.append(f"Images under several classes: {len(disputed)}. Their {len(in_dispute)} "
                     "files are set aside and listed.")
    joined = sum(groups.duplicates[i] == groups.duplicates[j] for i, j in decided.apart)
    if joined:
        notes.append("Pairs that a decision keeps apart, but equal pixels or other images join: "
                     f"{joined}.")
    sizes = Counter(used_names)
    balance = {name: sum(c[name] for c in counts.values()) for name in chosen.classes}
    shared_groups, shared_patients = audit.shared(cases)
    wide = [i for i in in_use if i.is_16bit]
    told = {i.declared_bits for i in wide}
    said = range16.said([i.peak for i in wide], next(iter(told)) if len(told) == 1 else None)
    notes.extend([said] if said else [])
    ways = shortcuts(in_use, chosen.classes, chosen.positive, study.seed)
    notes.extend([*audit.balance_notes(balance), *audit.shortcut_notes(ways)])
    return cases, Audit(
        read=len(used) + len(aside), masks=sum(len(c.masks) for c in cases), used=counts,
        set_aside=tuple(aside), groups=len(sizes), largest_group=max(sizes.values(), default=0),
        duplicates=audit.pairs(groups, files),
        conflicts=tuple(_conflict([cases[i] for i in m]) for m in disputed.values()),
        twins=tuple(separated), regrouped=bool(separated) and config.regroup,
        notes=(*notes, *carved, *audit.empty_parts(counts)), balance=balance,
        findings=audit.findings_by_class(cases, chosen.classes), outliers=_outliers(in_use),
        shortcuts=ways, shared_groups=shared_groups, shared_patients=shared_patients,
        decisions=len(decided.apart) + len(decided.aside))


def _disputed(cases: Sequence[Case], groups: Groups, out: set[int]) -> dict[int, list[int]]:
    """Return the images of each set under several classes, of those not set aside already."""
    left = [i for i in range(len(cases)) if i not in out]
    at = {i: k for k, i in enumerate(left)}
    verified = None if groups.verified is None else [
        (at[i], at[j]) for i, j in groups.verified if i in at and j in at]
    sets = conflicts([groups.duplicates[i] for i in left], [cases[i].label for i in left], verified)
    return {root: [left[k] for k in members] for root, members in sets.items()}


def _ask(disputed: dict[int, list[int]], cases: Sequence[Case], where: str) -> None:
    """Stop where so many images are set aside that near-duplicates may be none. Raises BadInput."""
    count = sum(map(len, disputed.values()))
    if count < _FEW or count <= _MANY * len(cases):
        return
    first = next(iter(disputed.values()))
    a = cases[first[0]]
    b = next(cases[i] for i in first if cases[i].label != a.label)
    raise BadInput(
        f"{count} of {len(cases)} images ({count / len(cases):.0%}) would be set aside, as "
        f"near-duplicates under several classes; first {a.file!r} ({a.label}) and {b.file!r} "
        f"({b.label})", where=where,
        remedy="Look at them with bedside audit, then choose: --near-duplicates default sets them "
               "aside, strict or exact joins fewer, off none.")


def _outliers(images: Sequence[ScannedImage]) -> tuple[Outlier, ...]:
    return outliers(
        [i.case.file for i in images],
        {"height_px": [i.case.height_px for i in images],
         "width_px": [i.case.width_px for i in images],
         "mean": [i.overlays.mean for i in images],
         "spread": [i.overlays.spread for i in images]},
        logarithmic=("height_px", "width_px"))


def _conflict(cases: Sequence[Case]) -> Conflict:
    by_label: dict[str, tuple[str, ...]] = {}
    for case in cases:
        by_label[case.label] = (*by_label.get(case.label, ()), case.file)
    return Conflict(by_label)


def with_ids(images: Sequence[ScannedImage]) -> list[ScannedImage]:
    """Give each image an id from its content: stable, and without a patient's or a file's name."""
    ids = [""] * len(images)
    copies: Counter[str] = Counter()
    for i in sorted(range(len(images)), key=lambda i: images[i].case.file):
        stem = "c" + images[i].content[:15]
        copies[stem] += 1
        ids[i] = stem if copies[stem] == 1 else f"{stem}-{copies[stem]}"
    return [replace(image, case=replace(image.case, id=case_id))
            for image, case_id in zip(images, ids, strict=True)]


def _group_names(ids: Sequence[str], roots: Sequence[int]) -> list[str]:
    """Return each image's group, named after the smallest id in it."""
    first: dict[int, str] = {}
    for case_id, root in zip(ids, roots, strict=True):
        first[root] = min(first.get(root, case_id), case_id)
    return ["g" + first[root][1:] for root in roots]
