"""Classifiers quantized by hand, with bytes in and out."""

from __future__ import annotations

import ai_edge_litert.schema_py_generated as schema
import numpy as np

from bedside.foreign.tflite_writer import TfliteWriter


def _scaled(tensor, scale, zero):
    parameters = schema.QuantizationParametersT()
    parameters.scale, parameters.zeroPoint = [scale], [zero]
    tensor.quantization = parameters


def uint8_classifier(head=None, px=4, scale=1 / 255, weights=None):
    """uint8 in and out: DEQUANTIZE, a dense layer, an optional head, QUANTIZE; and its weights."""
    w = TfliteWriter()
    x = w.tensor("image", (1, px, px, 1), "uint8")
    _scaled(w._tensors[x], scale, 0)
    real = w.operation("DEQUANTIZE", [x], "real", (1, px, px, 1))
    options = schema.ReshapeOptionsT()
    options.newShape = [1, px * px]
    row = w.operation("RESHAPE", [real, w.constant("s", np.int32([1, px * px]))], "row",
                      (1, px * px), options)
    if weights is None:
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
