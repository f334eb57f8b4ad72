"""Locking, amending, opening, departing and verifying; the gate of a run whose margins moved."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from choice_fixture import Cell, make, sample
from gate_fixture import bedside, checks, document
from protocol_fixture import again, edit, finished, move_margins

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.study import FloatModelConfig
from bedside.flows import protocol, study
from bedside.runfolder import artefact, layout, ledger, protocol_file, stored
from bedside.runfolder import protocol as standings
from bedside.runtime.bundle import signing


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("protocol") / "run")


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """A run whose data is split and whose test set nobody has opened; no protocol yet."""
    run = tmp_path_factory.mktemp("planned") / "run"
    _, labels, odds = sample(30)
    make(run, labels, ["val"] * 10 + ["test"] * 20, {"float32": Cell(odds), "int8": Cell(odds)},
         finish=False, locked=False)
    shutil.rmtree(run / "measurements")
    return run


@pytest.fixture
def run(shared, tmp_path):
    return shutil.copytree(shared, tmp_path / "run")


@pytest.fixture
def fresh(planned, tmp_path):
    return shutil.copytree(planned, tmp_path / "run")


def config(run):
    return study.load(run)


def kinds(run):
    return [e.kind for e in ledger.read(run)]


def both(run):
    return [p.read_bytes() for p in (layout.protocol_file(run), layout.ledger_file(run))]


# ------------------------------------------------------------------ locking


def test_it_is_locked_once_and_never_overwritten(fresh):
    made = protocol.lock(fresh, config(fresh))
    assert made.written and made.sha256 == artefact.sha256_file(layout.protocol_file(fresh))
    before = both(fresh)
    assert not protocol.lock(fresh, config(fresh)).written
    protocol.before_opening(fresh, config(fresh))
    assert both(fresh) == before
    edit(fresh, ("auc_margin", 0.02, 0.1))
    with pytest.raises(BadInput, match=r"locked already and differs from study\.toml: "
                                       r"evidence\.auc_margin 0\.02 → 0\.1.*--again"):
        protocol.lock(fresh, config(fresh))
    assert both(fresh) == before


def test_before_the_opening_it_can_be_amended_and_the_ledger_says_how(fresh):
    protocol.lock(fresh, config(fresh))
    edit(fresh, ("auc_margin", 0.02, 0.1))
    made = protocol.lock(fresh, config(fresh), again=True)
    assert made.written and made.standing.amendments == 1
    assert made.standing.changes == ()
    assert kinds(fresh) == ["locked", "amended"]
    facts = ledger.facts_of(ledger.read(fresh)[-1])
    assert [c.text for c in facts.changes] == ["evidence.auc_margin 0.02 → 0.1"]
    assert protocol_file.read(fresh)[0].evidence.auc_margin == 0.1


def test_a_model_from_elsewhere_enters_before_the_lock(fresh):
    foreign = replace(config(fresh), models=(), float_model=FloatModelConfig("net.tflite"))
    with pytest.raises(BadInput, match=r"has not entered the run.*bedside convert RUN"):
        protocol.lock(fresh, foreign)
    assert not layout.protocol_file(fresh).exists()


def test_again_needs_something_to_amend(fresh):
    with pytest.raises(BadInput, match="no protocol is locked"):
        protocol.lock(fresh, config(fresh), again=True)
    protocol.lock(fresh, config(fresh))
    assert not protocol.lock(fresh, config(fresh), again=True).written
    assert kinds(fresh) == ["locked"]


def test_after_the_opening_nothing_is_amended(run):
    before = both(run)
    move_margins(run)
    for again_ in (False, True):
        with pytest.raises(BadInput, match=r"the test set was opened on .* cannot be amended"):
            protocol.lock(run, config(run), again=again_)
    assert both(run) == before


def test_a_protocol_after_the_fact_is_refused(tmp_path):
    run = finished(tmp_path / "run", locked=False)
    with pytest.raises(BadInput, match="predicted before any protocol was locked"):
        protocol.lock(run, config(run))
    protocol.before_opening(run, config(run))
    assert not layout.protocol_file(run).exists()


def test_an_evaluation_locks_it_by_itself(fresh):
    protocol.before_opening(fresh, config(fresh))
    assert kinds(fresh) == ["locked"]
    assert ledger.facts_of(ledger.read(fresh)[0]).by == "bedside run"


def test_an_evaluation_of_validation_images_alone_locks_nothing(fresh):
    edit(fresh, ("splits", '[\n    "val",\n    "test",\n]', '["val"]'))
    protocol.before_opening(fresh, config(fresh))
    assert not layout.protocol_file(fresh).exists()


def test_an_interrupted_lock_is_made_again(fresh):
    protocol.lock(fresh, config(fresh))
    layout.ledger_file(fresh).unlink()
    protocol.before_opening(fresh, config(fresh))
    assert protocol.verify(fresh, config(fresh)).passed


def test_other_settings_than_the_locked_ones_do_not_open_the_test_set(fresh):
    protocol.lock(fresh, config(fresh))
    edit(fresh, ("auc_margin", 0.02, 0.1))
    with pytest.raises(BadInput, match=r"study\.toml differs from it: evidence\.auc_margin"):
        protocol.before_opening(fresh, config(fresh))


def test_a_cell_beyond_the_plan_is_recorded(run):
    """As ``evaluate --target`` leaves it: measured once, and not in study.toml."""
    place = layout.measurement_dir(run, "net-int8", "cpu")
    shutil.copytree(place, layout.measurement_dir(run, "net-int8", "cpu-1"))
    path = layout.measurement_dir(run, "net-int8", "cpu-1") / layout.MEASUREMENT
    path.write_text(path.read_text().replace('"target": "cpu"', '"target": "cpu-1"'))
    with artefact.writing(path.parent, "evaluate", "k2") as scratch:
        for name in (layout.MEASUREMENT, layout.LATENCY, layout.PREDICTIONS):
            shutil.copy(path.parent / name, scratch / name)
        standings.opened(run, "evaluate", path.parent.name, 200,
                         {path.parent.name: artefact.sha256_file(scratch / layout.PREDICTIONS)})
    protocol.after_evaluation(run, config(run))
    assert kinds(run)[-1] == "changed"
    (change,) = standings.standing(run, config(run)).changes
    assert (change.text, change.target) == ("net-int8@cpu-1 was added", "cpu-1")
    assert "cpu-1" in {r.target for r in again(run) if r.exploratory}
    assert "cpu" not in {r.target for r in again(run) if r.exploratory}


# ------------------------------------------------------------------ showing and verifying


def test_every_line_of_the_ledger_has_its_words(run):
    move_margins(run)
    protocol.before_opening(run, config(run))
    found = protocol.show(run, config(run))
    told = [protocol.told(e) for e in found.ledger]
    assert told[0].startswith("bedside run, protocol ")
    assert told[1].startswith("evaluate net-float32@cpu, 200 test images, predictions ")
    assert told[3].startswith("evidence net, 200 test images")
    assert told[-1].startswith("evidence.sensitivity_margin 0.02 → 0.15, ")
    move_margins(run, back=True)
    protocol.before_opening(run, config(run))
    assert protocol.told(ledger.read(run)[-1]) == "everything was put back"


def test_a_run_that_kept_its_protocol_is_verified(run):
    found = protocol.verify(run, config(run))
    assert found.passed
    assert [(c.check, c.result) for c in found.checks] == [
        ("ledger", "pass"), ("protocol", "pass"), ("signature", "pass"), ("run", "pass")]
    assert "3 openings" in found.checks[0].detail


def test_what_differs_fails_and_is_listed(run):
    move_margins(run)
    found = protocol.verify(run, config(run))
    assert not found.passed
    assert [c.check for c in found.checks if c.result == "fail"] == ["run"]
    assert [c.after for c in found.changes] == [0.15, 0.15, 0.1]


def test_a_signature_is_checked_against_the_trusted_key(fresh, tmp_path):
    private, public, name = signing.keygen(tmp_path / "keys")
    _, stranger, _ = signing.keygen(tmp_path / "other")
    protocol.lock(fresh, config(fresh))
    assert protocol.verify(fresh, config(fresh), public).passed is False
    made = protocol.lock(fresh, config(fresh), private, again=True)
    assert made.written and made.signer == name
    assert protocol.verify(fresh, config(fresh), public).passed
    assert protocol.verify(fresh, config(fresh)).passed
    found = protocol.verify(fresh, config(fresh), stranger)
    assert [c.check for c in found.checks if c.result == "fail"] == ["signature"]


def test_a_key_for_a_protocol_that_stands_needs_again(fresh, tmp_path):
    private, _, _ = signing.keygen(tmp_path / "keys")
    protocol.lock(fresh, config(fresh))
    with pytest.raises(BadInput, match="a protocol is locked already"):
        protocol.lock(fresh, config(fresh), private)


# ------------------------------------------------------------------ the gate


def test_moved_margins_fail_the_gate_and_prove_nothing(run, capsys):
    """The fault as it was reported: 0.15, 0.15 and 0.10 on a finished run."""
    code, said = document(capsys, "gate", run)
    assert code == 0
    assert ("not worse", "net-int8@cpu") in checks(said, "warning")
    move_margins(run)
    protocol.before_opening(run, config(run))
    (made,) = again(run)
    assert stored.comparisons(run)[-1].answer == "shown"
    assert made.test.verdict == "exploratory"
    code, said = document(capsys, "gate", run)
    assert code == 1
    assert checks(said, "fail") == {("protocol", "every target")}
    assert ("not worse", "net-int8@cpu") in checks(said, "warning")
    _, _, err = bedside(capsys, "gate", run)
    assert "evidence.sensitivity_margin 0.02 → 0.15" in err
    move_margins(run, back=True)
    again(run)
    assert bedside(capsys, "gate", run)[0] == 0


def test_a_run_of_an_earlier_version_passes_with_a_warning(tmp_path, capsys):
    run = finished(tmp_path / "run", locked=False)
    code, said = document(capsys, "gate", run)
    assert code == 0
    assert ("protocol", "test set") in checks(said, "warning")


def test_a_run_of_this_version_that_lost_its_protocol_fails(run, capsys):
    for path in (layout.protocol_file(run), layout.ledger_file(run)):
        path.unlink()
    again(run)
    code, said = document(capsys, "gate", run)
    assert code == 1
    assert checks(said, "fail") == {("protocol", "test set")}


@pytest.mark.parametrize("harm", ["protocol", "ledger"])
def test_the_gate_refuses_a_damaged_record(run, capsys, harm):
    path = {"protocol": layout.protocol_file, "ledger": layout.ledger_file}[harm](run)
    path.write_text(path.read_text().replace("0.02", "0.15") if harm == "protocol"
                    else "".join(path.read_text().splitlines(keepends=True)[1:]))
    code, out, err = bedside(capsys, "gate", run)
    assert (code, out) == (2, "")
    assert path.name in err


def test_other_versions_are_a_warning(run, capsys):
    first = ledger.read(run)[0]
    protocol_text = layout.protocol_file(run).read_text()
    made = codec.decode(protocol_file.Protocol, codec.parse_json(protocol_text, "x"))
    layout.protocol_file(run).unlink()
    layout.ledger_file(run).unlink()
    protocol_file.lock(run, replace(made, versions={**made.versions, "numpy": "0.1"}), "a test")
    for place in sorted((run / "measurements").iterdir()):
        standings.opened(run, "evaluate", place.name, 200, {
            place.name: artefact.sha256_file(place / layout.PREDICTIONS)})
    assert first.kind == "locked"
    again(run)
    code, said = document(capsys, "gate", run)
    assert code == 0
    assert ("protocol", "versions") in checks(said, "warning")
