"""``gate`` and ``diff`` through the command line: worse, budgets, earlier runs, poor data."""

from __future__ import annotations

import shutil

import gate_fixture
import numpy as np
import pytest
from choice_fixture import Cell, make, sample
from gate_fixture import TEST, VAL, N, bedside, checks, document, splits

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.study import BudgetConfig, Limits
from bedside.flows import gate, study
from bedside.runfolder import artefact, layout, stored
from bedside.runfolder.predictions import read_predictions
from bedside.stages.evidence import stage as evidence
from bedside.stages.recommend import stage

big, good = gate_fixture.big, gate_fixture.good


def test_enough_images_confirm_the_choice(good, capsys):
    found = stored.recommendations(good).recommendations[0]
    assert (found.chosen, found.test.verdict) == ("net-int8", "confirmed")
    assert found.candidates[0].latency_ms.coverage == 0.75
    code, said = document(capsys, "gate", good)
    assert (code, said["passed"]) == (0, True)
    assert {c["result"] for c in said["checks"]} == {"pass"}


def test_a_damaged_variant_is_worse_and_the_gate_fails(big, capsys):
    found = stored.recommendations(big).recommendations[0]
    assert (found.chosen, found.test.verdict, found.test.n) == ("net-int8", "confirmed", 2000)
    assert found.causes == {"net-dynamic": "worse"}
    code, said = document(capsys, "gate", big)
    assert code == 1
    assert checks(said, "fail") == {("not worse", "net-dynamic@cpu")}
    _, _, err = bedside(capsys, "gate", big)
    assert "net-dynamic@cpu: inferior to net-float32@cpu on 2000 test images" in err


def test_a_veto_fails_the_gate(tmp_path, capsys):
    """Fine on validation, damaged on test only."""
    rng, labels, odds = sample(2400)
    damaged = np.where((rng.random(2400) < 0.15) & (np.arange(2400) >= 400), -odds, odds)
    make(tmp_path, labels, splits(400, 2000), {"float32": Cell(odds, 12, 4_000_000),
                                               "int8": Cell(damaged, 4)})
    found = stored.recommendations(tmp_path).recommendations[0]
    assert (found.chosen, found.vetoed, found.cause) == (None, "net-int8", "vetoed")
    code, said = document(capsys, "gate", tmp_path)
    assert code == 1
    assert ("recommendation", "cpu") in checks(said, "fail")


def test_too_few_images_pass_with_a_warning_unless_proof_is_required(tmp_path, capsys):
    rng, labels, odds = sample(300)
    cells = {"float32": Cell(odds, 12, 4_000_000), "int8": Cell(odds + rng.normal(0, .05, 300), 4)}
    make(tmp_path / "a", labels, splits(100, 200), cells)
    code, _, err = bedside(capsys, "gate", tmp_path / "a")
    assert code == 0
    assert "warning: net-int8@cpu: inconclusive: 200 test images are too few" in err
    assert "positive images" in err
    make(tmp_path / "b", labels, splits(100, 200), cells, BudgetConfig(require="shown"))
    assert stored.recommendations(tmp_path / "b").recommendations[0].chosen is None
    assert bedside(capsys, "gate", tmp_path / "b")[0] == 1


def test_a_budget_that_nothing_keeps_fails_the_gate_and_recommends_none(tmp_path, capsys):
    _, labels, odds = sample(300)
    make(tmp_path, labels, splits(100, 200), {"float32": Cell(odds), "int8": Cell(odds, 4)},
         BudgetConfig(targets={"cpu": Limits(latency_ms=1.0)}))
    assert stored.recommendations(tmp_path).recommendations[0].cause == "budget"
    code, said = document(capsys, "gate", tmp_path)
    assert code == 1
    assert ("recommendation", "cpu") in checks(said, "fail")


def test_what_is_over_budget_and_not_recommended_fails_only_where_every_is_judged(tmp_path,
                                                                                capsys):
    _, labels, odds = sample(300)
    make(tmp_path, labels, splits(100, 200), {"float32": Cell(odds, 12, 4_000_000),
                                              "int8": Cell(odds, 4)},
         BudgetConfig(size_bytes=2_000_000))
    code, said = document(capsys, "gate", tmp_path)
    assert code == 0
    assert ("budget", "net-float32@cpu") in checks(said, "warning")
    assert bedside(capsys, "gate", tmp_path, "--every")[0] == 1


def test_estimates_alone_are_no_release(tmp_path, capsys):
    _, labels, odds = sample(300)
    make(tmp_path, labels, splits(100, 200), {"int8": Cell(odds, 4, how="estimated")})
    found = stored.recommendations(tmp_path).recommendations[0]
    assert (found.chosen, found.cause, found.measure_first) == (None, "unmeasured", "net-int8")
    code, said = document(capsys, "gate", tmp_path)
    assert code == 1
    assert ("recommendation", "every target") in checks(said, "fail")


def test_a_recommendation_older_than_the_budget_is_refused(good, tmp_path, capsys):
    copy = tmp_path / "run"
    shutil.copytree(good, copy)
    text = layout.study_file(copy).read_text()
    layout.study_file(copy).write_text(text.replace("slower = 0.1", "slower = 0.2"))
    code, _, err = bedside(capsys, "gate", copy)
    assert code == 2
    assert "older than the measurements or the budget" in err
    assert "bedside recommend RUN" in err
    (copy / "manifest.json").unlink()
    code, _, err = bedside(capsys, "gate", copy)
    assert (code, "no recommendation to check" in err) == (2, True)


# ------------------------------------------------------------------ against an earlier run


def test_a_run_against_itself_passes_and_says_shown(good, capsys):
    code, said = document(capsys, "gate", good, "--against", good)
    assert code == 0
    assert ("not worse than before", "net-int8@cpu") in checks(said, "pass")


def test_a_worse_release_fails(good, tmp_path, capsys):
    """Retrained and worse, though each of its variants is as good as its own float32."""
    rng, labels, odds = sample(N)
    bad = odds + rng.normal(0, 2.5, N)
    make(tmp_path, labels, splits(VAL, TEST), {
        "float32": Cell(bad, 12, 4_000_000), "int8": Cell(bad + rng.normal(0, 0.02, N), 4)})
    assert bedside(capsys, "gate", tmp_path)[0] == 0
    code, said = document(capsys, "gate", tmp_path, "--against", good)
    assert code == 1
    assert checks(said, "fail") == {("not worse than before", "net-int8@cpu"),
                                    ("not worse than before", "net-float32@cpu")}


@pytest.mark.parametrize(("cell", "fault"), [
    ({"ms": 5.0}, ("not slower", "net-int8@cpu")),
    ({"size": 1_100_000}, ("not larger", "net-int8@cpu")),
    ({"status": "unsupported"}, ("still runs", "net-int8@cpu")),
])
def test_slower_larger_or_gone_fails(good, tmp_path, capsys, cell, fault):
    _, labels, odds = sample(N)
    make(tmp_path, labels, splits(VAL, TEST), {
        "float32": Cell(odds, 12, 4_000_000), "int8": Cell(odds, **({"ms": 4} | cell))})
    code, said = document(capsys, "gate", tmp_path, "--against", good)
    assert code == 1
    assert fault in checks(said, "fail")


def test_a_little_slower_is_within_the_budget(good, tmp_path, capsys):
    _, labels, odds = sample(N)
    make(tmp_path, labels, splits(VAL, TEST), {
        "float32": Cell(odds, 12, 4_000_000), "int8": Cell(odds, 4.3)})
    assert bedside(capsys, "gate", tmp_path, "--against", good)[0] == 0


# ------------------------------------------------------------------ damage


def _cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def _retyped(path):
    """Other contents of the same size, which sizes do not show."""
    data = path.read_bytes()
    path.write_bytes(data[:-2] + b" " + data[-1:] if data[-2:-1] != b" " else data[:-2] + b"x\n")


MEASURED = f"measurements/net-int8@cpu/{layout.MEASUREMENT}"
PREDICTED = f"measurements/net-int8@cpu/{layout.PREDICTIONS}"


@pytest.mark.parametrize("harm", [_cut, _retyped, lambda p: p.unlink()])
@pytest.mark.parametrize("name", [MEASURED, PREDICTED, layout.RECOMMENDATION,
                                  f"variants/net-int8/{layout.VARIANT}"])
def test_what_was_damaged_is_neither_gone_nor_judged(good, tmp_path, capsys, name, harm):
    run = tmp_path / "run"
    shutil.copytree(good, run)
    harm(run / name)
    for command in (("diff", good, run), ("diff", run, good), ("gate", run)):
        code, out, err = bedside(capsys, *command)
        assert (code, out) == (2, "")
        told = " ".join(err.split())
        assert name.rsplit("/", 1)[-1] in told.replace(" ", "")
        assert "bedside run --out RUN" in told


def test_edited_answers_do_not_open_the_gate(tmp_path, capsys):
    rng, labels, odds = sample(60)
    run = make(tmp_path, labels, splits(20, 40), {
        "float32": Cell(odds, 12), "int8": Cell(odds + rng.normal(0, 0.5, 60), 4)})
    path = layout.evidence_dir(run, layout.ALL_MODELS) / layout.COMPARISONS
    assert '"not shown"' in path.read_text()
    path.write_text(path.read_text().replace('"not shown"', '"shown"'))
    code, out, err = bedside(capsys, "gate", run)
    assert (code, out) == (2, "")
    assert "hash" in err
    config = stored.study(run)
    evidence.evidence(run, config.evidence)
    stage.recommend(run, config)
    assert '"not shown"' in path.read_text()
    assert bedside(capsys, "gate", run)[0] in (0, 1)


@pytest.mark.parametrize("file", [layout.OPERATING_POINT, layout.STATISTICS])
def test_evidence_retyped_in_place_is_refused_and_made_anew(good, tmp_path, file):
    run = tmp_path / "run"
    shutil.copytree(good, run)
    path = layout.evidence_dir(run, "net") / file
    before = path.read_bytes()
    _retyped(path)
    read = {layout.OPERATING_POINT: stored.operating_points,
            layout.STATISTICS: stored.statistics}[file]
    with pytest.raises(BadInput, match="hash"):
        read(run, "net")
    evidence.evidence(run, stored.study(run).evidence)
    assert path.read_bytes() == before


def test_edited_cases_and_task_are_refused(good, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(good, run)
    for name, read in ((layout.CASES, stored.cases), (layout.TASK, stored.task)):
        _retyped(layout.data_dir(run) / name)
        with pytest.raises(BadInput, match="hash"):
            read(run)


@pytest.mark.parametrize("keep", [0, 1, 3, 100, -200, -10])
def test_cut_predictions_that_no_manifest_lists_do_not_read(good, tmp_path, keep):
    path = tmp_path / layout.PREDICTIONS
    path.write_bytes((good / PREDICTED).read_bytes()[:keep])
    with pytest.raises(BadInput, match="do not read"):
        read_predictions(path)


def test_a_build_that_changed_is_not_judged(good, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(good, run)
    place = layout.build_dir(run, "net-int8", "cpu")
    with artefact.writing(place, "build", "k") as scratch:
        (scratch / "model.tflite").write_text("model")
    assert bedside(capsys, "gate", run)[0] == 0
    (place / "model.tflite").write_text("other")
    assert bedside(capsys, "gate", run)[0] == 2


def test_the_function_gives_what_the_command_prints(good, capsys):
    said = document(capsys, "gate", good)[1]
    assert codec.encode(gate.gate(good, study.load(good))) == said
