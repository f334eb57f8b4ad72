"""Every operator that is read, against ONNX Runtime and by what it becomes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import helper
from onnx_models import constant, model, node, weights

from bedside.foreign.onnx_operators import READERS
from bedside.foreign.onnx_reader import to_tflite
from bedside.runtime.graph import parse_graph
from bedside.runtime.litert import AnyModel
from bedside.targets import ort

W = {"w": weights(4, 3, 3, 3), "wd": weights(6, 1, 3, 3), "wg": weights(8, 2, 3, 3),
     "b": weights(4), "s4": np.abs(weights(4)) + 0.5, "m4": weights(4, seed=1),
     "one": np.float32([0.7]), "plane": weights(1, 3, 1, 1), "row": weights(10),
     "shape": np.int64([1, -1]), "axes23": np.int64([2, 3]), "axis0": np.int64([0]),
     "six": np.float32(6), "zero": np.float32(0), "big": np.float32(0.4),
     "low": np.float32(-0.2), "fw": weights(2, 360), "mw": weights(360, 2),
     "pads": np.int64([0, 0, 1, 2, 0, 0, 3, 1]), "two": np.float32(2)}

FLAT = [node("Flatten", "t", "f"), node("Gemm", "f fw", "y", transB=1)]
CONV = node("Conv", "x w b", "c", pads=[1, 1, 1, 1])


def _op(kind, inputs="x", **attributes):
    return [node(kind, inputs, "y", **attributes)]


CASES = {
    "conv": _op("Conv", "x w b"),
    "conv same": _op("Conv", "x w", pads=[1, 1, 1, 1]),
    "conv stride even": _op("Conv", "x w b", pads=[1, 1, 1, 1], strides=[2, 2]),
    "conv dilated": _op("Conv", "x w b", dilations=[2, 2], pads=[2, 2, 2, 2]),
    "conv uneven": _op("Conv", "x w", pads=[0, 1, 2, 0], strides=[2, 1]),
    "conv same upper": _op("Conv", "x w", auto_pad="SAME_UPPER", strides=[2, 2]),
    "conv same lower": _op("Conv", "x w", auto_pad="SAME_LOWER", strides=[2, 2]),
    "depthwise": _op("Conv", "x wd", group=3, pads=[1, 1, 1, 1]),
    "grouped": [node("Concat", "x x x x", "k", axis=1), node("Conv", "k wg2", "y", group=4)],
    "max pool": _op("MaxPool", kernel_shape=[2, 2], strides=[2, 2]),
    "max pool padded": _op("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    "max pool below relu": [node("Relu", "x", "r"), *[node(
        "MaxPool", "r", "y", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])]],
    "max pool ceil": _op("MaxPool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    "max pool ceil padded": _op("MaxPool", kernel_shape=[2, 2], strides=[3, 3], ceil_mode=1,
                                pads=[1, 1, 1, 1]),
    "average": _op("AveragePool", kernel_shape=[2, 2], strides=[2, 2]),
    "average same": _op("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    "average counts": _op("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1],
                          count_include_pad=1),
    "global": _op("GlobalAveragePool"),
    "mean": _op("ReduceMean", axes=[2, 3], keepdims=0),
    "mean of channels": _op("ReduceMean", axes=[1], keepdims=1),
    "mean of all": _op("ReduceMean", axes=[1, 2, 3], keepdims=0),
    "batch norm folded": [CONV, node("BatchNormalization", "c s4 b m4 s4", "y")],
    "batch norm alone": [node("Relu", "x", "r"),
                         node("BatchNormalization", "r p3 q3 q3 p3", "y", epsilon=1e-3)],
    "relu": _op("Relu"), "fused relu": [CONV, node("Relu", "c", "y")],
    "relu of a shared value": [CONV, node("Relu", "c", "r"), node("Add", "c r", "y")],
    "relu of a transposed shared value": [
        CONV, node("Transpose", "c", "t", perm=[0, 2, 3, 1]), node("Relu", "t", "r"),
        node("Transpose", "r", "u", perm=[0, 3, 1, 2]), node("Add", "c u", "y")],
    "relu6": [CONV, node("Clip", "c zero six", "y")], "clip": _op("Clip", "x low big"),
    "clip to one": [node("Mul", "x two", "m"), node("Clip", "m zero one_", "y")],
    "open clip": _op("Clip", "x low"), "leaky": [CONV, node("LeakyRelu", "c", "y", alpha=0.2)],
    "sigmoid": _op("Sigmoid"), "tanh": _op("Tanh"), "elu": [CONV, node("Elu", "c", "y")],
    "hard swish": [CONV, node("HardSwish", "c", "y")],
    "hard sigmoid": [CONV, node("HardSigmoid", "c", "y", alpha=1 / 6)],
    "swish": [node("Sigmoid", "x", "s"), node("Mul", "x s", "y")],
    "squeeze and excite": [CONV, node("GlobalAveragePool", "c", "g"), node("Sigmoid", "g", "s"),
                           node("Mul", "c s", "y")],
    "broadcast a plane": _op("Sub", "x plane"), "broadcast a row": _op("Add", "x row"),
    "constant first": _op("Sub", "plane x"), "divide": _op("Div", "x two"),
    "divide values": [node("Sigmoid", "x", "s"), node("Div", "x s", "y")],
    "rows against images": [node("Flatten", "x", "f"), node("Gemm", "f f10", "r"),
                            node("Add", "x r", "y")],
    "concat": [node("Relu", "x", "r"), node("Concat", "x r", "y", axis=1)],
    "concat last": [node("Relu", "x", "r"), node("Concat", "x r", "y", axis=-1)],
    "flatten": [node("Relu", "x", "t"), *FLAT],
    "reshape": [node("Relu", "x", "r"), node("Reshape", "r shape", "t"), *FLAT],
    "matmul": [node("Flatten", "x", "f"), node("MatMul", "f mw", "y")],
    "gemm": [node("Flatten", "x", "f"), node("Gemm", "f mw v2", "y", alpha=0.5, beta=2.0)],
    "squeeze": [node("GlobalAveragePool", "x", "g"), node("Squeeze", "g axes23", "y")],
    "unsqueeze": [node("ReduceMean", "x", "m", axes=[2, 3], keepdims=0),
                  node("Unsqueeze", "m axes23", "u"), node("Mul", "x u", "y")],
    "transpose": [node("Transpose", "x", "t", perm=[0, 2, 3, 1]),
                  node("Reshape", "t shape", "f"), node("Gemm", "f fw", "y", transB=1)],
    "softmax": [node("Flatten", "x", "f"), node("MatMul", "f mw", "l"), node("Softmax", "l", "y")],
    "softmax of channels": _op("Softmax", axis=1), "softmax of rows": _op("Softmax", axis=2),
    "log softmax": [node("Flatten", "x", "f"), node("MatMul", "f mw", "l"),
                    node("LogSoftmax", "l", "y")],
    "pad": _op("Pad", "x pads"), "pad with two": _op("Pad", "x pads two"),
    "slice": [CONV, node("Slice", "c one1 three1 one1", "y")],
    "slice from the end": _op("Slice", "x minus2 huge minus"),
    "split": [CONV, helper.make_node("Split", ["c"], ["left", "right"], axis=1),
              node("Add", "left right", "y")],
    "split unevenly": [CONV, helper.make_node("Split", ["c", "parts"], ["left", "right"], axis=1),
                       node("Concat", "right left", "y", axis=1)],
    "shuffled channels": [
        CONV, node("Reshape", "c five", "f"), node("Transpose", "f", "t", perm=[0, 2, 1, 3, 4]),
        node("Reshape", "t four", "s"), node("GlobalAveragePool", "s", "y")],
    "identity": [node("Identity", "x", "i"), node("Relu", "i", "y")],
    "dropout": [node("Dropout", "x", "i"), node("Relu", "i", "y")],
    "cast": [node("Cast", "x", "i", to=1), node("Relu", "i", "y")],
    "shape computed": [
        node("Shape", "x", "s"), node("Gather", "s axis0", "n"),
        node("Concat", "n minus", "to", axis=0), node("Reshape", "x to", "f"),
        node("Gemm", "f fw", "y", transB=1)],
}
W |= {"wg2": weights(8, 3, 3, 3), "p3": np.abs(weights(3)) + 0.5, "q3": weights(3, seed=2),
      "one_": np.float32(1), "f10": weights(360, 10), "v2": weights(2), "minus": np.int64([-1]),
      "one1": np.int64([1]), "three1": np.int64([3]), "minus2": np.int64([-2]),
      "huge": np.int64([2**62]), "parts": np.int64([1, 3]), "five": np.int64([1, 2, 2, 12, 10]),
      "four": np.int64([1, 4, 12, 10])}


def _write(path: Path, nodes, **more) -> Path:
    used = {n for o in nodes for n in o.input}
    made = model(nodes, [constant(n, v) for n, v in W.items() if n in used], **more)
    path.write_bytes(made.SerializeToString())
    return path


def _both(path: Path):
    """Outputs of ONNX Runtime and of the converted file on one image, ONNX order and as stored."""
    data = to_tflite(path)
    image = np.random.default_rng(7).normal(0, 1, (1, 3, 12, 10)).astype(np.float32)
    (want,) = ort.outputs(ort.cpu_session(path, 1), {"x": image}).values()
    (found,) = AnyModel(Path("m"), content=data).outputs_of([
        np.ascontiguousarray(image.transpose(0, 2, 3, 1))])
    return want, found, parse_graph(data)


@pytest.mark.parametrize("name", CASES)
def test_an_operator_computes_what_onnx_runtime_computes(tmp_path, name):
    want, found, _ = _both(_write(tmp_path / "m.onnx", CASES[name]))
    if want.ndim == 4:
        want = want.transpose(0, 2, 3, 1)
    assert found.shape == want.shape
    np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-5)


def test_every_operator_that_is_read_is_tested():
    assert set(READERS) <= {n.op_type for nodes in CASES.values() for n in nodes}


@pytest.mark.parametrize(("name", "operations"), [
    ("fused relu", ["CONV_2D"]), ("batch norm folded", ["CONV_2D"]), ("relu6", ["CONV_2D"]),
    ("conv same", ["CONV_2D"]), ("depthwise", ["DEPTHWISE_CONV_2D"]),
    ("conv stride even", ["PAD", "CONV_2D"]),
    ("max pool below relu", ["RELU", "PAD", "MAX_POOL_2D"]),
    ("max pool padded", ["PADV2", "MAX_POOL_2D"]), ("global", ["AVERAGE_POOL_2D"]),
    ("relu of a shared value", ["CONV_2D", "RELU", "ADD"]),
    ("transpose", ["RESHAPE", "FULLY_CONNECTED"]),
    ("flatten", ["RELU", "TRANSPOSE", "RESHAPE", "FULLY_CONNECTED"])])
def test_an_operator_becomes_what_quantizes_well(tmp_path, name, operations):
    _, _, graph = _both(_write(tmp_path / "m.onnx", CASES[name]))
    assert [o.op for o in graph.operations] == operations


@pytest.mark.parametrize(("opset", "nodes"), [
    (9, [node("Slice", "x", "y", starts=[1], ends=[99], axes=[2])]),
    (9, [node("Pad", "x", "p", pads=[0, 0, 1, 1, 0, 0, 1, 1], value=0.5),
         node("Clip", "p", "y", min=0.0, max=6.0)]),
    (11, [node("GlobalAveragePool", "x", "g"), node("Squeeze", "g", "q", axes=[2, 3]),
          node("Unsqueeze", "q", "u", axes=[2, 3]), node("Mul", "x u", "y")]),
    (11, [node("Flatten", "x", "f"), node("MatMul", "f mw", "l"), node("Softmax", "l", "y")]),
    (18, [node("ReduceMean", "x axes23", "y", keepdims=0)]),
    (20, [node("Shape", "x", "s", start=0, end=1), node("Concat", "s minus", "to", axis=0),
          node("Reshape", "x to", "y")])])
def test_old_and_new_operator_sets_are_read(tmp_path, opset, nodes):
    want, found, _ = _both(_write(tmp_path / "m.onnx", nodes, opset=opset))
    np.testing.assert_allclose(found, want.transpose(0, 2, 3, 1) if want.ndim == 4 else want,
                               rtol=1e-4, atol=1e-5)
