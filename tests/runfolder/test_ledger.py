"""The chain: whatever one line suffers is found, and only what was written reads."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.protocol import Change, Changed, Entry, Locked, Opened
from bedside.runfolder import layout, ledger

LOCK = Locked("a" * 64, "bedside run")
OPENING = Opened("evaluate", "net-int8@cpu", 200, {"net-int8@cpu": "b" * 64}, {"numpy": "2.4"})
CHANGE = Changed((Change("evidence.auc_margin", 0.02, 0.1), Change("planned", None, "x@y", "y")))


@pytest.fixture
def run(tmp_path):
    for kind, facts in (("locked", LOCK), ("amended", LOCK), ("opened", OPENING),
                        ("changed", CHANGE), ("changed", Changed(()))):
        ledger.append(tmp_path, kind, facts)
    return tmp_path


def content(run):
    return layout.ledger_file(run).read_bytes()


def made(*kinds):
    """A ledger whose chain holds, of lines in any order."""
    facts = {"locked": LOCK, "amended": LOCK, "opened": OPENING, "changed": CHANGE}
    entries = ()
    for kind in kinds:
        lines = ledger.render(entries).splitlines(keepends=True)
        previous = hashlib.sha256(lines[-2]).hexdigest() if entries else ledger.FIRST
        entries += (Entry(len(entries) + 1, "2026-01-01T00:00:00Z", kind,
                          codec.encode(facts[kind]), previous),)
    return ledger.render(entries)


def refused(data, match=""):
    with pytest.raises(BadInput, match=match or None) as caught:
        ledger.parse(data, "ledger.jsonl")
    assert caught.value.message.startswith("ledger.jsonl")
    assert "Restore protocol.json and ledger.jsonl" in caught.value.message
    return caught.value


def test_lines_are_chained_as_the_page_says(run):
    """By hand, with nothing of the module."""
    lines = content(run).split(b"\n")
    assert lines.pop() == b""
    closing = json.loads(lines[-1])
    previous = "0" * 64
    for number, line in enumerate(lines[:-1], 1):
        row = json.loads(line)
        assert list(row) == ["number", "time", "kind", "facts", "previous"]
        assert (row["number"], row["previous"]) == (number, previous)
        previous = hashlib.sha256(line + b"\n").hexdigest()
    assert closing == {"kind": "end", "lines": 5, "sha256": previous}


def test_what_was_written_reads(run):
    entries = ledger.read(run)
    assert [e.kind for e in entries] == ["locked", "amended", "opened", "changed", "changed"]
    assert [f for _, f in ledger.of(entries, Opened)] == [OPENING]
    assert [f for _, f in ledger.of(entries, Changed)] == [CHANGE, Changed(())]
    assert ledger.facts_of(entries[0]) == LOCK
    assert ledger.render(entries) == content(run)


def test_every_line_removed_moved_or_repeated_is_found(run):
    lines = content(run).splitlines(keepends=True)
    for i in range(len(lines)):
        refused(b"".join(lines[:i] + lines[i + 1:]))
        refused(b"".join(lines[:i + 1] + lines[i:]))
        for j in range(i):
            swapped = list(lines)
            swapped[i], swapped[j] = swapped[j], swapped[i]
            refused(b"".join(swapped))


def test_a_file_cut_short_anywhere_is_found(run):
    data = content(run)
    for end in range(len(data)):
        refused(data[:end])


@given(place=st.integers(0, 10**6), byte=st.integers(0, 255), how=st.sampled_from(
    ["replace", "insert", "delete"]))
def test_every_single_edit_is_found(place, byte, how):
    data = made("locked", "opened", "changed")
    place %= len(data)
    edited = {"replace": data[:place] + bytes([byte]) + data[place + 1:],
              "insert": data[:place] + bytes([byte]) + data[place:],
              "delete": data[:place] + data[place + 1:]}[how]
    if edited == data:
        assert len(ledger.parse(edited, "ledger.jsonl")) == 3
    else:
        refused(edited)


def test_messages_name_the_line_and_the_fault(run):
    lines = content(run).splitlines(keepends=True)
    refused(b"".join(lines[:2] + lines[3:]), r"line 3: it is numbered 4: a line is missing")
    edited = [*lines[:2], lines[2].replace(b"200", b"100"), *lines[3:]]
    refused(b"".join(edited), "line 4: it does not continue the line before it")
    refused(b"".join(lines[:-1]), "cut off: its closing line is missing")
    refused(b"".join([*lines[:4], lines[-1]]), "its last line was edited or removed")
    refused(b"", "cut off")
    refused(b"{}\n" + b"".join(lines[1:]), "line 1: it does not read")
    refused(ledger.render(()), "it has no line")


@pytest.mark.parametrize(("kinds", "fault"), [
    (("locked", "locked"), "line 2: the protocol was locked twice"),
    (("opened",), "line 1: the first line is no lock"),
    (("locked", "opened", "amended"), r"after the test set was opened \(line 2"),
])
def test_an_order_that_no_run_writes_is_refused(tmp_path, kinds, fault):
    refused(made(*kinds), fault)
    assert ledger.parse(made("locked", "amended", "opened", "changed"), "ledger.jsonl")


def test_a_second_lock_and_a_late_amendment_are_never_written(run):
    before = content(run)
    for kind in ("locked", "amended"):
        with pytest.raises(BadInput):
            ledger.append(run, kind, LOCK)
    assert content(run) == before


def test_a_ledger_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"ledger\.jsonl: the ledger cannot be read"):
        ledger.read(tmp_path)
