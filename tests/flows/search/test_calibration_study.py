"""``bedside calibrate``: what its flags mean, and what it prints for programs."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest

from bedside.cli import quantize
from bedside.cli.app import guarded
from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.study import ModelConfig, Study
from bedside.flows import study
from bedside.flows.check import check
from bedside.flows.search import calibration_study
from bedside.runfolder import artefact, layout, stored


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
    monkeypatch.setattr(stored, "model_specs", lambda _: ())
    monkeypatch.setattr(calibration_study, "seconds", lambda run, model, plan: 12.04 * len(
        plan.sizes))
    assert guarded(command) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == {"schema": 1, "seconds": 12.0}
    assert "12 s" in said.err


def test_calibrations_are_a_document_with_a_schema(capsys):
    quantize.print_rows(True, "calibrations", ["model"], [["a"]])
    assert json.loads(capsys.readouterr().out) == {"schema": 1, "calibrations": [{"model": "a"}]}


def test_the_study_compares_sets_and_names_the_smallest(tiny_run):
    plan = calibration_study.Plan(("minmax",), ("random", "coverage"), (2, 500), seeds=2)
    result = calibration_study.study(tiny_run, "resnet34", plan)
    with (tiny_run / "calibration" / "resnet34" / "study" / "cells.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == 2 * 2 * 2
    assert {int(r["size"]) for r in rows} == {2, 20}  # 500 becomes all training images
    largest = [r for r in rows if r["size"] == "20"]
    assert all(float(r["auroc_to_largest"]) == 0 and r["flips_to_largest"] == "0"
               for r in largest)
    # All training images in another order are the same images: the seed changes nothing.
    assert len({r["auroc"] for r in largest}) == 1
    assert max(float(r["range_change"]) for r in rows) > 0
    for s in result.smallest:
        mine = [r for r in rows if (r["estimator"], r["choice"]) == (s.estimator, s.choice)]
        if s.size is not None:
            assert all(abs(float(r["auroc_to_largest"])) <= 0.002
                       and int(r["flips_to_largest"]) <= 1
                       for r in mine if int(r["size"]) >= s.size)
    assert calibration_study.study(tiny_run, "resnet34", plan) == result


def test_the_study_refuses_an_activation_that_is_not_finite_in_words(tiny_run, monkeypatch,
                                                                    tmp_path):
    other = tmp_path / "run"
    shutil.copytree(tiny_run, other)
    real = calibration_study.LiteRTModel.tensor
    monkeypatch.setattr(calibration_study.LiteRTModel, "tensor",
                        lambda self, index: real(self, index) * np.float32(np.nan))
    plan = calibration_study.Plan(("minmax", "percentile"), ("random",), (2,), seeds=1)
    with pytest.raises(BadInput, match="not finite in"):
        calibration_study.study(other, "resnet34", plan)


@pytest.mark.parametrize("plan", [calibration_study.Plan(estimators=("kl",)),
                                  calibration_study.Plan(choices=("all",)),
                                  calibration_study.Plan(sizes=()),
                                  calibration_study.Plan(seeds=0)])
def test_a_study_that_cannot_work_is_refused(tiny_run, plan):
    with pytest.raises(BadInput):
        calibration_study.study(tiny_run, "resnet34", plan)
