"""Where a run stands: unchanged, changed after the opening, without a protocol."""

from __future__ import annotations

import json
import shutil

import pytest
from protocol_fixture import edit, finished, move_margins

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.protocol import Changed, Opened
from bedside.core.study import ModelConfig
from bedside.runfolder import artefact, layout, ledger, protocol, protocol_file, stored
from bedside.runfolder.cases import cases_to_csv, read_cases


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("protocol"))


@pytest.fixture
def run(shared, tmp_path):
    return shutil.copytree(shared, tmp_path / "run")


def standing(run):
    return protocol.standing(run, stored.study(run))


def texts(run):
    return [c.text for c in standing(run).changes]


def test_a_run_that_kept_its_protocol_stands(run):
    found = standing(run)
    assert (found.locked, found.opened, found.changes, found.fault) == (True, True, (), None)
    assert found.sha256 == artefact.sha256_file(layout.protocol_file(run))
    assert not found.exploratory()


def test_every_opening_is_in_the_ledger_with_its_predictions(run):
    """Two cells as they were predicted, and the evidence that compared them."""
    openings = [o for _, o in ledger.of(ledger.read(run), Opened)]
    assert [(o.stage, o.subject, o.test_images) for o in openings] == [
        ("evaluate", "net-float32@cpu", 200), ("evaluate", "net-int8@cpu", 200),
        ("evidence", "net", 200)]
    for cell, sha256 in openings[-1].predictions.items():
        assert sha256 == artefact.sha256_file(run / "measurements" / cell / layout.PREDICTIONS)


def test_moved_margins_are_named_with_both_values(run):
    move_margins(run)
    assert texts(run) == ["evidence.sensitivity_margin 0.02 → 0.15",
                          "evidence.specificity_margin 0.05 → 0.15",
                          "evidence.auc_margin 0.02 → 0.1"]
    assert standing(run).exploratory("cpu")
    move_margins(run, back=True)
    assert texts(run) == []


@pytest.mark.parametrize(("key", "before", "after", "text"), [
    ("seed", "0", "1", "seed 0 → 1"),
    ("threshold", '"youden"', '"largest"', "evidence.threshold youden → largest"),
    ("require", '"not worse"', '"shown"', "budget.require not worse → shown"),
    ("epochs", "15", "30", "train.epochs 15 → 30"),
    ("estimator", '"minmax"', '"mse"', "calibration.estimator minmax → mse"),
])
def test_every_rule_is_compared(run, key, before, after, text):
    path = layout.study_file(run)
    path.write_text(path.read_text().replace(f"{key} = {before}\n", f"{key} = {after}\n", 1))
    assert text in texts(run)


def test_what_only_times_a_cell_is_no_rule(run):
    edit(run, ("rounds", 5, 7), ("timeout_s", 21600.0, 60.0))
    assert texts(run) == []


def test_the_budget_of_one_target_concerns_that_target(run):
    path = layout.study_file(run)
    path.write_text(path.read_text() + "\n[budget.targets.cpu]\nlatency_ms = 5.0\n")
    (change,) = standing(run).changes
    assert (change.key, change.before, change.after, change.target) == (
        "budget.targets.cpu.latency_ms", None, 5.0, "cpu")


def test_a_target_with_a_dot_in_its_name_keeps_it():
    assert protocol._target("budget.targets.pixel-8.wasm.latency_ms") == "pixel-8.wasm"


def test_schemes_added_and_dropped_are_named(run):
    edit(run, ("schemes", '[\n    "float32",\n    "int8",\n]', '["float32", "int8+mse+io8"]'))
    assert texts(run) == ["net-int8+io8+mse@cpu was added"]  # int8 is still measured
    shutil.rmtree(run / "measurements" / "net-int8@cpu")
    assert texts(run) == ["net-int8@cpu was removed", "net-int8+io8+mse@cpu was added"]


def test_predictions_that_the_ledger_does_not_know_are_named(run):
    place = run / "measurements" / "net-int8@cpu"
    shutil.copy(run / "measurements" / "net-float32@cpu" / layout.PREDICTIONS,
                place / layout.PREDICTIONS)
    assert texts(run) == ["the ledger does not record the predictions of net-int8@cpu"]


def test_other_cases_are_another_split(run):
    path = layout.data_dir(run) / layout.CASES
    cases = read_cases(path)
    moved = [codec.decode(type(c), codec.encode(c) | (
        {"split": "val"} if c is cases[-1] else {})) for c in cases]
    files = {n: (path.parent / n).read_text() for n in (layout.TASK,)}
    with artefact.writing(path.parent, "data", "k2") as scratch:
        artefact.write_text(scratch / layout.CASES, cases_to_csv(moved))
        for name, text in files.items():
            artefact.write_text(scratch / name, text)
    found = standing(run).changes
    assert [c.key for c in found] == ["split.val", "split.test", "split.sha256"]
    assert [(c.before, c.after) for c in found[:2]] == [(100, 101), (200, 199)]


def test_the_split_s_hash_is_of_id_label_group_and_part_alone(run):
    """Order and other columns do not matter; each of the four does."""
    cases = read_cases(layout.data_dir(run) / layout.CASES)
    whole = protocol_file.seal_split(cases)
    assert protocol_file.seal_split(reversed(cases)) == whole
    for field, same in (("file", True), ("age", True), ("id", False), ("label", False),
                        ("group", False), ("split", False)):
        value = {"age": 40.0, "split": "train"}.get(field, "other")
        other = [codec.decode(type(cases[0]), codec.encode(cases[0]) | {field: value}), *cases[1:]]
        assert (protocol_file.seal_split(other).sha256 == whole.sha256) is same


# ------------------------------------------------------------------ what the ledger is told


def test_changes_are_recorded_once_and_their_end_too(run):
    move_margins(run)
    for _ in range(2):
        protocol.record_changes(run, standing(run))
    move_margins(run, back=True)
    for _ in range(2):
        protocol.record_changes(run, standing(run))
    told = [c.changes for _, c in ledger.of(ledger.read(run), Changed)]
    assert [len(c) for c in told] == [3, 0]
    assert told[0][0].before == 0.02
    found = standing(run)
    assert (found.changes, found.taken_back) == ((), 1)
    assert "put back (1 in the ledger)" in found.sentence


def test_other_versions_are_noted_and_change_no_answer(run):
    protocol.opened(run, "evidence", "net", 200, {})
    path = layout.ledger_file(run)
    entries = ledger.read(run)
    facts = entries[-1].facts | {"versions": entries[-1].facts["versions"] | {"numpy": "0.1"}}
    kept = json.loads(json.dumps(codec.encode(entries[-1]) | {"facts": facts}))
    path.write_bytes(ledger.render((*entries[:-1], codec.decode(type(entries[0]), kept))))
    found = standing(run)
    assert found.changes == ()
    assert len(found.notes) == 1
    assert found.notes[0].startswith("computed with numpy 0.1; the protocol was locked with ")


def test_no_test_image_is_no_opening(run):
    before = len(ledger.read(run))
    protocol.opened(run, "evaluate", "net-int8@cpu", 0, {})
    assert len(ledger.read(run)) == before


# ------------------------------------------------------------------ no protocol


def test_a_run_of_an_earlier_version_is_told_from_one_that_lost_its_protocol(run, tmp_path):
    old = finished(tmp_path / "old", locked=False)
    found = standing(old)
    assert (found.locked, found.opened, found.fault) == (False, True, None)
    assert "a run of an earlier version" in found.sentence
    for path in (layout.protocol_file(run), layout.ledger_file(run)):
        path.unlink()
    lost = standing(run)
    assert lost.fault is not None
    assert "is no longer in the run" in lost.fault


def test_a_new_run_without_any_protocol_is_at_fault(tmp_path):
    run = finished(tmp_path / "run", locked=False)
    for cell in ("net-float32@cpu", "net-int8@cpu"):
        path = run / "measurements" / cell / artefact.MANIFEST
        document = json.loads(path.read_text())
        document["stages"]["evaluate"]["facts"] = protocol.fact(run)
        path.write_text(json.dumps(document))
    assert standing(run).fault == "Test images were predicted without a protocol"


def test_an_earlier_run_that_this_version_went_on_with_is_not_at_fault(tmp_path):
    run = finished(tmp_path / "run", locked=False)
    path = run / "measurements" / "net-int8@cpu" / artefact.MANIFEST
    document = json.loads(path.read_text())
    document["stages"]["evaluate"]["facts"] = protocol.fact(run)
    path.write_text(json.dumps(document))
    assert standing(run).fault is None


def test_predictions_moved_to_the_history_were_opened_too(run):
    artefact.keep_history(run / "measurements" / "net-int8@cpu")
    artefact.keep_history(run / "measurements" / "net-float32@cpu")
    assert protocol.test_predicted(run)
    shutil.rmtree(run / "measurements")
    assert not protocol.test_predicted(run)


def test_damaged_predictions_count_as_opened(run):
    shutil.rmtree(run / "measurements" / "net-float32@cpu")
    path = run / "measurements" / "net-int8@cpu" / layout.PREDICTIONS
    path.write_bytes(path.read_bytes()[:100])
    assert protocol.test_predicted(run)


# ------------------------------------------------------------------ protocol.json


def test_an_edited_protocol_is_refused(run):
    path = layout.protocol_file(run)
    path.write_text(path.read_text().replace("0.02", "0.15"))
    with pytest.raises(BadInput, match=r"protocol\.json: it was edited since it was locked"):
        standing(run)


@pytest.mark.parametrize(("gone", "fault"), [
    ("ledger_file", r"protocol\.json: it lies here without its ledger\.jsonl"),
    ("protocol_file", r"ledger\.jsonl: it lies here without its protocol\.json"),
])
def test_one_without_the_other_is_refused(run, gone, fault):
    getattr(layout, gone)(run).unlink()
    with pytest.raises(BadInput, match=fault):
        standing(run)


def test_ids_are_filled_in_before_they_are_compared(run):
    """A model that a person named only once is the same model."""
    from dataclasses import replace

    study = stored.study(run)
    bare = replace(study, models=(ModelConfig("net"),))
    assert protocol_file.compose(run, bare).models == (ModelConfig("net", id="net"),)
    assert "net-int8@cpu" in protocol_file.compose(run, bare).planned
