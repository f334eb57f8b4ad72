"""Ledger of every input file: ``ledger.csv`` for everyone, ``names.csv`` and ``folders.csv`` for
the key's holder."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from bedside.deid.outcome import Kind, Verdict

LEDGER, NAMES, FOLDERS = "ledger.csv", "names.csv", "folders.csv"
ACTIONS = ("removed", "emptied", "replaced", "cleaned", "uids", "shifted", "kept",
           "rows_removed", "columns_removed")
_COLUMNS = ("id", "kind", "status", "reason", "file", "patient", "before", "after", *ACTIONS)
_PRIVATE = ("id", "original", "sha256", "identity", "patient", "file", "status", "reason")
_RISKY = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Entry:
    """One input. ``file`` is its new name under --out, or under --private where quarantined.

    ``before`` is the keyed HMAC of the original's SHA-256 (a plain one would let anyone with
    the originals link them), ``after`` the SHA-256 of the file written. ``original``, ``sha256``
    and ``identity`` are for --private only. ``device`` is only counted, in the manifest.
    """

    id: str
    kind: Kind
    status: Verdict
    reason: str = ""
    file: str = ""
    patient: str = ""
    before: str = ""
    after: str = ""
    actions: dict[str, int] = field(default_factory=dict)
    original: str = ""
    sha256: str = ""
    identity: str = ""
    device: str = ""


@dataclass(frozen=True, slots=True)
class Ledger:
    """All inputs, ordered by id."""

    entries: tuple[Entry, ...]

    @property
    def passed(self) -> int:
        """Number of files in --out."""
        return sum(e.status == "ok" for e in self.entries)

    @property
    def reasons(self) -> dict[str, int]:
        """Reasons of the quarantined files, most frequent first."""
        found = Counter(e.reason for e in self.entries if e.status != "ok")
        return dict(found.most_common())


def to_csv(ledger: Ledger) -> str:
    """Return ``ledger.csv``; nothing in it names a patient."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for e in ledger.entries:
        writer.writerow([e.id, e.kind, e.status, e.reason, e.file if e.status == "ok" else "",
                         e.patient, e.before, e.after, *(e.actions.get(a, 0) for a in ACTIONS)])
    return out.getvalue()


def from_csv(text: str) -> Ledger:
    """Read what :func:`to_csv` wrote."""
    rows = csv.DictReader(io.StringIO(text))
    entries: list[Any] = [Entry(
        r["id"], r["kind"], r["status"], r["reason"], r["file"], r["patient"],  # type: ignore[arg-type]
        r["before"], r["after"], {a: int(r[a]) for a in ACTIONS if int(r[a])}) for r in rows]
    return Ledger(tuple(entries))


def names_csv(ledger: Ledger) -> str:
    """Return ``names.csv``, the original names, for --private only; no cell can be a formula."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_PRIVATE)
    for e in ledger.entries:
        cells = [getattr(e, c) for c in _PRIVATE]
        writer.writerow(["'" + c if c.startswith(_RISKY) else c for c in cells])
    return out.getvalue()


def folders_csv(renamed: dict[str, str]) -> str:
    """Return ``folders.csv``, the original folder of each id, for --private only."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("folder", "original"))
    for new, original in sorted(renamed.items()):
        writer.writerow([new, "'" + original if original.startswith(_RISKY) else original])
    return out.getvalue()


def folders_renamed(text: str) -> int:
    """Return the number of folders in :func:`folders_csv`."""
    return sum(1 for _ in csv.DictReader(io.StringIO(text)))
