"""The data stage: read, choose the task, check every image, group, split, audit, publish."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bedside import artefact, codec, registry, rundir
from bedside.data import audit, readers, scan, split, task
from bedside.data.cache import WIDE
from bedside.data.group import Groups, conflicts, group
from bedside.data.parallel import Progress
from bedside.data.readers.base import Listing, RawCase
from bedside.data.readers.manifest import read_table, split_of
from bedside.data.scan import Scanned, Thumbs
from bedside.data.source import SOURCE, Source
from bedside.errors import BadInput
from bedside.types import Case, SetAside, Split, Study, Task

STAGE = "data"
PHANTOM = "phantom"
# Raised when the same input would give another result.
_VERSION = 2

NO_SPLIT = "no part in the given split"
CONFLICT = "one picture under several classes"


@dataclass(frozen=True, slots=True)
class _Kept:
    """Images that are fit for use, field by field in one order."""

    raw: tuple[RawCase, ...]
    seen: tuple[Scanned, ...]
    labels: tuple[str, ...]
    groups: Groups

    @property
    def files(self) -> list[str]:
        return [r.file for r in self.raw]


def prepare(run: Path, study: Study, progress: Progress | None = None, workers: int = 2) -> None:
    """Write ``RUN/data``: ``cases.csv``, ``task.json``, ``audit.json``, ``source.json``.

    Skipped where it has finished with the same configuration, seed and image contents.

    Args:
        run: the run folder.
        study: its ``data`` and ``seed`` are used.
        progress: called with (stage, done, total[, detail]).
        workers: threads that decode.

    Raises:
        BadInput: see the readers, :mod:`bedside.data.task` and :mod:`bedside.data.scan`.
        GateFailed: the given split separates groups and ``regroup`` is off.
    """
    config = study.data
    split.check_proportions(config.proportions)
    listing, source = read(run, study, progress)
    chosen, becomes = task.resolve(config, (c.label for c in listing.cases))
    given, notes = _given_split(listing, config.split_file)
    hashes = scan.file_hashes(listing.root, [c.file for c in listing.cases], workers, progress)
    key = artefact.stage_key(STAGE, _VERSION, config, study.seed, _fingerprint(listing, hashes,
                                                                               given), source)
    folder = rundir.data_dir(run)
    if artefact.finished(folder, STAGE, key):
        _say(progress, "data", "already done")
        return
    aside = list(listing.set_aside)
    wanted = [i for i, c in enumerate(listing.cases) if becomes[c.label] is not None]
    aside.extend(SetAside(c.file, f"class {c.label!r} excluded") for c in listing.cases
                 if becomes[c.label] is None)
    # The counts of a data set that cannot work are known before an hour of decoding.
    task.check_counts(Counter(becomes[listing.cases[i].label] or "" for i in wanted),
                      chosen.classes, str(listing.root))
    with artefact.writing(folder, STAGE, key) as scratch, Thumbs(scratch) as thumbs:
        found = scan.scan(listing.root, [listing.cases[i].file for i in wanted],
                          [hashes[i] for i in wanted], thumbs, workers, progress, config.skip_bad)
        raw, seen = [], []
        for i, result in zip(wanted, found, strict=True):
            case = dataclasses.replace(listing.cases[i], split=given[i])
            if isinstance(result, BadInput):
                aside.append(SetAside(case.file, result.fault))
            else:
                raw.append(case)
                seen.append(result)
        groups = group(seen, [c.patient for c in raw], thumbs)
        labels = tuple(becomes[c.label] or "" for c in raw)
        kept = _Kept(tuple(raw), tuple(seen), labels, groups)
        cases, report = _divide(kept, study, chosen, aside, [*listing.notes, *notes])
        for note in report.notes:
            _say(progress, "data", note)
        artefact.write_text(scratch / rundir.CASES, rundir.cases_to_csv(cases))
        artefact.write_text(scratch / rundir.TASK, codec.to_json(chosen))
        artefact.write_text(scratch / rundir.AUDIT, codec.to_json(report))
        artefact.write_text(scratch / SOURCE, codec.to_json(source))


def _say(progress: Progress | None, stage: str, detail: str) -> None:
    if progress:
        progress(stage, 1, 1, detail)


# ------------------------------------------------------------------ reading


def read(run: Path, study: Study, progress: Progress | None = None) -> tuple[Listing, Source]:
    """List a study's images with the reader that fits, drawing synthetic ones first.

    Raises:
        BadInput: see the readers.
    """
    config = study.data
    if config.source == PHANTOM:
        from bedside.data.phantom import write_dataset

        out = rundir.data_dir(run) / PHANTOM

        def tick(done: int, total: int) -> None:
            if progress:
                progress("draw images", done, total)

        path = write_dataset(config.phantom, study.seed, out, tick)
        name, source = "manifest", Source("manifest", out.relative_to(run).as_posix())
    else:
        path = Path(config.source)
        name = readers.detect(path)
        source = Source(name, "")
    reader = registry.lookup(readers.READERS, name, "reader")
    listing: Listing = reader(path, config.class_names, **readers.options_of(name, config))
    return listing, source if source.root else Source(name, str(listing.root))


def _given_split(listing: Listing, split_file: str | None
                 ) -> tuple[list[Split | None], list[str]]:
    """The given part of each image, from ``--split-file`` or the data set, and notes."""
    if split_file is None:
        return [c.split for c in listing.cases], []
    path = Path(split_file)
    rows, notes = read_table(path, ("file", "split"), ())
    parts: dict[str, Split] = {}
    known = {c.file for c in listing.cases}
    for where, row in rows:
        file, part = row["file"], split_of(row["split"], where)
        if file in parts:
            raise BadInput(f"{file!r} is listed twice", where=where,
                           remedy="Keep one line an image.")
        if part is None:
            raise BadInput(f"{file!r} has no split", where=where,
                           remedy="Write train, val or test, or remove the line.")
        if file not in known:
            raise BadInput(f"{file!r} is no image of {listing.root}", where=where,
                           remedy=_near(file, known))
        parts[file] = part
    if not parts:
        raise BadInput("no image is listed", where=path, remedy="Add one line an image.")
    said = list(notes)
    if any(c.split for c in listing.cases):
        said.append(f"{path.name} replaces the split that the data set gives.")
    return [parts.get(c.file) for c in listing.cases], said


def _near(file: str, known: set[str]) -> str:
    # Comparing with 100,000 names would take minutes.
    near = difflib.get_close_matches(file, sorted(known), n=1) if len(known) < 5000 else []
    return (f"Did you mean {near[0]!r}?" if near else
            "Write paths as bedside lists them, relative to the data set's folder.")


def _fingerprint(listing: Listing, hashes: Sequence[str], given: Sequence[Split | None]) -> str:
    """A hash of everything the stage takes from the data set."""
    digest = hashlib.sha256()
    for case, sha256, part in zip(listing.cases, hashes, given, strict=True):
        row = (case.file, case.label, case.patient, part, case.masks, case.age, case.size_mm,
               sha256)
        digest.update(repr(row).encode())
    for entry in listing.set_aside:
        digest.update(repr((entry.file, entry.reason)).encode())
    return digest.hexdigest()


# ------------------------------------------------------------------ dividing


def _divide(kept: _Kept, study: Study, chosen: Task, aside: list[SetAside], notes: list[str]
            ) -> tuple[list[Case], audit.Audit]:
    """Set conflicts aside, mend or refuse a separated group, split, and write it all down."""
    config = study.data
    files, kept_groups = kept.files, kept.groups.kept
    given = [r.split for r in kept.raw]
    disputed = conflicts(kept.groups.pictures, kept.labels)
    out = {i for members in disputed.values() for i in members}
    aside.extend(SetAside(files[i], CONFLICT) for i in sorted(out))
    if any(given):
        unplaced = [i for i, p in enumerate(given) if p is None and i not in out]
        aside.extend(SetAside(files[i], NO_SPLIT) for i in unplaced)
        out.update(unplaced)
    used = [i for i in range(len(files)) if i not in out]
    task.check_counts(Counter(kept.labels[i] for i in used), chosen.classes,
                      f"{config.source} (after setting images aside)")
    ids = _ids(kept.seen, files)
    names = _group_names(ids, kept_groups)
    here = [names[i] for i in used]
    parts_given = [given[i] for i in used]
    separated = split.twins([files[i] for i in used], here, parts_given)
    if not config.regroup:
        audit.gate(separated, config.split_file or config.source)
    else:
        if separated:
            notes.append(f"Groups that the given split separates: {len(separated)}; each was "
                         "moved whole to the part with most of its images, ties to train.")
        parts_given = split.regroup(here, parts_given)
    parts, carved = split.split([kept.labels[i] for i in used], here, parts_given,
                                config.proportions, study.seed)
    part_of = dict(zip(used, parts, strict=True))
    cases = []
    for i, (case, seen) in enumerate(zip(kept.raw, kept.seen, strict=True)):
        flags = ((WIDE,) if seen.wide else ()) + (("conflict",) if kept.groups.pictures[i]
                                                  in disputed else ())
        cases.append(Case(
            ids[i], case.file, kept.labels[i], case.patient, names[i],
            part_of.get(i, "set_aside"), seen.height_px, seen.width_px, seen.sha256, flags,
            case.masks, case.age, case.size_mm))
    counts = audit.used_counts(cases, chosen.classes)
    if chosen.positive is not None and config.positive is None \
            and chosen.positive.lower() != task.DEFAULT_POSITIVE:
        notes.append(f"No positive class is named: {chosen.positive!r}, the last in order, is "
                     "taken (--positive chooses).")
    if disputed:
        images = sum(len(m) for m in disputed.values())
        notes.append(f"Pictures that lie under several classes: {len(disputed)}; their {images} "
                     "images are set aside and listed.")
    sizes = Counter(here)
    return cases, audit.Audit(
        read=len(used) + len(aside), masks=sum(len(r.masks) for r in kept.raw), used=counts,
        set_aside=tuple(aside), groups=len(sizes), largest_group=max(sizes.values(), default=0),
        duplicates=audit.pairs(kept.groups, files),
        conflicts=tuple(audit.Conflict(_by_label(m, kept.labels, files))
                        for m in disputed.values()),
        twins=tuple(separated), regrouped=bool(separated) and config.regroup,
        notes=(*notes, *carved, *audit.empty_parts(counts)))


def _by_label(members: Sequence[int], labels: Sequence[str], files: Sequence[str]
              ) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for i in members:
        found[labels[i]] = (*found.get(labels[i], ()), files[i])
    return found


def _ids(seen: Sequence[Scanned], files: Sequence[str]) -> list[str]:
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
