"""The float model and calibration images of runtimes that quantize by themselves."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from bedside import schemes
from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.study import CalibrationConfig
from bedside.runfolder import layout, stored
from bedside.runtime.litert import LiteRTModel
from bedside.stages import calibrate, quantize
from bedside.targets import float_source, load


@pytest.fixture(scope="module")
def run(tiny_run, tmp_path_factory):
    copy = tmp_path_factory.mktemp("server") / "run"
    shutil.copytree(tiny_run, copy)
    for name in ("variants", "builds", "measurements"):
        shutil.rmtree(copy / name, ignore_errors=True)
    folder = calibrate.calibrate(copy, "resnet34", CalibrationConfig(images=16))
    for scheme in ("float32", "dynamic", "int8"):
        needed = scheme == "int8"
        quantize.quantize(copy, "resnet34", schemes.parse(scheme), folder if needed else None,
                          calibrate.read_ranges(folder) if needed else None)
    return copy


@pytest.mark.parametrize(("share", "sound"), [(0.0, True), (5e-4, True), (2e-3, False),
                                              (-0.5, False), (np.nan, False)])
def test_a_converted_model_that_is_another_network_is_refused(run, share, sound):
    """One logit of one image moves by a share of the logits' range."""
    file = layout.model_dir(run, "resnet34") / layout.FLOAT_MODEL
    model = LiteRTModel(file)
    with stored.pixel_store(run, stored.model_spec(run, "resnet34").preprocess) as store:
        images = list(store.tensors(store.ids[:4]))
    ours = [model.run(image)["logits"].copy() for image in images]
    ours[2][0, 1] += share * np.ptp(ours)
    if sound:
        assert float_source.check_parity(file, images, ours) == pytest.approx(share, abs=1e-5)
    else:
        with pytest.raises(BadInput, match="differ from LiteRT's"):
            float_source.check_parity(file, images, ours)


def test_calibration_uses_training_images_alone(run):
    from bedside.core.build import Variant
    from bedside.targets.base import BuildRequest
    from bedside.targets.float_source import calibration_images

    folder = layout.variant_dir(run, "resnet34-int8")
    variant = codec.read_json(Variant, folder / layout.VARIANT)
    found = json.loads((run / "calibration" / "resnet34" / variant.calibration
                        / "calibration.json").read_text())["ids"]
    assert len(found) == 16
    assert {c.split for c in stored.cases(run) if c.id in found} == {"train"}
    images = calibration_images(BuildRequest(variant, load("openvino"), folder, run, folder))
    with stored.pixel_store(run, variant.preprocess) as store:
        for image, case_id in zip(images, found, strict=True):
            np.testing.assert_array_equal(image, store.tensor(case_id))


def test_an_int8_build_that_computes_in_float32_is_no_int8_build():
    float_source.check_quantized("int8", "int8", "X")
    float_source.check_quantized("float32", "float32", "X")
    with pytest.raises(BadInput, match="X's quantizer left the network in float32"):
        float_source.check_quantized("int8", "float32", "X")
