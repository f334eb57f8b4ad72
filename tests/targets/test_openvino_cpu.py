"""OpenVINO and ONNX Runtime against LiteRT: the same network, their own INT8, honest rows."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from tiny import write_tiny_data, write_trained

from bedside import schemes
from bedside.core import codec
from bedside.core.build import Build
from bedside.core.study import CalibrationConfig, EvaluateConfig, ModelConfig
from bedside.runfolder import layout, stored
from bedside.runtime.litert import LiteRTModel
from bedside.stages import calibrate, quantize
from bedside.stages.build import build
from bedside.stages.convert import convert
from bedside.stages.evaluate.stage import evaluate
from bedside.targets import load, subprocess_build
from bedside.targets.onnx_cpu import OnnxModel
from bedside.targets.openvino_cpu import OpenVinoModel

TARGETS = ("openvino", "onnxruntime")


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


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A network whose logits tell the images apart, as those of an untrained one do not."""
    made = tmp_path_factory.mktemp("trained") / "run"
    write_tiny_data(made, count=80)
    model, _ = write_trained(made, ModelConfig("resnet34", image_px=32, width=0.125))
    convert(made, model)
    folder = calibrate.calibrate(made, model, CalibrationConfig(images=40))
    quantize.quantize(made, model, schemes.parse("int8"), folder, calibrate.read_ranges(folder))
    return made


@pytest.mark.parametrize("target", TARGETS)
def test_int8_is_as_near_to_float32_as_litert_s_on_a_trained_network(trained, target):
    """NNCF's default ranges cut off activations: five times LiteRT's error on this network."""
    build(trained, "resnet34-int8", target)
    folder = layout.build_dir(trained, "resnet34-int8", target)
    made = codec.read_json(Build, folder / layout.BUILD)
    assert made.status == "ok", made.reason
    path = folder / (made.main or next(iter(made.files)))
    runners = [LiteRTModel(layout.model_dir(trained, "resnet34") / layout.FLOAT_MODEL),
               LiteRTModel(layout.variant_dir(trained, "resnet34-int8") / "model.tflite"),
               {"openvino": OpenVinoModel, "onnxruntime": OnnxModel}[target](path)]
    ids = [c.id for c in stored.cases(trained) if c.split != "train"]
    with stored.pixel_store(trained, stored.model_spec(trained, "resnet34").preprocess) as store:
        exact, litert, ours = (np.stack([r.run(store.tensor(i))["logits"][0] for i in ids])
                               for r in runners)
    span = np.ptp(exact)
    assert span > 1.0  # trained
    errors = [float(np.sqrt(np.mean((x - exact) ** 2))) / span for x in (litert, ours)]
    assert errors[1] < 2 * errors[0] + 0.01, errors


@pytest.fixture(scope="module")
def rows(run):
    pairs = [(f"resnet34-{s}", t) for t in TARGETS for s in ("float32", "dynamic", "int8")]
    for pair in pairs:
        build(run, *pair)
    evaluate(run, pairs, EvaluateConfig(rounds=1, warmup=0, samples=2))
    return {(m.scheme, m.target): m for m in stored.measurements(run)}


@pytest.mark.parametrize("target", TARGETS)
def test_float32_gives_litert_s_logits_and_int8_nearly_so(run, rows, target):
    float_model = LiteRTModel(layout.model_dir(run, "resnet34") / layout.FLOAT_MODEL)
    with stored.pixel_store(run, stored.model_spec(run, "resnet34").preprocess) as store:
        int8 = LiteRTModel(layout.variant_dir(run, "resnet34-int8") / "model.tflite")
        for scheme in ("float32", "int8"):
            row = rows[scheme, target]
            assert row.status == "ok", row.reason
            found = stored.predictions(run, row.variant, target)
            bare, theirs = (np.stack([m.run(store.tensor(str(i)))["logits"][0]
                                      for i in found.ids]) for m in (float_model, int8))
            error = np.sqrt(np.mean((found.logits - bare) ** 2))
            if scheme == "float32":
                assert error < 1e-4 * np.ptp(bare)
            else:  # another quantizer, on an untrained network an eighth as wide
                assert not np.array_equal(found.logits, theirs)
                assert 0 < error < 0.15 * np.ptp(bare)


@pytest.mark.parametrize("target", TARGETS)
def test_a_build_names_its_own_quantizer_and_what_it_computes_in(run, rows, target):
    names = {"openvino": "nncf", "onnxruntime": "onnxruntime"}
    for scheme, kind in (("float32", "float32"), ("int8", "int8")):
        row = rows[scheme, target]
        assert row.compute_dtype == kind
        assert row.evidence == {"accuracy": "measured", "latency": "measured"}
        assert row.latency_ms.n == 2
        assert row.agreement.n == row.images
        folder = layout.build_dir(run, row.variant, target)
        made = codec.read_json(Build, folder / layout.BUILD)
        assert made.facts["float_parity"] < 1e-3
        assert (names[target] in made.quantizer) == (scheme == "int8")
        assert "litert" not in made.quantizer
    sizes = {s: codec.read_json(Build, layout.build_dir(run, f"resnet34-{s}", target)
                                / layout.BUILD).facts["build_mb"] for s in ("float32", "int8")}
    assert sizes["int8"] < 0.6 * sizes["float32"]


@pytest.mark.parametrize("target", TARGETS)
def test_litert_s_own_schemes_are_refused_with_the_reason(rows, target):
    row = rows["dynamic", target]
    assert row.status == "unsupported"
    assert "LiteRT's own" in row.reason


@pytest.mark.parametrize("target", TARGETS)
def test_a_quantized_file_is_refused_before_it_is_loaded(run, target):
    outcome = subprocess_build.place(layout.variant_dir(run, "resnet34-int8") / "model.tflite",
                                     load(target))
    assert outcome.status == "unsupported"
    assert "quantized" in outcome.reason
