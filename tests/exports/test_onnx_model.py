"""Float variants as ONNX: the same logits, or nothing."""

from __future__ import annotations

import numpy as np
import pytest

from bedside.core import codec
from bedside.core.build import Variant
from bedside.core.errors import GateFailed, Unsupported
from bedside.exports import onnx_model
from bedside.foreign.onnx_reader import to_tflite
from bedside.runfolder import layout
from bedside.runtime.litert import LiteRTModel


def _variant(run, scheme):
    folder = layout.variant_dir(run, f"resnet34-{scheme}")
    return codec.read_json(Variant, folder / layout.VARIANT), folder / layout.VARIANT_MODEL


def _images(count=3):
    return [np.random.default_rng(i).random((1, 32, 32, 1), np.float32) for i in range(count)]


def test_a_float_variant_goes_out_and_comes_back(tiny_quantized, tmp_path):
    variant, file = _variant(tiny_quantized, "float32")
    made = onnx_model.write(variant, file, tmp_path, _images())
    assert made.main == "model.onnx"
    assert made.largest_difference < 1e-4
    (tmp_path / "back.tflite").write_bytes(to_tflite(tmp_path / made.main))
    for image in _images():
        np.testing.assert_allclose(LiteRTModel(tmp_path / "back.tflite").run(image)["logits"],
                                   LiteRTModel(file).run(image)["logits"], atol=1e-4)


@pytest.mark.parametrize("scheme", ["float16", "dynamic", "int8"])
def test_a_quantized_variant_is_refused_with_the_remedy(tiny_quantized, tmp_path, scheme):
    with pytest.raises(Unsupported, match="resnet34-float32"):
        onnx_model.write(*_variant(tiny_quantized, scheme), tmp_path, _images())
    assert not list(tmp_path.iterdir())


def test_other_logits_fail(tiny_quantized, tmp_path, monkeypatch):
    variant, file = _variant(tiny_quantized, "float32")
    other = tmp_path / "other.tflite"
    data = bytearray(file.read_bytes())
    from bedside.runtime.graph import parse_graph

    graph = parse_graph(data)
    graph.constant(graph.convolutions()[0].inputs[1])[...] *= 1.5
    other.write_bytes(data)
    real = onnx_model.write_onnx
    monkeypatch.setattr(onnx_model, "write_onnx", lambda source, target: real(other, target))
    with pytest.raises(GateFailed, match="differ from the variant's"):
        onnx_model.write(variant, file, tmp_path, _images())
