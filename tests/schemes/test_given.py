"""Files that were quantized elsewhere: what they are, and where their logits are."""

from __future__ import annotations

from pathlib import Path

import ai_edge_litert.schema_py_generated as schema
import numpy as np
import pytest

from bedside import schemes
from bedside.core.errors import BadInput
from bedside.foreign.tflite_writer import TfliteWriter
from bedside.runfolder import layout
from bedside.runtime.graph import parse_graph
from bedside.runtime.litert import LiteRTModel
from bedside.schemes import given


def _scaled(tensor, scale, zero):
    parameters = schema.QuantizationParametersT()
    parameters.scale, parameters.zeroPoint = [scale], [zero]
    tensor.quantization = parameters


def uint8_classifier(head=None, px=4, scale=1 / 255):
    """uint8 in and out: DEQUANTIZE, a dense layer, an optional head, QUANTIZE."""
    w = TfliteWriter()
    x = w.tensor("image", (1, px, px, 1), "uint8")
    _scaled(w._tensors[x], scale, 0)
    real = w.operation("DEQUANTIZE", [x], "real", (1, px, px, 1))
    options = schema.ReshapeOptionsT()
    options.newShape = [1, px * px]
    row = w.operation("RESHAPE", [real, w.constant("s", np.int32([1, px * px]))], "row",
                      (1, px * px), options)
    weights = np.random.default_rng(0).normal(0, 0.3, (2, px * px)).astype(np.float32)
    y = w.operation("FULLY_CONNECTED",
                    [row, w.constant("w", weights), w.constant("b", np.zeros(2, np.float32))],
                    "dense", (1, 2), schema.FullyConnectedOptionsT())
    if head is not None:
        beta = schema.SoftmaxOptionsT() if head == "SOFTMAX" else None
        if beta is not None:
            beta.beta = 1.0
        y = w.operation(head, [y], "head", (1, 2), beta)
    out = w.operation("QUANTIZE", [y], "out", (1, 2), schema.QuantizeOptionsT())
    w._tensors[out].type = schema.TensorType.UINT8
    _scaled(w._tensors[out], 1 / 256 if head else 0.02, 0 if head else 128)
    return w.finish({"image": x}, {"scores": out}), weights


def test_bytes_in_and_out_are_real_numbers_to_the_caller():
    data, weights = uint8_classifier()
    image = np.random.default_rng(1).random((1, 4, 4, 1), np.float32)
    found = LiteRTModel(Path("m"), content=data).run(image)["logits"][0]
    codes = np.rint(image.ravel() * 255)
    np.testing.assert_allclose(found, weights @ (codes / 255), atol=0.011)


def test_a_final_softmax_is_cut_off_and_its_input_is_the_logits():
    data, weights = uint8_classifier("SOFTMAX")
    cut, what = given.with_logits(data, "m")
    assert what == "SOFTMAX"
    graph = parse_graph(cut)
    assert "SOFTMAX" not in [o.op for o in graph.operations]
    assert list(graph.output_names) == ["scores"]
    image = np.random.default_rng(1).random((1, 4, 4, 1), np.float32)
    found = LiteRTModel(Path("m"), content=cut).run(image)["logits"][0]
    np.testing.assert_allclose(found, weights @ (np.rint(image.ravel() * 255) / 255), atol=1e-5)


def test_a_file_with_logits_stays_byte_for_byte():
    data, _ = uint8_classifier()
    assert given.with_logits(data, "m") == (data, None)


def test_single_probabilities_are_refused():
    data, _ = uint8_classifier("LOGISTIC")
    with pytest.raises(BadInput, match="ends in LOGISTIC"):
        given.with_logits(data, "m")


def test_quantized_files_are_told_from_float_ones(tiny_quantized):
    def is_quantized(scheme):
        path = layout.variant_dir(tiny_quantized, f"resnet34-{scheme}") / layout.VARIANT_MODEL
        return given.is_quantized(parse_graph(path.read_bytes()))

    assert [is_quantized(s) for s in ("float32", "float16", "dynamic", "int8")] == [
        False, True, True, True]


def test_it_is_no_scheme_that_a_study_can_make():
    assert schemes.GIVEN not in schemes.SCHEMES
    choice = schemes.parse(schemes.GIVEN)
    assert str(choice) == "given"
    with pytest.raises(BadInput, match="--quantized-model"):
        choice.module.recipe(frozenset())
