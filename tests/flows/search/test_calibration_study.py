"""``bedside calibrate``: what its flags mean, and what it prints for programs."""

from __future__ import annotations

import json

import pytest

from bedside.cli import quantize
from bedside.cli.app import guarded
from bedside.core import codec
from bedside.core.study import ModelConfig, Study
from bedside.flows import study
from bedside.flows.check import check
from bedside.flows.search import calibration_study
from bedside.runfolder import artefact, layout


@pytest.fixture
def run(tmp_path, monkeypatch):
    def stage(*_, **__):
        raise AssertionError("a stage was run")

    monkeypatch.setattr(study, "through", stage)
    artefact.write_text(layout.study_file(tmp_path), codec.to_toml(
        check(Study(models=(ModelConfig("resnet34"),)))))
    return tmp_path


@pytest.mark.parametrize("flags", [
    ["--dry-run"], ["--estimator", "mse"], ["--size", "8"], ["--choice", "random"],
    ["--seeds", "5"], ["--images", "9"]])
def test_what_only_a_study_has_is_refused_without_it(run, capsys, flags):
    assert guarded(["calibrate", str(run), *flags]) == 2
    said = capsys.readouterr()
    assert flags[0] in said.err
    assert "--study" in said.err
    assert said.out == ""


def test_an_estimate_runs_no_stage_and_is_a_document(run, capsys, monkeypatch):
    command = ["calibrate", str(run), "--study", "--dry-run", "--json", "--size", "8"]
    assert guarded(command) == 2
    assert "bedside convert" in capsys.readouterr().err
    with artefact.writing(layout.model_dir(run, "resnet34"), "convert", "x") as scratch:
        (scratch / "float.tflite").write_bytes(b"x")
    monkeypatch.setattr(layout, "model_specs", lambda _: ())
    monkeypatch.setattr(calibration_study, "seconds", lambda run, model, plan: 12.04 * len(
        plan.sizes))
    assert guarded(command) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == {"schema": 1, "seconds": 12.0}
    assert "12 s" in said.err


def test_calibrations_are_a_document_with_a_schema(capsys):
    quantize.print_rows(True, "calibrations", ["model"], [["a"]])
    assert json.loads(capsys.readouterr().out) == {"schema": 1, "calibrations": [{"model": "a"}]}
