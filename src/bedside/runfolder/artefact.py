"""Stage folders: published atomically, hashed and resumable.

A folder may hold the results of several stages (``models/<model>`` holds those of train and
convert). Each stage works in a scratch folder beside its results; when it is done its files
are moved in and ``manifest.json`` is written last. A file that no manifest lists, or whose
hash differs, does not exist as far as later stages are concerned.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.runtime.files import disk_errors as disk_errors
from bedside.runtime.files import disk_fault as disk_fault
from bedside.runtime.files import sha256_file as sha256_file
from bedside.runtime.files import write_text as write_text

MANIFEST = "manifest.json"
_KEY_FILE = ".key"


def write_csv(path: Path, header: Iterable[object], rows: Iterable[Iterable[object]]) -> None:
    """Write a small table, as :func:`write_text` writes."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, buffer.getvalue())


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One published file."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class StageRecord:
    """The files that one finished stage published in a folder, and the key of its inputs."""

    key: str
    files: dict[str, FileRecord] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """``manifest.json``: the finished stages of a folder by name."""

    schema: int = 1
    stages: dict[str, StageRecord] = field(default_factory=dict)


def stage_key(*parts: Any) -> str:
    """Return a key for a stage: the hash of everything its result depends on.

    Args:
        parts: dataclasses, plain data and hashes; encoded canonically, so equal inputs give
            equal keys on every machine.
    """
    return hashlib.sha256(codec.to_json(list(parts)).encode()).hexdigest()[:24]


# ------------------------------------------------------------------ stage folders


def read_manifest(folder: Path) -> Manifest:
    """Return the folder's manifest, or an empty one where no stage has finished.

    Raises:
        BadInput: a manifest that does not read, or names a file outside its folder.
    """
    path = folder / MANIFEST
    if not path.exists():
        return Manifest()
    try:
        found = codec.read_json(Manifest, path)
        for name in (n for stage in found.stages.values() for n in stage.files):
            # A folder from elsewhere must not name files outside itself: publishing removes some.
            if name.startswith("/") or ".." in PurePosixPath(name).parts:
                raise BadInput(f"{name!r} lies outside the folder", where=path)
    except BadInput as error:
        raise BadInput(error.fault, where=error.where, remedy="Delete its folder and run again; "
                       "what the folder held is made anew.") from None
    return found


def finished(folder: Path, stage: str, key: str | None = None) -> bool:
    """Return whether ``stage`` has published in ``folder`` (with ``key``), files intact.

    Sizes are compared here; hashes where the files are read (:func:`check`).
    """
    record = read_manifest(folder).stages.get(stage)
    if record is None or (key is not None and record.key != key):
        return False
    for name, entry in record.files.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != entry.size_bytes:
            return False
    return True


def record(folder: Path, stage: str) -> StageRecord:
    """Return the record of a finished stage.

    Raises:
        BadInput: the stage has not finished here.
    """
    found = read_manifest(folder).stages.get(stage)
    if found is None:
        raise BadInput(f"stage {stage!r} has not finished here", where=folder,
                       remedy="Run it first (bedside run continues where it stopped).")
    return found


def check(folder: Path, stage: str) -> StageRecord:
    """Compare every published file of a stage with its hash.

    Raises:
        BadInput: a file is missing or differs.
    """
    found = record(folder, stage)
    for name, entry in found.files.items():
        path = folder / name
        _compare(path, entry)
    return found


def stage_folders(folder: Path) -> list[Path]:
    """Return every folder at or below ``folder`` in which a stage has finished, sorted."""
    return sorted(p.parent for p in folder.rglob(MANIFEST)
                  if not any(part.startswith(".") for part in p.relative_to(folder).parts))


def check_all(folder: Path) -> dict[str, StageRecord]:
    """Compare the files of every stage of a folder with their hashes; see :func:`check`."""
    return {stage: check(folder, stage) for stage in read_manifest(folder).stages}


def checked(folder: Path, stage: str, name: str) -> Path:
    """Return the path of one published file, compared with its hash; no other is read.

    Raises:
        BadInput: the stage has not finished here or did not publish it; it is missing or differs.
    """
    entry = record(folder, stage).files.get(name)
    if entry is None:
        raise BadInput(f"not among what stage {stage!r} published", where=folder / name,
                       remedy="Delete the folder and run the stage again.")
    _compare(folder / name, entry)
    return folder / name


def verified(path: Path) -> Path:
    """Return the path, compared with its hash where a stage of its folder published it.

    Raises:
        BadInput: it is listed, and missing or different.
    """
    for found in read_manifest(path.parent).stages.values():
        if path.name in found.files:
            _compare(path, found.files[path.name])
    return path


def read_document(path: Path) -> Any:
    """Return a JSON document as plain data, compared with its hash where a stage published it.

    Raises:
        BadInput: it does not read, or it is listed and different.
    """
    return codec.parse_json(codec.read_text(verified(path)), str(path))


def intact(folder: Path, stage: str, key: str | None = None) -> bool:
    """Return :func:`finished` with every hash compared, for a stage that can remake its files."""
    if not finished(folder, stage, key):
        return False
    return all(sha256_file(folder / name) == entry.sha256
               for name, entry in record(folder, stage).files.items())


def recorded(folder: Path, stage: str) -> bool:
    """Return whether ``stage`` has published here, whatever became of its files since."""
    return stage in read_manifest(folder).stages


def _compare(path: Path, entry: FileRecord) -> None:
    # Deleted, a file is one that its stage did not finish: a run makes it anew.
    if not path.is_file():
        raise BadInput("listed in the manifest but missing", where=path,
                       remedy="Run again: bedside run --out RUN makes it anew.")
    if path.stat().st_size != entry.size_bytes or sha256_file(path) != entry.sha256:
        raise BadInput("differs from the hash in its manifest", where=path,
                       remedy="Delete this file; bedside run --out RUN makes it anew.")


def scratch_dir(folder: Path, stage: str) -> Path:
    """Return the folder in which a stage works before it publishes."""
    return folder / f".{stage}.part"


@contextmanager
def writing(folder: Path, stage: str, key: str, *, resume: bool = False,
            facts: dict[str, str] | None = None) -> Iterator[Path]:
    """Yield a scratch folder; publish its files into ``folder`` when the block ends well.

    Args:
        folder: where the results go.
        stage: the stage's name in the manifest.
        key: from :func:`stage_key`.
        resume: keep what an interrupted attempt with the same key left in the scratch folder.
            Names that begin with a dot (checkpoints) are never published; they go with the
            scratch folder once the manifest stands, so a kill in between loses none of them.
        facts: short facts to keep in the manifest (versions).

    On an exception the scratch folder stays only when ``resume``; published results stay as
    they were.
    """
    scratch = scratch_dir(folder, stage)
    with disk_errors(folder):
        key_file = scratch / _KEY_FILE
        if scratch.exists() and not (resume and key_file.is_file() and key_file.read_text() == key):
            shutil.rmtree(scratch)
        scratch.mkdir(parents=True, exist_ok=True)
        key_file.write_text(key)
    try:
        with disk_errors(folder):
            yield scratch
            _publish(folder, stage, StageRecord(key, facts=facts or {}), scratch)
    except BaseException:
        if not resume:
            shutil.rmtree(scratch, ignore_errors=True)
        raise


def _publish(folder: Path, stage: str, entry: StageRecord, scratch: Path) -> None:
    files = sorted(p for p in scratch.rglob("*")
                   if p.is_file() and not p.relative_to(scratch).parts[0].startswith("."))
    records = {}
    for path in files:
        _fsync(path)
        name = path.relative_to(scratch).as_posix()
        records[name] = FileRecord(sha256_file(path), path.stat().st_size)
    manifest = read_manifest(folder)
    before = manifest.stages.get(stage)
    if before is not None:
        # Not finished while its files are being replaced.
        rest = {k: v for k, v in manifest.stages.items() if k != stage}
        write_text(folder / MANIFEST, codec.to_json(replace(manifest, stages=rest)))
        for name in before.files:
            if name not in records:
                (folder / name).unlink(missing_ok=True)
    for path in files:
        target = folder / path.relative_to(scratch)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
    stages = dict(read_manifest(folder).stages)
    stages[stage] = replace(entry, files=records)
    write_text(folder / MANIFEST, codec.to_json(Manifest(stages=dict(sorted(stages.items())))))
    shutil.rmtree(scratch)


def _fsync(path: Path) -> None:
    with path.open("rb") as handle:
        os.fsync(handle.fileno())


def keep_history(folder: Path) -> None:
    """Move a folder's published results aside, so that a new measurement never erases an old.

    They go to ``.history/<folder>/<n>`` beside it.
    """
    if not (folder / MANIFEST).exists():
        return
    shelf = folder.parent / ".history" / folder.name
    shelf.mkdir(parents=True, exist_ok=True)
    number = 1 + max((int(p.name) for p in shelf.iterdir() if p.name.isdigit()), default=0)
    folder.rename(shelf / f"{number:04d}")
