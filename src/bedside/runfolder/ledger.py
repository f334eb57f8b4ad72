"""The hash-chained ledger of a run: when its protocol was locked, opened and departed from.

``RUN/ledger.jsonl`` holds one JSON document a line. Each line carries the SHA-256 of the line
before it, and a closing line the number of lines and the SHA-256 of the last, so that no single
line can be edited, removed, moved or cut off without being found. Whoever owns the folder can
still write a whole new ledger; only a protocol that was signed, or whose hash was deposited
elsewhere, excludes that (``docs/decisions/0015-protocol.md``).
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.protocol import Changed, Entry, Kind, Locked, Opened
from bedside.runfolder import layout
from bedside.runtime.files import write_bytes

# What stands as ``previous`` in the first line.
FIRST = "0" * 64
REMEDY = ("Restore protocol.json and ledger.jsonl from a copy. Without one delete both: the run "
          "then counts as one without a protocol.")
_FACTS: dict[str, type[Locked] | type[Opened] | type[Changed]] = {
    "locked": Locked, "amended": Locked, "opened": Opened, "changed": Changed}
F = TypeVar("F", Locked, Opened, Changed)


def now() -> str:
    """Return the time as the ledger writes it: UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def exists(run: Path) -> bool:
    """Return whether the run has a ledger."""
    return layout.ledger_file(run).is_file()


def read(run: Path) -> tuple[Entry, ...]:
    """Read the ledger of a run and check its chain.

    Raises:
        BadInput: no ledger, or a line that was edited, removed, moved, added or cut off.
    """
    path = layout.ledger_file(run)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"the ledger cannot be read ({error.strerror})", where=path,
                       remedy=REMEDY) from None
    return parse(data, str(path))


def append(run: Path, kind: Kind, facts: Locked | Opened | Changed) -> Entry:
    """Add one line; the file is replaced as a whole, so that a reader sees the old or the new.

    The caller holds the run (``flows.study.locked``): two writers would lose a line.

    Raises:
        BadInput: the ledger is damaged, a second lock, an amendment after the opening, or the
            disk's fault.
    """
    entries = read(run) if exists(run) else ()
    entry = Entry(len(entries) + 1, now(), kind, codec.encode(facts),
                  _sha256(_line(entries[-1])) if entries else FIRST)
    _order(entry, list(entries), str(layout.ledger_file(run)))
    write_bytes(layout.ledger_file(run), render((*entries, entry)))
    return entry


def of(entries: tuple[Entry, ...], cls: type[F]) -> list[tuple[Entry, F]]:
    """Return the lines whose facts are of one type, in order, with these facts."""
    return [(e, codec.decode(cls, e.facts, f"ledger line {e.number}"))
            for e in entries if _FACTS[e.kind] is cls]


def facts_of(entry: Entry) -> Locked | Opened | Changed:
    """Return the facts of a line as their type."""
    found: Locked | Opened | Changed = codec.decode(_FACTS[entry.kind], entry.facts)
    return found


# ------------------------------------------------------------------ the file's bytes


def render(entries: tuple[Entry, ...]) -> bytes:
    """Return the bytes of a ledger: its lines and the closing one."""
    lines = [_line(e) for e in entries]
    return b"".join([*lines, _closing(lines)])


def parse(data: bytes, where: str) -> tuple[Entry, ...]:
    """Read the bytes of a ledger.

    Raises:
        BadInput: the chain is broken; the message names the line.
    """
    lines = data.splitlines(keepends=True)
    if not data.endswith(b"\n") or b'"end"' not in lines[-1]:
        raise _broken("it is cut off: its closing line is missing", where)
    *lines, closing = lines
    entries: list[Entry] = []
    previous = FIRST
    for number, line in enumerate(lines, 1):
        place = f"{where}: line {number}"
        entry = _entry(line, place)
        if entry.number != number:
            raise _broken(f"it is numbered {entry.number}: a line is missing or was moved", place)
        if entry.previous != previous:
            raise _broken("it does not continue the line before it: a line was edited, removed "
                          "or moved", place)
        _order(entry, entries, place)
        entries.append(entry)
        previous = _sha256(line)
    if closing != _closing(lines):
        raise _broken("its last line was edited or removed", where)
    if not entries:
        raise _broken("it has no line", where)
    return tuple(entries)


def _entry(line: bytes, place: str) -> Entry:
    try:
        entry: Entry = codec.decode(Entry, codec.parse_json(line, place))
        codec.decode(_FACTS[entry.kind], entry.facts)
    except BadInput as error:
        raise _broken(f"it does not read ({error.fault})", place) from None
    return entry


def _order(entry: Entry, before: list[Entry], place: str) -> None:
    """Refuse what no run can have done: a second lock, an amendment after the opening."""
    kinds = [e.kind for e in before]
    if (entry.kind == "locked") == bool(before):
        raise _broken("the protocol was locked twice" if before else
                      "the first line is no lock of a protocol", place)
    if entry.kind == "amended" and "opened" in kinds:
        raise _broken("it amends the protocol after the test set was opened "
                      f"(line {kinds.index('opened') + 1})", place)


def _broken(fault: str, where: str) -> BadInput:
    return BadInput(fault, where=where, remedy=REMEDY)


def _line(entry: Entry) -> bytes:
    return _json(codec.encode(entry))


def _closing(lines: list[bytes]) -> bytes:
    return _json({"kind": "end", "lines": len(lines),
                  "sha256": _sha256(lines[-1]) if lines else FIRST})


def _json(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return f"{text}\n".encode()


def _sha256(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()
