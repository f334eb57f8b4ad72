"""Files of any inputs on LiteRT, and integers whose meaning no scale states."""

from __future__ import annotations

from pathlib import Path

import ai_edge_litert.schema_py_generated as schema
import numpy as np
import pytest

from bedside.core.errors import BadInput
from bedside.foreign.tflite_writer import TfliteWriter
from bedside.runtime.litert import AnyModel, LiteRTModel


def _cast(shape, dtype="uint8"):
    w = TfliteWriter()
    x = w.tensor("x", shape, dtype)
    y = w.operation("CAST", [x], "y", shape, schema.CastOptionsT())
    return w, x, y


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "bool", "float32"])
def test_inputs_of_any_kind_are_filled(dtype):
    w, x, y = _cast((1, 4), dtype)
    model = AnyModel(Path("m"), content=w.finish({"x": x}, {"y": y}))
    assert model.run(np.zeros((1, 1, 1, 1), np.float32)) == {}
    assert model.inputs[0].dtype == dtype


def test_an_image_of_integers_without_a_scale_is_refused():
    w, x, y = _cast((1, 4, 4, 1))
    options = schema.ReshapeOptionsT()
    options.newShape = [1, 16]
    z = w.operation("RESHAPE", [y, w.constant("s", np.int32([1, 16]))], "z", (1, 16), options)
    data = w.finish({"x": x}, {"logits": z})
    with pytest.raises(BadInput, match="uint8 without a scale"):
        LiteRTModel(Path("m"), content=data)
    AnyModel(Path("m"), content=data)


def test_an_open_side_is_named_and_an_open_batch_is_one():
    def opened(signature):
        w, x, y = _cast((1, 4, 4, 1), "float32")
        w._tensors[x].shapeSignature = signature
        return AnyModel(Path("m"), content=w.finish({"x": x}, {"y": y}))

    assert opened([-1, 4, 4, 1]).inputs[0].shape == (1, 4, 4, 1)
    with pytest.raises(BadInput, match="left open"):
        opened([1, -1, -1, 1])
