"""Cuts that cannot be made."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_models import constant, model, node

from bedside.core.errors import BadInput
from bedside.foreign import onnx_shapes
from bedside.foreign.onnx_operators import READERS
from bedside.foreign.onnx_reader import to_tflite


def test_the_table_names_them():
    assert READERS["Slice"] is onnx_shapes.cut
    assert READERS["Split"] is onnx_shapes.split


@pytest.mark.parametrize(("nodes", "constants", "said"), [
    ([node("Slice", "x s e a t", "y")], {"s": [0], "e": [9], "a": [2], "t": [2]}, "skips numbers"),
    ([node("Slice", "x s e a", "y")], {"s": [5], "e": [5], "a": [2]}, "makes a value of"),
    ([node("Pad", "x p", "y", mode="reflect")], {"p": [0, 0, 1, 1, 0, 0, 1, 1]},
     "other than a constant"),
    ([node("Pad", "x p", "y")], {"p": [0, 0, -1, 0, 0, 0, 0, 0]}, "cuts pixels off")])
def test_what_cannot_be_cut_is_refused(tmp_path, nodes, constants, said):
    made = model(nodes, [constant(n, np.int64(v)) for n, v in constants.items()])
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(BadInput, match=said):
        to_tflite(tmp_path / "m.onnx")
