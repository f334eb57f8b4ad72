"""The stage over measurements: poor data, edited files, nothing redone without a change."""

from __future__ import annotations

import json
import shutil

import gate_fixture
import numpy as np
import pytest
from choice_fixture import Cell, make, sample
from gate_fixture import bedside, document, splits

from bedside.cli import decide
from bedside.core.study import BudgetConfig
from bedside.runfolder import layout, stored
from bedside.stages.recommend import stage

good = gate_fixture.good


@pytest.mark.parametrize(("labels", "parts", "chosen", "cause"), [
    ([0] * 20 + [0, 1] * 10, splits(20, 20), None, "not predicted"),
    ([0, 1] * 10 + [1] * 20, splits(20, 20), None, "below floor"),
    ([0, 1] * 10 + [0] * 20, splits(20, 20), None, "below floor"),
    ([0, 1, 0, 1, 1], splits(2, 3), None, "below floor"),
    ([0, 1] * 5, splits(10, 0), None, "below floor"),
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
    found = stored.recommendations(tmp_path).recommendations[0]
    assert (found.chosen, found.cause) == (chosen, cause)
    for name in (layout.RECOMMENDATION,):
        text = (tmp_path / name).read_text()
        assert "NaN" not in text and "None" not in text
        json.loads(text, parse_constant=pytest.fail)
    if cause == "below floor" and kind == "perfect":
        assert found.test.verdict == "below floor"
        assert found.why[0].startswith("Not good enough for use: ")
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


@pytest.mark.parametrize(("budget", "why"), [
    (BudgetConfig(min_test_images=81), "80 test images, and the study asks for 81 at least"),
    (BudgetConfig(min_auc=0.999), "AUC of 0.9"),
    (BudgetConfig(min_sensitivity=0.999), "sensitivity of 9"),
    (BudgetConfig(min_specificity=0.999), "specificity of 9"),
    (BudgetConfig(min_test_images=80), None),
])
def test_below_a_floor_nothing_is_recommended_and_the_reason_comes_first(tmp_path, capsys, budget,
                                                                        why):
    _, labels, odds = sample(160, noise=1.4)
    make(tmp_path, labels, splits(80, 80), {"float32": Cell(odds, 12, 4_000_000),
                                            "int8": Cell(odds, 4)}, budget)
    found = stored.recommendations(tmp_path).recommendations[0]
    code, said = document(capsys, "gate", tmp_path)
    if why is None:
        assert (found.chosen, code) == ("net-int8", 0)
        return
    assert (found.chosen, found.cause, code) == (None, "below floor", 1)
    if why.startswith("AUC"):  # validation shows that already, so nothing is chosen at all
        assert found.vetoed is None
        assert why in found.rejected["net-int8"]
        return
    assert found.vetoed == "net-int8"
    assert why in found.why[0]
    assert why in next(c for c in said["checks"] if c["check"] == "recommendation")["detail"]


@pytest.mark.parametrize(("kind", "text"), [
    ("swapped", "classes may be swapped: its AUC of 0.0"),
    ("chance", "includes 0.5"), ("one class", "predicts one class: every test image")])
def test_a_reference_that_is_no_good_is_named(tmp_path, capsys, kind, text):
    rng, labels, odds = sample(200, noise=0.6)
    on_test = np.arange(200) >= 100
    noise = rng.normal(0, 1, 200)
    bad = {"swapped": -odds, "chance": noise, "one class": odds + 50}[kind]
    make(tmp_path, labels, splits(100, 100), {"float32": Cell(np.where(on_test, bad, odds), 12,
                                                              4_000_000),
                                              "int8": Cell(np.where(on_test, bad, odds), 4)})
    found = stored.recommendations(tmp_path).recommendations[0]
    assert found.chosen is None
    assert any(text in d for d in found.doubts)
    if kind != "one class":  # a shift leaves the AUC as it was
        assert any("validation and test disagree beyond chance" in d for d in found.doubts)
    decide._print_recommendation(found)
    assert text in capsys.readouterr().out.replace("\n", " ")


def test_the_stage_is_left_alone_until_something_changes(tmp_path):
    from dataclasses import replace

    _, labels, odds = sample(300)
    make(tmp_path, labels, splits(100, 200), {"float32": Cell(odds), "int8": Cell(odds, 4)})
    path = tmp_path / layout.RECOMMENDATION
    before, config = path.stat().st_mtime_ns, stored.study(tmp_path)
    stage.recommend(tmp_path, config)
    assert path.stat().st_mtime_ns == before
    found = stage.recommend(tmp_path, replace(config, budget=BudgetConfig(
        latency_ms=1.0)))
    assert path.stat().st_mtime_ns != before
    assert found[0].chosen is None


def _retyped(path):
    """Other contents of the same size, which sizes do not show."""
    data = path.read_bytes()
    path.write_bytes(data[:-2] + b" " + data[-1:] if data[-2:-1] != b" " else data[:-2] + b"x\n")


def test_a_choice_retyped_in_place_is_made_anew(good, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(good, run)
    before = (run / layout.RECOMMENDATION).read_bytes()
    _retyped(run / layout.RECOMMENDATION)
    stage.recommend(run, stored.study(run))
    assert (run / layout.RECOMMENDATION).read_bytes() == before
