"""The QNN context of a compiled file."""

from __future__ import annotations

import numpy as np

from bedside.targets import qnn_context


def test_quantized_inputs_and_outputs_go_by_the_files_own_parameters():
    from bedside.runtime.graph import Quantization, Tensor

    tensor = Tensor(0, "t", (1, 4), "int8", 0, Quantization(
        np.array([0.5], np.float32), np.array([-3]), 0))
    values = np.array([[-1e9, 0.0, 1.1, 1e9]], np.float32)
    steps = qnn_context.quantize(values, tensor)
    assert steps.tolist() == [[-128, -3, -1, 127]]
    assert qnn_context.dequantize(steps, tensor).tolist() == [[-62.5, 0.0, 1.0, 65.0]]
