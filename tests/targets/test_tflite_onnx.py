"""Conversion of float graphs to ONNX."""

from __future__ import annotations

import shutil

import ai_edge_litert.schema_py_generated as schema
import numpy as np
import pytest

from bedside import schemes
from bedside.core.study import CalibrationConfig
from bedside.foreign.tflite_writer import TfliteWriter
from bedside.runfolder import layout
from bedside.runtime.litert import AnyModel, LiteRTModel
from bedside.stages import calibrate, quantize
from bedside.targets.openvino_cpu import OpenVinoModel
from bedside.targets.tflite_onnx import _WRITERS, write_onnx


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


@pytest.mark.parametrize("name", ["googlenet", "efficientnet_lite0", "vgg16"])
def test_every_network_becomes_onnx_with_the_same_outputs(name, tmp_path):
    """Both outputs, by name; the converter is ours, so every network is held to LiteRT."""
    import torch

    from bedside.core import registry
    from bedside.core.study import ModelConfig
    from bedside.core.types import Preprocess
    from bedside.models import MODELS
    from bedside.stages.convert import _export
    from bedside.targets.onnx_cpu import OnnxModel

    torch.manual_seed(0)
    config = ModelConfig(name, image_px=64, width=0.25, weights="random")
    module = registry.lookup(MODELS, name, "model")(config, 2).train()
    with torch.no_grad():
        module(torch.rand(8, 64, 64, 1))
    file = tmp_path / "float.tflite"
    _export(module.eval(), Preprocess(64, 64), file)
    write_onnx(file, tmp_path / "model.onnx")
    image = np.random.default_rng(0).random((1, 64, 64, 1), np.float32)
    want = LiteRTModel(file).run(image)
    for found in (OnnxModel(tmp_path / "model.onnx").run(image),
                  OpenVinoModel(file).run(image)):
        for key in ("logits", "cam"):
            assert found[key].shape == want[key].shape
            np.testing.assert_allclose(found[key], want[key], rtol=1e-3,
                                       atol=1e-4 * np.abs(want[key]).max())


@pytest.mark.parametrize(("size", "kernel", "stride"), [
    (7, 3, 2), (8, 3, 2), (9, 5, 3), (6, 2, 2), (5, 1, 1), (10, 4, 3), (4, 7, 1)])
def test_padding_is_tflite_s_own(size, kernel, stride):
    """SAME against torch with asymmetric padding: the odd pixel comes after."""
    import ai_edge_litert.schema_py_generated as schema

    from bedside.targets.tflite_onnx import _pads

    pads = _pads(schema.Padding.SAME, (size, size), (kernel, kernel), (stride, stride))
    out = (size + pads[0] + pads[2] - kernel) // stride + 1
    assert out == -(-size // stride)
    assert 0 <= pads[2] - pads[0] <= 1
    assert _pads(schema.Padding.VALID, (size, size), (kernel, kernel), (1, 1)) == [0] * 4


def test_operations_outside_the_list_are_refused_by_name(run, tmp_path, monkeypatch):
    monkeypatch.delitem(_WRITERS, "MAX_POOL_2D")
    from bedside.core.errors import Unsupported

    with pytest.raises(Unsupported, match="MAX_POOL_2D"):
        write_onnx(layout.model_dir(run, "resnet34") / layout.FLOAT_MODEL, tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()


@pytest.mark.parametrize("places", [(0, 3, 1, 2), (0, 2, 1, 3), (0, 3, 2, 1), (0, 2, 3, 1)])
@pytest.mark.parametrize("axes", [(1, 2), (2, 3), (1, 3)])
def test_a_transposition_before_a_mean_is_that_of_the_file(tmp_path, places, axes):
    """As a network trained channels first leaves it, in front of its global mean."""
    from bedside.targets.onnx_cpu import OnnxModel

    w = TfliteWriter()
    x = w.tensor("image", (1, 4, 5, 6))
    shape = [(1, 4, 5, 6)[p] for p in places]
    t = w.operation("TRANSPOSE", [x, w.constant("p", np.int32(places))], "t", shape,
                    schema.TransposeOptionsT())
    options = schema.ReducerOptionsT()
    left = [n for i, n in enumerate(shape) if i not in axes]
    y = w.operation("MEAN", [t, w.constant("a", np.int32(axes))], "y", left, options)
    file = tmp_path / "m.tflite"
    file.write_bytes(w.finish({"image": x}, {"logits": y}))
    write_onnx(file, tmp_path / "m.onnx")
    image = np.random.default_rng(0).random((1, 4, 5, 6), np.float32)
    (want,) = AnyModel(file).outputs_of([image])
    found = OnnxModel(tmp_path / "m.onnx").run(image)["logits"]
    np.testing.assert_allclose(found, want, rtol=1e-5)
    np.testing.assert_allclose(want, image.transpose(places).mean(axes), rtol=1e-5)
