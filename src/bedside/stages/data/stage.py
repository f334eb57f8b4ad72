"""The data stage: read, choose the task, scan every image, group, split, audit, publish."""

from __future__ import annotations

import difflib
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bedside import readers
from bedside.core import codec, registry
from bedside.core.errors import BadInput
from bedside.core.progress import Progress
from bedside.core.study import DataConfig, Study
from bedside.core.types import SetAside, Split
from bedside.readers import imported
from bedside.readers.base import Listing, no_class_names
from bedside.readers.files import FileIndex, cleaned
from bedside.readers.manifest import read_table, split_of
from bedside.runfolder import artefact, layout
from bedside.runfolder.cases import cases_to_csv
from bedside.stages.data import assemble, decisions, scan, split, task
from bedside.stages.data.duplicates.group import group
from bedside.stages.data.scan import Thumbs
from bedside.stages.data.source import SOURCE, Source

STAGE = "data"
PHANTOM = "phantom"
# Raised when the same input would give another result.
_VERSION = 4


def prepare(run: Path, study: Study, progress: Progress | None = None, workers: int = 2,
            folder: Path | None = None, gate: bool = True) -> None:
    """Write ``RUN/data``: ``cases.csv``, ``task.json``, ``audit.json``, ``source.json``.

    Skipped where it has finished with the same configuration, seed and image contents.

    Args:
        run: the run folder.
        study: its ``data`` and ``seed`` are used.
        progress: called with (stage, done, total[, detail]).
        workers: threads that decode.
        folder: written in place of ``RUN/data``.
        gate: whether a given split that separates groups fails the stage. Without it the cases
            are as given and must not be trained on: only an audit's own folder holds them.

    Raises:
        BadInput: see the readers, ``task`` and ``scan``.
        GateFailed: the given split separates groups and ``regroup`` is off.
    """
    config = study.data
    split.check_proportions(config.proportions)
    listing, source = read(run, study, progress)
    chosen, becomes = task.resolve(config, (c.label for c in listing.cases))
    given, notes = _given_split(listing, config.split_file)
    decided, decided_in = decisions.read(config.decisions, run)
    hashes = scan.file_hashes(listing.root, [c.file for c in listing.cases], workers, progress)
    key = artefact.stage_key(STAGE, _VERSION, config, study.seed,
                             _fingerprint(listing, hashes, given), source, decided, gate)
    folder = folder or layout.data_dir(run)
    if artefact.intact(folder, STAGE, key):
        _say(progress, "data", "already done")
        return
    aside = [*listing.set_aside,
             *(SetAside(c.file, f"class {c.label!r} excluded") for c in listing.cases
               if becomes[c.label] is None)]
    wanted = [replace(case, label=label, split=part or "set_aside", sha256=sha256)
              for case, part, sha256 in zip(listing.cases, given, hashes, strict=True)
              if (label := becomes[case.label]) is not None]
    # The counts of a data set that cannot work are known before an hour of decoding.
    task.check_counts(Counter(c.label for c in wanted), chosen.classes, str(listing.root))
    with artefact.writing(folder, STAGE, key) as scratch, Thumbs(scratch) as thumbs:
        results = scan.scan(listing.root, wanted, thumbs, workers, progress, config.skip_bad)
        aside.extend(SetAside(case.file, result.fault)
                     for case, result in zip(wanted, results, strict=True)
                     if isinstance(result, BadInput))
        images = assemble.with_ids([r for r in results if not isinstance(r, BadInput)])
        resolved = decisions.resolve(decided, [i.case for i in images], decided_in)
        if progress:
            progress("compare images", 0, 1)
        groups = group(images, thumbs, apart=resolved.apart,
                       mode=config.near_duplicates or "default")
        cases, report = assemble.assemble(images, groups, resolved, study, chosen, aside,
                                          [*listing.notes, *notes], gate)
        for note in report.notes:
            _say(progress, "data", note)
        artefact.write_text(scratch / layout.CASES, cases_to_csv(cases))
        artefact.write_text(scratch / layout.TASK, codec.to_json(chosen))
        artefact.write_text(scratch / layout.AUDIT, codec.to_json(report))
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
        from bedside.synthetic.phantom import write_dataset

        out = layout.data_dir(run) / PHANTOM

        def tick(done: int, total: int) -> None:
            if progress:
                progress("draw images", done, total)

        path = write_dataset(config.phantom, study.seed, out, tick)
        name, source = "manifest", Source("manifest", out.relative_to(run).as_posix())
    else:
        path = Path(config.source)
        name = reader_of(path, run, bool(config.columns))
        source = Source(name, "")
    listing = _listing(path, name, config)
    return listing, source if source.root else Source(name, str(listing.root))


def _listing(path: Path, name: str, config: DataConfig) -> Listing:
    reader = registry.lookup(readers.READERS, name, "reader")
    found: Listing = reader(path, config.class_names, **readers.options_of(name, config))
    return found


def refuse(run: Path, study: Study) -> None:
    """Raise what :func:`prepare` would before it decodes an image; write nothing.

    Files of DICOM and of an ``.npz`` are not opened, which would take too long.

    Raises:
        BadInput: see :func:`prepare`.
    """
    config = study.data
    split.check_proportions(config.proportions)
    if config.source == PHANTOM:
        from bedside.synthetic import phantom

        phantom.validate(config.phantom, study.seed)
        no_class_names(config.class_names, Path(PHANTOM))
        readers.options_of("manifest", config)
        place, labels = PHANTOM, list(phantom.labels(config.phantom, study.seed))
    else:
        path = Path(config.source)
        name = reader_of(path, run, bool(config.columns))
        if name not in ("folder", "manifest"):
            readers.options_of(name, config)
            if name == "dicom":
                imported.require(path.resolve(), path)
            return
        listing = _listing(path, name, config)
        _given_split(listing, config.split_file)
        place, labels = str(listing.root), [c.label for c in listing.cases]
    chosen, becomes = task.resolve(config, labels)
    decisions.read(config.decisions, run)
    task.check_counts(Counter(becomes[v] or "" for v in labels if becomes[v] is not None),
                      chosen.classes, place)


def reader_of(path: Path, run: Path, mapped: bool = False) -> str:
    """Return the reader of a data set, whose folder the run must not lie in.

    Args:
        path: the data set.
        run: the run folder.
        mapped: whether a mapping of columns is given.

    Raises:
        BadInput: bedside reads nothing there, or the run's own images would become
            images of the data set.
    """
    name = readers.detect(path, mapped)
    walked = name in ("folder", "dicom") or (mapped and path.is_dir())
    if walked and run.resolve().is_relative_to(path.resolve()):
        raise BadInput("the run folder lies inside the data set, whose folders are its classes",
                       where=run, remedy=f"Give an --out outside {path}.")
    return name


def _given_split(listing: Listing, split_file: str | None) -> tuple[list[Split | None], list[str]]:
    """Return the given part of each image, from ``--split-file`` or the data set, and notes."""
    if split_file is None:
        return [split.given_part(c) for c in listing.cases], []
    path = Path(split_file)
    rows, notes = read_table(path, ("file", "split"), ())
    parts: dict[str, Split] = {}
    known = {c.file for c in listing.cases}
    spelt = FileIndex(known)
    for where, row in rows:
        file, part = row["file"], split_of(row["split"], where)
        file = file if file in known else spelt.same(cleaned(file)) or file
        if file in parts:
            raise BadInput(f"{file!r} is listed twice", where=where,
                           remedy="Keep one line per image.")
        if part is None:
            raise BadInput(f"{file!r} has no split", where=where,
                           remedy="Write train, val or test, or remove the line.")
        if file not in known:
            raise BadInput(f"{file!r} is no image of {listing.root}", where=where,
                           remedy=_near(file, known))
        parts[file] = part
    if not parts:
        raise BadInput("no image is listed", where=path, remedy="Add one line per image.")
    said = list(notes)
    if any(split.given_part(c) for c in listing.cases):
        said.append(f"{path.name} replaces the split that the data set gives.")
    return [parts.get(c.file) for c in listing.cases], said


def _near(file: str, known: set[str]) -> str:
    # Comparing with 100,000 names would take minutes.
    near = difflib.get_close_matches(file, sorted(known), n=1) if len(known) < 5000 else []
    return (f"Did you mean {near[0]!r}?" if near else
            "Write paths as bedside lists them, relative to the data set's folder.")


def _fingerprint(listing: Listing, hashes: Sequence[str], given: Sequence[Split | None]) -> str:
    """Return a hash of everything the stage takes from the data set."""
    digest = hashlib.sha256()
    for case, sha256, part in zip(listing.cases, hashes, given, strict=True):
        row = (case.file, case.label, case.patient, part, case.masks, case.age, case.size_mm,
               sha256, *((case.device,) if case.device else ()),
               *((f"sex {case.sex}",) if case.sex else ()))
        digest.update(repr(row).encode())
    for entry in listing.set_aside:
        digest.update(repr((entry.file, entry.reason)).encode())
    return digest.hexdigest()
