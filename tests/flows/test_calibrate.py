"""Every calibration that a study's schemes ask for."""

from __future__ import annotations

import shutil

import pytest

from bedside.core.errors import BadInput
from bedside.core.study import CalibrationConfig, Study
from bedside.flows.calibrate import calibrate_all, study_seconds
from bedside.flows.search.calibration_study import Plan
from bedside.runfolder import layout


def test_only_schemes_that_need_ranges_are_calibrated(tiny_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    study = Study(schemes=("float32", "int8", "int8+percentile"),
                  calibration=CalibrationConfig(images=4))
    rows = calibrate_all(run, ["resnet34"], study)
    assert [(r.scheme, r.estimator, r.images) for r in rows] == [
        ("int8", study.calibration.estimator, 4), ("int8+percentile", "percentile", 4)]
    assert len(list(layout.calibration_dir(run, "resnet34").iterdir())) >= 2


def test_a_model_that_is_not_converted_has_no_estimate(tiny_run):
    with pytest.raises(BadInput, match="not there yet"):
        study_seconds(tiny_run, ["vgg16"], Plan())
