"""``gate`` and ``diff`` through the command line: worse, budgets, earlier runs, poor data."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from choice_fixture import TASK, Cell, make, measure, sample

from bedside.cli import app
from bedside.core.errors import BadInput
from bedside.core.study import BudgetConfig, Limits
from bedside.core.types import Task
from bedside.runfolder import artefact, layout
from bedside.runfolder.predictions import read_predictions
from bedside.stages import evidence
from bedside.stages.recommend import stage

VAL, TEST = 200, 600
N = VAL + TEST




def bedside(capsys, *arguments):
    """Exit code, standard output and standard error of a command."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        app.main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return caught.value.code, out, err


def document(capsys, *arguments):
    code, out, _ = bedside(capsys, *arguments, "--json")
    assert "NaN" not in out
    return code, json.loads(out, parse_constant=pytest.fail)


def splits(val, test):
    return ["val"] * val + ["test"] * test


def checks(found, result):
    return {(c["check"], c["subject"]) for c in found["checks"] if c["result"] == result}


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """2,000 test images: a good int8, and a dynamic that was damaged."""
    rng, labels, odds = sample(2400)
    damaged = np.where(rng.random(2400) < 0.15, -odds, odds)
    return make(tmp_path_factory.mktemp("big"), labels, splits(400, 2000), {
        "float32": Cell(odds, 12, 4_000_000), "int8": Cell(odds + rng.normal(0, 0.02, 2400), 4),
        "dynamic": Cell(damaged, 3)})


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """The same without the damaged variant."""
    rng, labels, odds = sample(N)
    return make(tmp_path_factory.mktemp("good"), labels, splits(VAL, TEST), {
        "float32": Cell(odds, 12, 4_000_000), "int8": Cell(odds + rng.normal(0, 0.02, N), 4)})


def test_enough_images_confirm_the_choice(good, capsys):
    found = layout.recommendations(good).recommendations[0]
    assert (found.chosen, found.test.verdict) == ("net-int8", "confirmed")
    assert found.candidates[0].latency_ms.coverage == 0.75
    code, said = document(capsys, "gate", good)
    assert (code, said["passed"]) == (0, True)
    assert {c["result"] for c in said["checks"]} == {"pass"}


def test_a_damaged_variant_is_worse_and_the_gate_fails(big, capsys):
    found = layout.recommendations(big).recommendations[0]
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
    found = layout.recommendations(tmp_path).recommendations[0]
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
    assert layout.recommendations(tmp_path / "b").recommendations[0].chosen is None
    assert bedside(capsys, "gate", tmp_path / "b")[0] == 1


def test_a_budget_that_nothing_keeps_fails_the_gate_and_recommends_none(tmp_path, capsys):
    _, labels, odds = sample(300)
    make(tmp_path, labels, splits(100, 200), {"float32": Cell(odds), "int8": Cell(odds, 4)},
         BudgetConfig(targets={"cpu": Limits(latency_ms=1.0)}))
    assert layout.recommendations(tmp_path).recommendations[0].cause == "budget"
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
    found = layout.recommendations(tmp_path).recommendations[0]
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


def test_unequal_image_sets_are_named_and_their_intersection_used(good, tmp_path, capsys):
    _, labels, odds = sample(N)
    keep = np.r_[np.arange(VAL), np.arange(VAL + 100, N)]
    make(tmp_path, labels[keep], np.array(splits(VAL, TEST))[keep],
         {"float32": Cell(odds[keep], 12, 4_000_000), "int8": Cell(odds[keep], 4)}, ids=keep)
    code, said = document(capsys, "diff", good, tmp_path)
    assert code == 0
    one = next(c for c in said["cells"] if c["variant"] == "net-int8")
    assert (one["test"]["n"], one["test"]["only_old"], one["test"]["only_new"]) == (500, 100, 0)
    assert "tests use the 500 that both predicted" in said["notes"][0]
    assert said["data"]["counts"]["test"] == [600, 500]
    _, _, err = bedside(capsys, "diff", good, tmp_path)
    assert "100 are in the old run only" in err


def test_no_image_in_common_is_bad_input(good, tmp_path, capsys):
    _, labels, odds = sample(300)
    make(tmp_path / "a", labels, splits(100, 200), {"float32": Cell(odds)},
         ids=range(5000, 5300))
    for command in (("diff", good, tmp_path / "a"), ("gate", tmp_path / "a", "--against", good)):
        code, _, err = bedside(capsys, *command)
        assert code == 2
        assert "no test image is in both" in err
    make(tmp_path / "b", labels, splits(100, 200), {"float32": Cell(odds)},
         task=Task(("a", "b"), "b"))
    code, _, err = bedside(capsys, "diff", good, tmp_path / "b")
    assert (code, "its classes are benign, malignant, not a, b" in err) == (2, True)
    code, _, err = bedside(capsys, "diff", good, tmp_path)
    assert (code, "not a run folder" in err) == (2, True)


def test_diff_says_what_changed_and_writes_nothing(good, big, capsys):
    before = sorted((p, p.stat().st_mtime_ns) for p in [*good.rglob("*"), *big.rglob("*")])
    code, said = document(capsys, "diff", good, big)
    assert code == 0
    assert said["added"] == ["net-dynamic@cpu"]
    assert said["removed"] == []
    assert {s["key"] for s in said["settings"]} == {"schemes"}
    assert said["recommended"] == {"cpu": ["net-int8", "net-int8"]}
    code, out, _ = bedside(capsys, "diff", good, big)
    assert code == 0
    assert "train 0 → 0, val 200 → 400, test 600 → 2000" in out
    assert sorted((p, p.stat().st_mtime_ns) for p in [*good.rglob("*"), *big.rglob("*")]) == before


@pytest.mark.parametrize("again", ["a new cell", "a cell measured again"])
def test_cells_that_were_measured_after_the_evidence_are_compared(good, tmp_path, capsys, again):
    """As ``evaluate`` leaves a run: the evidence is older than a cell."""
    old, new = tmp_path / "old", tmp_path / "new"
    _, labels, odds = sample(N)
    names = layout.predictions(good, "net-int8", "cpu").ids
    for run in (old, new):
        shutil.copytree(good, run)
    if again == "a new cell":
        later = [(old, "dynamic", Cell(odds, 3)), (new, "dynamic", Cell(odds, 3))]
    else:  # every score is a little higher, and so is the threshold
        later = [(new, "float32", Cell(odds + 1, 12, 4_000_000)), (new, "int8", Cell(odds + 1, 4))]
    for run, scheme, cell in later:
        measure(run, TASK, scheme, cell, names, np.array(splits(VAL, TEST)), labels)
    code, said = document(capsys, "diff", old, new)
    assert code == 0
    name = "net-dynamic" if again == "a new cell" else "net-float32"
    one = next(c for c in said["cells"] if c["variant"] == name)
    assert (one["test"]["n"], one["test"]["flips"]["changed"]["value"]) == (TEST, 0)
    study = layout.study(new)
    evidence.evidence(new, study.evidence)
    stage.recommend(new, study)
    assert bedside(capsys, "gate", new, "--against", old)[0] == 0


def test_latencies_of_different_machines_are_not_compared(good, tmp_path, capsys, monkeypatch):
    import choice_fixture

    monkeypatch.setattr(choice_fixture, "MACHINE", {"processor": "another", "system": "Linux"})
    _, labels, odds = sample(N)
    make(tmp_path, labels, splits(VAL, TEST), {"float32": Cell(odds, 120, 4_000_000),
                                               "int8": Cell(odds, 40)})
    code, said = document(capsys, "gate", tmp_path, "--against", good)
    assert code == 0
    assert ("not slower", "net-int8@cpu") in checks(said, "warning")
    _, said = document(capsys, "diff", good, tmp_path)
    assert "different machines" in said["cells"][0]["latency"]["reason"]


# ------------------------------------------------------------------ poor data


@pytest.mark.parametrize(("labels", "parts", "chosen", "cause"), [
    ([0] * 20 + [0, 1] * 10, splits(20, 20), None, "not predicted"),
    ([0, 1] * 10 + [1] * 20, splits(20, 20), "net-int8", None),
    ([0, 1] * 10 + [0] * 20, splits(20, 20), "net-int8", None),
    ([0, 1, 0, 1, 1], splits(2, 3), "net-int8", None),
    ([0, 1] * 5, splits(10, 0), "net-int8", None),
    ([0, 1] * 5, splits(0, 10), None, "not predicted"),
])
@pytest.mark.parametrize("kind", ["random", "perfect", "tied"])
def test_poor_data_gives_reasons_and_never_a_nan(tmp_path, capsys, labels, parts, chosen, cause,
                                                 kind):
    rng = np.random.default_rng(0)
    labels = np.array(labels)
    odds = {"random": rng.normal(0, 1, len(labels)), "perfect": 4.0 * labels - 2,
            "tied": np.zeros(len(labels))}[kind]
    make(tmp_path, labels, parts, {"float32": Cell(odds, 12, 4_000_000), "int8": Cell(odds, 4)})
    found = layout.recommendations(tmp_path).recommendations[0]
    assert (found.chosen, found.cause) == (chosen, cause)
    for name in (layout.RECOMMENDATION,):
        text = (tmp_path / name).read_text()
        assert "NaN" not in text and "None" not in text
        json.loads(text, parse_constant=pytest.fail)
    if chosen is not None:
        assert found.test.verdict in ("not shown", "untested")
        assert found.test.text
    code, said = document(capsys, "gate", tmp_path)
    assert code == (0 if chosen else 1)
    assert all(c["detail"] and "None" not in c["detail"] for c in said["checks"])
    if "test" in parts:
        code, said = document(capsys, "diff", tmp_path, tmp_path)
        assert code == 0
        for c in said["cells"]:
            for t in c["test"]["tests"].values():
                assert t["p_value"] is not None or t["reason"]
                assert t["difference"]["value"] is not None or t["difference"]["reason"]
        assert bedside(capsys, "diff", tmp_path, tmp_path)[0] == 0


def test_the_stage_is_left_alone_until_something_changes(tmp_path):
    from dataclasses import replace

    _, labels, odds = sample(300)
    make(tmp_path, labels, splits(100, 200), {"float32": Cell(odds), "int8": Cell(odds, 4)})
    path = tmp_path / layout.RECOMMENDATION
    before, config = path.stat().st_mtime_ns, layout.study(tmp_path)
    stage.recommend(tmp_path, config)
    assert path.stat().st_mtime_ns == before
    found = stage.recommend(tmp_path, replace(config, budget=BudgetConfig(
        latency_ms=1.0)))
    assert path.stat().st_mtime_ns != before
    assert found[0].chosen is None


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
    config = layout.study(run)
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
    read = {layout.OPERATING_POINT: layout.operating_points,
            layout.STATISTICS: layout.statistics}[file]
    with pytest.raises(BadInput, match="hash"):
        read(run, "net")
    evidence.evidence(run, layout.study(run).evidence)
    assert path.read_bytes() == before


def test_a_choice_retyped_in_place_is_made_anew(good, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(good, run)
    before = (run / layout.RECOMMENDATION).read_bytes()
    _retyped(run / layout.RECOMMENDATION)
    stage.recommend(run, layout.study(run))
    assert (run / layout.RECOMMENDATION).read_bytes() == before


def test_edited_cases_and_task_are_refused(good, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(good, run)
    for name, read in ((layout.CASES, layout.cases), (layout.TASK, layout.task)):
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
