"""Calibration: training images only, ranges as the quantizer finds them."""

from __future__ import annotations

import numpy as np
import pytest

from bedside.core import codec
from bedside.core.calibration import Calibration
from bedside.core.errors import BadInput
from bedside.core.study import CalibrationConfig
from bedside.runfolder import layout, stored
from bedside.selection import CHOICES
from bedside.stages import calibrate

MODEL = "resnet34"


@pytest.fixture(scope="module")
def ranges(tiny_run):
    folder = calibrate.calibrate(tiny_run, MODEL, CalibrationConfig(images=12))
    return folder, calibrate.read_ranges(folder)


def test_calibration_uses_training_images_only_and_records_them(tiny_run, ranges):
    import json

    facts = json.loads((ranges[0] / layout.CALIBRATION).read_text())
    split = {c.id: c.split for c in stored.cases(tiny_run)}
    assert len(facts["ids"]) == 12
    assert {split[i] for i in facts["ids"]} == {"train"}


def test_ranges_agree_with_the_quantizers_own_calibration(tiny_run, ranges):
    """The library's calibrator, given one image at a time, brackets the same values."""
    from litert_quantizer import quantizer, recipe

    float_model = layout.model_dir(tiny_run, MODEL) / layout.FLOAT_MODEL
    ids = calibrate.choose(tiny_run, MODEL, CalibrationConfig(images=12))
    low, high = {}, {}
    with stored.pixel_store(tiny_run, stored.model_spec(tiny_run, MODEL).preprocess) as store:
        for image in store.tensors(ids):
            engine = quantizer.Quantizer(str(float_model), recipe.static_wi8_ai8())
            found = engine.calibrate({"serving_default": [{"image": image}]})
            for name, value in found.items():
                low[name] = min(low.get(name, np.inf), float(value["min"].min()))
                high[name] = max(high.get(name, -np.inf), float(value["max"].max()))
    assert len(low) > 40
    for name in low:
        assert ranges[1][name] == pytest.approx((low[name], high[name]), abs=1e-4)


@pytest.mark.parametrize("name", CHOICES)
def test_only_training_images_are_ever_chosen_and_their_ids_recorded(tiny_run, name):
    folder = calibrate.calibrate(tiny_run, "resnet34", CalibrationConfig(images=6, choice=name))
    facts = codec.read_json(Calibration, folder / layout.CALIBRATION)
    split = {c.id: c.split for c in stored.cases(tiny_run)}
    assert len(facts.ids) == 6 and {split[i] for i in facts.ids} == {"train"}


@pytest.mark.parametrize(("config", "message"), [
    (CalibrationConfig(estimator="percentil"), "Did you mean 'percentile'"),
    (CalibrationConfig(choice="covering"), "Did you mean 'coverage'"),
    (CalibrationConfig(images=0), "at least one image")])
def test_what_cannot_work_is_refused(tiny_run, config, message):
    with pytest.raises(BadInput, match=message):
        calibrate.calibrate(tiny_run, "resnet34", config)
