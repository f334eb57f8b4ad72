"""Sides of sliding windows, against PyTorch's own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from onnx_models import node

from bedside.foreign.onnx_file import OnnxFile
from bedside.foreign.onnx_graph import LAST, Conversion, Node, Value
from bedside.foreign.onnx_windows import window


def _window(size, **attributes):
    c = Conversion(OnnxFile(Path("m"), 17, "x", (1, 3, 4, 5), ("y",), (), {}), [])
    made = Node("MaxPool", "pool", ("x",), ("y",), attributes, node("MaxPool", "x", "y"))
    value = Value(c.writer.tensor("x", (1, size, size, 1)), (1, 1, size, size), LAST, ("x",))
    return window(c, made, value, attributes["kernel_shape"])


@pytest.mark.parametrize("ceil", [0, 1])
@pytest.mark.parametrize(("size", "kernel", "stride", "pad"), [
    (7, 3, 2, 1), (8, 3, 2, 1), (8, 3, 2, 0), (9, 2, 2, 0), (112, 3, 2, 0), (14, 3, 2, 1),
    (6, 2, 3, 1), (5, 5, 1, 2)])
def test_the_output_has_the_sides_that_pytorch_gives_it(size, kernel, stride, pad, ceil):
    found = _window(size, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4,
                    ceil_mode=ceil)
    want = torch.nn.functional.max_pool2d(torch.zeros(1, 1, size, size), kernel, stride, pad,
                                          ceil_mode=bool(ceil)).shape[2:]
    assert found.out == tuple(want)


def test_padding_that_litert_has_a_name_for():
    assert _window(8, kernel_shape=[3, 3], pads=[1, 1, 1, 1]).is_same
    assert not _window(8, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]).is_same
    assert _window(7, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]).is_same
