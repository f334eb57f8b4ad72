"""``protocol lock | show | verify`` as people type them: exit codes, tables, one clear message."""

from __future__ import annotations

import json
import shutil

import pytest
from gate_fixture import bedside
from protocol_fixture import finished, move_margins

from bedside.core import codec
from bedside.core.protocol import Entry
from bedside.runfolder import layout, ledger


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("protocol") / "run")


@pytest.fixture
def run(shared, tmp_path):
    return shutil.copytree(shared, tmp_path / "run")


@pytest.fixture
def fresh(run):
    """Before the opening, and not locked."""
    shutil.rmtree(run / "measurements")
    for path in (layout.protocol_file(run), layout.ledger_file(run)):
        path.unlink()
    return run


def test_lock_show_and_verify_from_the_first_to_the_last(fresh, tmp_path, capsys):
    assert bedside(capsys, "keygen", "--out", tmp_path / "keys")[0] == 0
    key, pub = tmp_path / "keys" / "bedside.key", tmp_path / "keys" / "bedside.pub"
    code, out, err = bedside(capsys, "protocol", "lock", fresh, "--key", key)
    assert code == 0
    assert out.startswith("locked: SHA-256 ") and "signed by key" in out
    assert "Deposit this hash" in err
    code, out, err = bedside(capsys, "protocol", "lock", fresh)
    assert (code, err) == (0, "")
    assert out.startswith("locked already, and unchanged: SHA-256 ")
    code, out, _ = bedside(capsys, "protocol", "verify", fresh, "--trust", pub)
    assert code == 0
    assert "by the trusted key" in " ".join(out.split())
    code, out, _ = bedside(capsys, "protocol", "show", fresh)
    assert code == 0
    for said in ("the test set has not been opened", "evidence.sensitivity_margin",
                 "net-int8@cpu", "primary.cpu", "split.sha256"):
        assert said in out
    move_margins(fresh)
    assert bedside(capsys, "protocol", "verify", fresh)[0] == 1
    code, out, _ = bedside(capsys, "protocol", "lock", fresh, "--again", "--json")
    assert (code, json.loads(out)["written"]) == (0, True)
    code, out, _ = bedside(capsys, "protocol", "verify", fresh, "--json")
    assert (code, json.loads(out)["passed"]) == (0, True)


def test_show_prints_one_document(run, capsys):
    code, out, _ = bedside(capsys, "protocol", "show", run, "--json")
    found = json.loads(out, parse_constant=pytest.fail)
    assert code == 0
    assert set(found) == {"schema", "protocol", "ledger", "standing"}
    assert [e["kind"] for e in found["ledger"]] == ["locked", "opened", "opened", "opened"]


def test_verify_lists_what_differs_and_exits_1(run, capsys):
    move_margins(run)
    code, out, err = bedside(capsys, "protocol", "verify", run)
    assert code == 1
    rows = " ".join(out.split())
    assert "evidence.auc_margin" in rows and "Differs from the protocol" in rows
    assert "evidence.sensitivity_margin 0.02 → 0.15" in err


def edited_protocol(run):
    path = layout.protocol_file(run)
    path.write_text(path.read_text().replace("0.02", "0.15"))


def edited_line(run):
    path = layout.ledger_file(run)
    path.write_text(path.read_text().replace('"test_images":200', '"test_images":2'))


def without_line(run):
    path = layout.ledger_file(run)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:1] + lines[2:]))


def reordered(run):
    path = layout.ledger_file(run)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], lines[2], lines[1], *lines[3:]]))


def cut(run):
    path = layout.ledger_file(run)
    path.write_bytes(path.read_bytes()[:-30])


def locked_twice(run):
    entries = ledger.read(run)
    again = Entry(2, entries[0].time, "locked", entries[0].facts, entries[1].previous)
    layout.ledger_file(run).write_bytes(ledger.render((entries[0], again)))


def nonsense(run):
    layout.ledger_file(run).write_bytes(b"\xff\xfe\x00" * 10)


@pytest.mark.parametrize(("harm", "fault"), [
    (edited_protocol, "protocol.json: it was edited since it was locked"),
    (edited_line, "it does not continue the line before it"),
    (without_line, "line 2: it is numbered 3: a line is missing or was moved"),
    (reordered, "line 2: it is numbered 3"),
    (cut, "cut off"),
    (locked_twice, "line 2: the protocol was locked twice"),
    (nonsense, "cut off"),
    (lambda run: layout.protocol_file(run).unlink(), "without its protocol.json"),
    (lambda run: layout.ledger_file(run).unlink(), "without its ledger.jsonl"),
    (lambda run: layout.ledger_file(run).write_text(""), "cut off"),
])
@pytest.mark.parametrize("command", ["verify", "show", "lock"])
def test_a_damaged_record_is_one_line_and_exit_2(run, capsys, harm, fault, command):
    harm(run)
    if command == "lock" and "ledger.jsonl" in fault:
        fault = "predicted before any protocol was locked"
    code, out, err = bedside(capsys, "protocol", command, run)
    assert (code, out) == (2, "")
    assert fault in err
    assert err.count("\n") == 1


def test_a_run_without_a_protocol_says_how_to_lock_one(fresh, capsys):
    for command in ("show", "verify"):
        code, _, err = bedside(capsys, "protocol", command, fresh)
        assert code == 2
        assert "no protocol is locked" in err and "bedside protocol lock RUN" in err


def test_keys_that_are_none_are_refused(fresh, tmp_path, capsys):
    (tmp_path / "x").write_text("no key")
    assert bedside(capsys, "protocol", "lock", fresh, "--key", tmp_path / "x")[0] == 2
    assert not layout.protocol_file(fresh).exists()
    assert bedside(capsys, "protocol", "lock", fresh)[0] == 0
    assert bedside(capsys, "protocol", "verify", fresh, "--trust", tmp_path / "x")[0] == 2


def test_the_group_names_its_commands(capsys):
    code, out, _ = bedside(capsys, "protocol", "--help")
    assert code == 0
    assert all(name in out for name in ("lock", "show", "verify"))
    assert "protocol" in bedside(capsys, "--help")[1]
    assert bedside(capsys, "protocol", "unlock")[0] == 2


def test_documents_round_trip(run):
    entries = ledger.read(run)
    assert tuple(codec.decode(Entry, codec.encode(e)) for e in entries) == entries
