"""De-identify a folder: every file in parallel, one ledger entry each."""

from __future__ import annotations

import json
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.progress import Progress
from bedside.core.types import DeidConfig
from bedside.deid import key, ledger, names, private_folder, process_file, profile
from bedside.deid import tables as table_rows
from bedside.deid.key import Key
from bedside.deid.ledger import Entry, Ledger
from bedside.deid.outcome import Quarantine
from bedside.deid.spelling import Spelled, without_frame
from bedside.readers import MANIFEST_CSV
from bedside.readers.parallel import Throttle
from bedside.readers.sandbox import Limits, Pool
from bedside.runfolder import artefact

STAGE = "deid"
DEVICES = "devices"
_VERSION = 3
_JOURNAL = ".journal"
TABLES = "tables"
_PROCESS = "bedside.deid.process_file:process"
# The text search keeps its models in memory and searches every frame of a film.
_LIMITS = Limits(memory_bytes=6 << 30, seconds=900.0)
_TABLES = frozenset({".csv"})


def deidentify(src: Path, out: Path, private: Path, config: DeidConfig | None = None,
               progress: Progress | None = None, workers: int = 2, key_file: Path | None = None,
               *, stage: str = STAGE, facts: dict[str, str] | None = None,
               wanted: Callable[[str], bool] | None = None, inside: bool = False,
               origin: Path | None = None) -> Ledger:
    """De-identify every file of a folder.

    ``out`` receives clean files under keyed names and ``ledger.csv``; ``private`` the key,
    ``names.csv`` (the way back), quarantined candidates and previews, all with mode 0600.
    Originals are only read. Finished work is skipped, an interrupted run continues.

    Args:
        src: a folder.
        out: the clean folder; none of ``src``, ``out`` and ``private`` lies in another.
        private: a folder that only its owner can open; made where it is missing.
        config: options.
        progress: called with (stage, done, total[, detail]).
        workers: processes.
        key_file: a key of the user's own in place of ``private/deid.key``.
        stage: the name under which the result is published.
        facts: what the manifest says besides the profile.
        wanted: whether to take a file, by its path relative to ``src``.
        inside: ``src`` is the caller's own folder inside ``private``.
        origin: what the user named as the source, where that is not ``src``.

    Returns:
        One entry for every file below ``src``.

    Raises:
        BadInput: folders inside one another, a key or folder that others may read, no file,
            or folders that hold another source.
        MissingComponent: pydicom or the profile's table is not installed.
    """
    config = config or DeidConfig()
    if not src.is_dir():
        raise BadInput("no such folder", where=src, remedy="Check the path.")
    check_folders(private if inside else src, out, private, inside)
    profile.load(config.options)
    process_file.check_search(config)
    found_key = key.find_key(private, key_file)
    secret = found_key or key.new_key()
    root = src.resolve()
    files = [f for f in _walk(root) if wanted is None or wanted(f[0])]
    if not files:
        raise BadInput("no file in the folder", where=src, remedy="Check the path.")
    # Files unpacked anew carry the time of the file that they come from.
    stamp = (origin or src).stat().st_mtime_ns
    listed = [(n, size, stamp if inside else time, fault) for n, size, time, fault in files]
    stage_key = artefact.stage_key(stage, _VERSION, config, process_file.PIXELS or "",
                                   secret.digest("listing", repr(listed)).hex())
    if artefact.finished(out, stage, stage_key):
        if progress:
            progress(stage, 1, 1, "already done")
        return ledger.from_csv(codec.read_text(out / ledger.LEDGER))
    # Nothing is written before this point: a refused input leaves no folder and no key behind.
    private_folder.check(private, out, secret, origin or src)
    key.private_dir(private)
    if found_key is None:
        key.keep_key(private, secret)
    journal = _journal(private, stage_key)
    said = {"profile": f"PS3.15 Annex E {profile.EDITION}", **(facts or {})}
    with artefact.writing(out, stage, stage_key, resume=True, facts=said) as scratch:
        found = _run(root, files, scratch, private, journal, secret, config,
                     Throttle(progress, stage, len(files)), workers)
        result = Ledger(tuple(sorted(found, key=lambda e: e.id)))
        devices = Counter(e.device for e in found if e.device)
        if devices:
            said[DEVICES] = json.dumps(dict(sorted(devices.items(), key=lambda d: (-d[1], d[0]))))
        key.write_private(private / ledger.NAMES, ledger.names_csv(result).encode(
            "utf-8", "surrogateescape"))
        key.write_private(private / ledger.FOLDERS, ledger.folders_csv(
            names.renamed((f[0] for f in files), secret, config.keep_names)).encode(
                "utf-8", "surrogateescape"))
        _write_destination(private, out, stage, result, secret, config, origin or src)
        artefact.write_text(scratch / ledger.LEDGER, ledger.to_csv(result))
    _clear(journal)
    return ledger.from_csv(ledger.to_csv(result))


def _write_destination(private: Path, out: Path, stage: str, result: Ledger, secret: Key,
                config: DeidConfig, source: Path) -> None:
    """Write ``out.json``: what the folder belongs to, and where quarantined files would go."""
    targets = {e.id: _target(e, secret, config)
               for e in result.entries if e.file.startswith(f"{process_file.QUARANTINE}/")}
    key.write_private(private / private_folder.FILE, codec.to_json(private_folder.Destination(
        str(out.resolve()), stage, targets, private_folder.source_mark(secret, source),
        private_folder.key_mark(secret))).encode())


def _target(entry: Entry, secret: Key, config: DeidConfig) -> str:
    """Return the path of a quarantined file once a person accepts it."""
    folder = names.folders(PurePosixPath(entry.original), secret, config.keep_names)
    return names.join(folder, PurePosixPath(entry.file).name)


def check_folders(src: Path, out: Path, private: Path, ours: bool = False) -> None:
    """Refuse folders that lie in one another, unless ``src`` is ``ours``. Raises BadInput."""
    places = {} if ours else {"SRC": src.resolve()}
    places |= {"--out": out.resolve(), "--private": private.resolve()}
    for name, outer in places.items():
        for other, inside in places.items():
            if name != other and inside.is_relative_to(outer):
                raise BadInput(f"{other} lies inside {name}", where=inside,
                               remedy="Give three folders side by side.")


def _walk(root: Path) -> Iterator[tuple[str, int, int, str]]:
    """Return (relative path, size, time, fault) of everything below ``root`` that is no folder."""
    pending = [""]
    while pending:
        prefix = pending.pop()
        try:
            with os.scandir(root / prefix) as entries:
                found = sorted(entries, key=lambda e: e.name)
        except OSError:
            yield prefix, 0, 0, "a folder that cannot be read"
            continue
        for entry in found:
            name = f"{prefix}/{entry.name}" if prefix else entry.name
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                pending.append(name)
                continue
            fault = ("a link; only files of the folder itself are taken"
                     if stat.S_ISLNK(status.st_mode) else
                     "" if stat.S_ISREG(status.st_mode) else "not a regular file")
            yield name, status.st_size, status.st_mtime_ns, fault


def _journal(private: Path, stage_key: str) -> Path:
    """Return the entries of finished files, for a run that continues."""
    for name in (process_file.QUARANTINE, process_file.PREVIEWS, TABLES, _JOURNAL):
        key.private_dir(private / name)
    journal = private / _JOURNAL / stage_key
    if not journal.exists():
        for other in (private / _JOURNAL).iterdir():
            _clear(other)
        for name in (process_file.QUARANTINE, process_file.PREVIEWS, TABLES):
            for path in (private / name).iterdir():
                path.unlink()
    key.private_dir(journal)
    return journal


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def _run(root: Path, files: list[tuple[str, int, int, str]], scratch: Path, private: Path,
         journal: Path, secret: Key, config: DeidConfig, throttle: Throttle,
         workers: int) -> list[Entry]:
    stems = names.stems((f[0] for f in files), secret)
    folders = {f[0]: names.folders(PurePosixPath(f[0]), secret, config.keep_names) for f in files}
    settings = codec.encode(config)
    pool = Pool(workers, _LIMITS)

    def one(item: tuple[str, int, int, str]) -> Entry:
        name, _, _, fault = item
        note = journal / f"{stems[name]}-{secret.name('entry', name)}.json"
        if note.exists():
            done = codec.read_json(Entry, note)
            if done.status != "ok" or (scratch / done.file).is_file():
                return done
        # A mask shares its image's id; the entry's own comes from the path.
        base = Entry("e" + secret.name("entry", name), "other", "quarantined", fault, original=name)
        if fault:
            return base
        entry = _ask(pool, base, {
            "source": str(root / name), "stem": stems[name], "folder": folders[name],
            "out": str(scratch), "private": str(private), "secret": secret.secret.hex(),
            "config": settings})
        key.write_private(note, codec.to_json(entry).encode("utf-8", "backslashreplace"))
        return entry

    found = []
    try:
        images = [f for f in files if PurePosixPath(f[0]).suffix.lower() not in _TABLES or f[3]]
        for entry in pool.map(one, images):
            found.append(entry)
            throttle.tick()
    finally:
        pool.close()
    found = _with_their_masks(found, scratch, private)
    passed = {e.original: e.file for e in found if e.status == "ok"}
    # A table with every row stays in --private: a review may let more files pass.
    every = passed | {e.original: _target(e, secret, config) for e in found
                      if e.file.startswith(f"{process_file.QUARANTINE}/")}
    taken = set(images)
    tables = [f[0] for f in files if f not in taken]
    # The name that readers look for is kept, and given to a table that stands alone.
    alone = len(tables) == 1 and "/" not in tables[0]
    for name in tables:
        leaf = (MANIFEST_CSV if alone or PurePosixPath(name).name == MANIFEST_CSV
                else f"{stems[name]}.csv")
        entry, text = _table(root, name, folders[name], leaf, passed, secret, config,
                             folders)
        if entry.status == "ok":
            artefact.write_text(scratch / entry.file, text)
            entry = replace(entry, after=artefact.sha256_file(scratch / entry.file))
            _, text = _table(root, name, folders[name], leaf, every, secret, config,
                             folders)
            key.write_private(private / TABLES / f"{entry.id}.csv", text.encode())
        found.append(entry)
        throttle.tick()
    return found


MASK_WAITS = "its mask is in quarantine"


def _with_their_masks(found: list[Entry], scratch: Path, private: Path) -> list[Entry]:
    """Quarantine the images of which a mask is: without it they would pass as less annotated."""
    waiting = {names.image_of_mask(PurePosixPath(e.original)) for e in found
               if e.status != "ok"} - {None}
    done = []
    for e in found:
        path = PurePosixPath(e.original)
        if e.status == "ok" and path.with_suffix("").as_posix() in waiting:
            name = f"{process_file.QUARANTINE}/{PurePosixPath(e.file).name}"
            key.write_private(private / name, (scratch / e.file).read_bytes())
            (scratch / e.file).unlink()
            e = replace(e, status="quarantined", reason=MASK_WAITS, file=name, after="")
        done.append(e)
    return done


def _ask(pool: Pool, base: Entry, arguments: dict[str, Any]) -> Entry:
    try:
        reply = pool.call(_PROCESS, base.id, **arguments)
    except BadInput as error:
        if error.where != base.id:
            raise
        return replace(base, reason=error.fault)
    if "stop" in reply.value:
        raise BadInput(reply.value["stop"], where=reply.value["where"],
                       remedy=reply.value["remedy"])
    answer: Entry = codec.decode(Entry, reply.value["entry"])
    return replace(answer, id=base.id, original=base.original)


def _table(root: Path, name: str, folder: str, leaf: str, passed: dict[str, str], secret: Key,
           config: DeidConfig, files: Iterable[str]) -> tuple[Entry, str]:
    base = Entry("e" + secret.name("entry", name), "table", "quarantined", original=name)
    here = PurePosixPath(name).parent.as_posix()
    spelled = Spelled(files)

    def new_name(file: str) -> str | None:
        file = spelled.found(file)
        whole = file if file in passed else without_frame(file)
        new = passed.get(whole)
        return (os.path.relpath(new, folder or ".") + file[len(whole):] if new is not None
                else None)

    try:
        data = (root / name).read_bytes()
        text, counts = table_rows.clean(data, "" if here == "." else here, new_name, secret,
                                    config.keep_columns,
                                    "retain-device" in config.options, spelled.there)
    except Quarantine as error:
        return replace(base, reason=error.reason), ""
    except OSError:
        return replace(base, reason="cannot be read"), ""
    digest = artefact.sha256_file(root / name)
    return replace(base, status="ok", file=names.join(folder, leaf), actions=counts,
                   sha256=digest, before=secret.digest("original", digest).hex()), text.decode()
