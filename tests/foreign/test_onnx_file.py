"""What is known of an ONNX file before it is converted."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_models import classifier, model, node

from bedside.core.errors import BadInput
from bedside.foreign.onnx_file import read


def test_a_checked_file(tmp_path):
    (tmp_path / "m.onnx").write_bytes(classifier(("N", 3, 12, 10)).SerializeToString())
    file = read(tmp_path / "m.onnx")
    assert (file.input, file.shape, file.outputs, file.opset) == ("x", (1, 3, 12, 10), ("y",), 17)
    assert file.nodes[0].op_type == "Conv"
    assert file.constants["fb"].dtype == np.float32


def test_an_operator_without_what_it_needs_is_no_valid_model(tmp_path):
    made = model([node("MaxPool", "x", "y")])  # no kernel_shape
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(BadInput, match="not a valid ONNX model"):
        read(tmp_path / "m.onnx")
