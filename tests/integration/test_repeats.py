"""Repeats of a small study through the command line: units, resumption, failures, the report."""

from __future__ import annotations

import json
import shutil

import pytest

from bedside.cli import app
from bedside.core import codec
from bedside.core.repeats import Unit, UnitResult
from bedside.flows import repeats, study
from bedside.runfolder import artefact, layout, ledger, stored

pytestmark = pytest.mark.slow

SMALL = """
schemes = ["float32", "int8"]
[data]
source = "phantom"
proportions = [70, 30, 40]
[data.phantom]
images = 140
height_px = 64
width_px = 64
[[models]]
name = "resnet34"
width = 0.125
image_px = 32
epochs = 1
batch_size = 8
[calibration]
images = 8
[evaluate]
rounds = 1
warmup = 0
samples = 2
[repeats]
repeats = 1
"""


def _bedside(*arguments) -> None:
    with pytest.raises(SystemExit) as caught:
        app.main([str(a) for a in arguments])
    assert caught.value.code == 0


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repeats")
    (folder / "study.toml").write_text(SMALL)
    _bedside("run", "-c", folder / "study.toml", "--out", folder / "run")
    return folder / "run"


def test_every_unit_has_its_own_folder_and_answers(run):
    found = stored.repeats(run)
    assert [u.unit.name for u in found.units] == ["seed-1", "split-1", "calibration-1"]
    assert {u.status for u in found.units} == {"ok"}
    for unit in found.units:
        folder = layout.unit_dir(run, unit.unit.name)
        assert not (folder / "models").exists()  # what is large goes
        assert stored.predictions(folder, "resnet34-int8", "cpu").ids.size
        assert {(c.variant, c.target) for c in unit.cells} == {
            ("resnet34-float32", "cpu"), ("resnet34-int8", "cpu")}


def test_only_what_is_drawn_again_differs(run):
    seed, split, calibration = (layout.unit_dir(run, n) for n in (
        "seed-1", "split-1", "calibration-1"))
    own = {c.id: c.split for c in stored.cases(run)}
    assert {c.id: c.split for c in stored.cases(seed)} == own
    assert {c.id: c.split for c in stored.cases(split)} != own

    def logits(folder, scheme):
        found = stored.predictions(folder, f"resnet34-{scheme}", "cpu").of("test")
        return found.logits[found.ids.argsort()]

    assert (logits(calibration, "float32") == logits(run, "float32")).all()
    assert (logits(seed, "float32") != logits(run, "float32")).any()


@pytest.mark.parametrize("draw", ["seed", "calibration"])
def test_a_unit_with_the_studys_own_seed_is_the_study(run, tmp_path, draw):
    ledger_before = layout.ledger_file(run).read_bytes()
    config = study.load(run)
    own = config.seed if draw == "seed" else config.calibration.seed
    repeats._run_unit(run, config, Unit("own", draw, 1, own), tmp_path / "own", None)
    for scheme in ("float32", "int8"):
        a, b = (stored.predictions(r, f"resnet34-{scheme}", "cpu") for r in (run, tmp_path / "own"))
        assert (a.ids == b.ids).all()
        assert (a.logits == b.logits).all()
    layout.ledger_file(run).write_bytes(ledger_before)


def test_the_ledger_says_that_test_images_were_read(run):
    told = [e.facts for e in ledger.read(run) if e.kind == "opened"]
    assert [f["subject"] for f in told if f["stage"] == "repeats"] == [
        "seed-1", "split-1", "calibration-1"]
    assert stored.recommendations(run).recommendations[0].exploratory == ()


def test_a_finished_unit_is_never_run_again_and_a_lost_one_alone_is(run):
    before = {u.unit.name: layout.unit_dir(run, u.unit.name) / "unit.json"
              for u in stored.repeats(run).units}
    times = {n: p.stat().st_mtime_ns for n, p in before.items()}
    lost = codec.read_json(UnitResult, before["calibration-1"])
    shutil.rmtree(before["calibration-1"].parent)
    repeats.repeat(run, study.load(run))
    after = {n: p.stat().st_mtime_ns for n, p in before.items()}
    assert {n for n in times if after[n] != times[n]} == {"calibration-1"}
    assert codec.read_json(UnitResult, before["calibration-1"]) == lost


def test_the_report_shows_the_distribution(run):
    page = (layout.report_dir(run) / "index.html").read_text()
    assert "What one draw hides" in page
    assert "1 other training seed, 1 other split, 1 other calibration draw" in page
    document = json.loads((layout.report_dir(run) / "results.json").read_text())
    assert len(document["repeats"]["units"]) == 3


def test_a_split_without_a_class_fails_by_itself(run, tmp_path, monkeypatch):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    one_sided = {c.id: "test" if c.label == "malignant" else "train" for c in stored.cases(run)}
    monkeypatch.setattr(repeats.derive, "redraw", lambda *_: one_sided)
    unit = Unit("split-9", "split", 9, 9)
    found = repeats._unit(copy, study.load(copy), unit, None)
    assert (found.status, found.cells) == ("failed", ())
    assert "has no image of class" in found.reason
    assert artefact.finished(layout.unit_dir(copy, unit.name), repeats.UNIT_STAGE)
    monkeypatch.undo()  # mended: it is tried again, and then left alone
    assert repeats._unit(copy, study.load(copy), unit, None).status == "ok"
