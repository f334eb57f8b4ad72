"""Comparison of two runs: ``bedside diff`` and paired tests on shared images."""

from __future__ import annotations

import shutil
from dataclasses import replace

import gate_fixture
import numpy as np
import pytest
from choice_fixture import TASK, Cell, make, measure, sample
from gate_fixture import TEST, VAL, N, bedside, checks, document, splits

from bedside.core.types import Case, Task
from bedside.flows import compare_runs
from bedside.runfolder import stored
from bedside.stages.evidence import stage as evidence
from bedside.stages.recommend import stage

big, good = gate_fixture.big, gate_fixture.good


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
    names = stored.predictions(good, "net-int8", "cpu").ids
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
    study = stored.study(new)
    evidence.evidence(new, study.evidence)
    stage.recommend(new, study)
    code, said = document(capsys, "gate", new, "--against", old)
    # A variant that nobody planned came after the test set was opened: exploratory.
    late = {("protocol", "cpu")} if again == "a new cell" else set()
    assert (code, checks(said, "fail")) == (1 if late else 0, late)


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


def test_cases_are_matched_by_id():
    old = {i: Case(i, f"{i}.png", "benign", split=s) for i, s in (
        ("a", "train"), ("b", "val"), ("c", "test"), ("d", "test"))}
    new = {"a": old["a"], "b": replace(old["b"], split="train"),
           "c": replace(old["c"], label="malignant"), "e": replace(old["d"], id="e")}
    found = compare_runs.data_change(old, new)
    assert found.counts == {"train": (1, 2), "val": (1, 0), "test": (2, 2)}
    assert (found.only_old, found.only_new, found.moved, found.relabelled) == (1, 1, 1, 1)
