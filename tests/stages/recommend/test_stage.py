"""The stage over measurements: poor data, edited files, nothing redone without a change."""

from __future__ import annotations

import json
import shutil

import gate_fixture
import numpy as np
import pytest
from choice_fixture import Cell, make, sample
from gate_fixture import bedside, document, splits

from bedside.core.study import BudgetConfig
from bedside.runfolder import layout, stored
from bedside.stages.recommend import stage

good = gate_fixture.good


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
    found = stored.recommendations(tmp_path).recommendations[0]
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
