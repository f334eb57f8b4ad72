"""Review decisions on quarantined images, stored in a file and applied in one step.

``decisions.json`` in the private folder holds one decision an entry, bound to the SHA-256 of the
candidate that was seen: of another candidate nothing has been decided. Applying is repeatable:
the clean folder's manifest is written last, and a second run changes nothing.
"""

from __future__ import annotations

import csv
import hashlib
import io
import posixpath
import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.deid import batch, key, ledger, process_file, spelling
from bedside.deid.ledger import Entry, Ledger
from bedside.deid.outcome import Quarantine
from bedside.deid.private_folder import FILE as DESTINATION
from bedside.deid.private_folder import STAGES, Destination
from bedside.runfolder import artefact
from bedside.services.review import candidate
from bedside.services.review.candidate import RelativeBox

DECISIONS = "decisions.json"
Verdict = Literal["accept", "redact", "reject"]
VERDICTS: tuple[Verdict, ...] = ("accept", "redact", "reject")
REJECTED = "rejected by a person"


@dataclass(frozen=True, slots=True)
class Decision:
    """``boxes`` are (x0, y0, x1, y1) as shares of width and height; they go in every frame."""

    verdict: Verdict
    candidate: str
    boxes: tuple[RelativeBox, ...] = ()


@dataclass(frozen=True, slots=True)
class Decisions:
    """Review decisions by id of the entry."""

    entries: dict[str, Decision] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Review:
    """A private folder under review."""

    private: Path
    out: Path
    stage: str
    entries: tuple[Entry, ...]
    targets: dict[str, str]
    lock: threading.Lock = field(default_factory=threading.Lock)


def open_review(private: Path, out: Path | None = None) -> Review:
    """Open the quarantined files of an import or deid.

    Raises:
        BadInput: no such folder, others may open it, or its clean folder is gone or belongs to
            another private folder.
    """
    if not (private / ledger.NAMES).is_file() or not (private / DESTINATION).is_file():
        raise BadInput("not the private folder of a finished import or deid", where=private,
                       remedy="Give the folder that --private named.")
    key.private_dir(private)
    place = codec.read_json(Destination, private / DESTINATION)
    clean = out or Path(place.out)
    # Sizes are not compared: an apply that was cut short is mended by the next one.
    if place.stage not in STAGES or place.stage not in artefact.read_manifest(clean).stages:
        raise BadInput("the de-identified output folder is missing", where=clean,
                       remedy="Run the import again, or give the folder with --out.")
    rows = list(csv.DictReader(io.StringIO((private / ledger.NAMES).read_text(
        "utf-8", "surrogateescape"))))
    if {r["id"] for r in rows} != set(_ledger_rows(clean)):
        raise _another(clean)
    entries = [Entry(r["id"], "dicom" if r["file"].endswith(".dcm") else "picture",
                     "quarantined", r["reason"], r["file"], r["patient"], sha256=r["sha256"])
               for r in rows if r["status"] == "quarantined"
               and r["file"].startswith(f"{process_file.QUARANTINE}/")
               and (private / r["file"]).is_file()]
    return Review(private, clean, place.stage, tuple(entries), place.targets)


def _ledger_rows(clean: Path) -> dict[str, Entry]:
    """Return the clean folder's ledger by id of the entry."""
    book = ledger.from_csv(codec.read_text(clean / ledger.LEDGER))
    return {e.id: e for e in book.entries}


def _another(clean: Path) -> BadInput:
    return BadInput("the clean folder was written with another key or private folder",
                    where=clean, remedy="Give the clean folder of the same import with --out, "
                    "or run the import again.")


def candidate_sha256(work: Review, entry: Entry) -> str:
    """Return the SHA-256 of the candidate."""
    return hashlib.sha256((work.private / entry.file).read_bytes()).hexdigest()


def decisions(work: Review) -> dict[str, Decision]:
    """Return the decisions made so far."""
    path = work.private / DECISIONS
    return dict(codec.read_json(Decisions, path).entries) if path.is_file() else {}


def decide(work: Review, entry_id: str, verdict: Verdict | None, boxes: tuple[RelativeBox, ...] = ()
           ) -> None:
    """Store one decision, or remove it with None.

    Raises:
        BadInput: no such entry or verdict, boxes outside the image, none to redact, or a
            candidate that cannot be shown and is not rejected.
    """
    entry = next((e for e in work.entries if e.id == entry_id), None)
    fine = all(0 <= b[0] < b[2] <= 1 and 0 <= b[1] < b[3] <= 1 for b in boxes)
    if entry is None or (verdict is not None and verdict not in VERDICTS) or not fine or (
            verdict == "redact" and not boxes):
        raise BadInput("not a decision", where=entry_id,
                       remedy="Accept, reject, or redact with boxes inside the image.")
    if verdict in ("accept", "redact"):
        candidate.frame_count(work.private, entry)
    with work.lock:
        decided = decisions(work)
        decided.pop(entry_id, None)
        if verdict is not None:
            decided[entry_id] = Decision(verdict, candidate_sha256(work, entry),
                                         boxes if verdict == "redact" else ())
        key.write_private(work.private / DECISIONS, codec.to_json(
            Decisions(dict(sorted(decided.items())))).encode())


# ------------------------------------------------------------------ applying


def apply(work: Review) -> dict[str, int]:
    """Pass what was accepted or redacted into the clean folder; its manifest is written last.

    Returns:
        How many were accepted, redacted, rejected and left open.

    Raises:
        BadInput: the clean folder belongs to another private folder; nothing is written.
    """
    decided = decisions(work)
    counts: Counter[str] = Counter(dict.fromkeys((*VERDICTS, "open"), 0))
    rows = _ledger_rows(work.out)
    tables = sorted((work.private / batch.TABLES).glob("*.csv"))
    # Before the first write: the folder may have been imported anew since it was opened.
    if not rows.keys() >= {*(e.id for e in work.entries), *(t.stem for t in tables)}:
        raise _another(work.out)
    fresh: dict[str, artefact.FileRecord | None] = {}
    for entry in work.entries:
        choice = decided.get(entry.id)
        if choice is None or choice.candidate != candidate_sha256(work, entry):
            counts["open"] += 1
            data = None
        else:
            data = None if choice.verdict == "reject" else _passed_or_none(work, entry, choice)
            counts["open" if data is None and choice.verdict != "reject" else choice.verdict] += 1
        name = work.targets[entry.id]
        if data is None:
            fresh[name] = None
            reason = REJECTED if choice and choice.verdict == "reject" else entry.reason
            rows[entry.id] = replace(rows[entry.id], status="quarantined", reason=reason, file="",
                                     after="")
            continue
        digest = hashlib.sha256(data).hexdigest()
        target = work.out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = target.with_name(f".{target.name}.part")
        scratch.write_bytes(data)
        scratch.replace(target)
        fresh[name] = artefact.FileRecord(digest, len(data))
        rows[entry.id] = replace(rows[entry.id], status="ok", reason="", file=name, after=digest)
    there = {n for n, r in fresh.items() if r is not None}
    gone = {n for n, r in fresh.items() if r is None}
    for path in tables:
        row = rows[path.stem]
        table = _rows_that_passed(work, path, row.file, there, gone)
        record = artefact.FileRecord(hashlib.sha256(table.encode()).hexdigest(),
                                     len(table.encode()))
        artefact.write_text(work.out / row.file, table)
        fresh[row.file] = record
        rows[row.id] = replace(row, after=record.sha256)
    text = ledger.to_csv(Ledger(tuple(sorted(rows.values(), key=lambda e: e.id))))
    artefact.write_text(work.out / ledger.LEDGER, text)
    fresh[ledger.LEDGER] = artefact.FileRecord(hashlib.sha256(text.encode()).hexdigest(),
                                      len(text.encode()))
    _publish(work, fresh)
    return dict(counts)


def _rows_that_passed(work: Review, path: Path, name: str, there: set[str], gone: set[str]) -> str:
    """Return a table of the clean folder with the rows of the files in it."""
    folder = posixpath.dirname(name)

    def stays(file: str) -> bool:
        place = posixpath.normpath(posixpath.join(folder, spelling.without_frame(file)))
        return place in there or (place not in gone and (work.out / place).is_file())

    reader = csv.DictReader(io.StringIO(path.read_text("utf-8")))
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, reader.fieldnames or [], lineterminator="\n")
    writer.writeheader()
    for row in reader:
        if stays(row["file"]):
            if row.get("mask"):
                row["mask"] = "|".join(m for m in row["mask"].split("|") if stays(m))
            writer.writerow(row)
    return out.getvalue()


def _publish(work: Review, fresh: dict[str, artefact.FileRecord | None]) -> None:
    manifest = artefact.read_manifest(work.out)
    record = manifest.stages[work.stage]
    files = {**record.files, **{n: r for n, r in fresh.items() if r is not None}}
    gone = [n for n, r in fresh.items() if r is None]
    files = {n: r for n, r in files.items() if n not in gone}
    stages = {**manifest.stages, work.stage: replace(record, files=dict(sorted(files.items())))}
    artefact.write_text(work.out / artefact.MANIFEST, codec.to_json(
        replace(manifest, stages=stages)))
    for name in gone:
        (work.out / name).unlink(missing_ok=True)


def _passed_or_none(work: Review, entry: Entry, choice: Decision) -> bytes | None:
    """Return the file that a decision passes; None where it can no longer be decoded."""
    try:
        return candidate.passed(work.private, entry, choice.boxes)
    except (BadInput, Quarantine):
        return None  # it stays open; the page says why
