"""Conversion of a float ``.tflite`` to ONNX, for runtimes that read only ONNX.

Everything is channels first inside (N, C, H, W), as ONNX convolutions are; the image comes in
and the class activation map goes out channels last, as in the source. Operations outside
:data:`_WRITERS` are refused by name. Callers check the logits against the source's.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ai_edge_litert.schema_py_generated as schema
import numpy as np
import numpy.typing as npt

from bedside.core.errors import Unsupported
from bedside.runtime.graph import Graph, Operation, read_graph, same_padding

OPSET = 17
IR_VERSION = 10

_FIRST = (0, 3, 1, 2)
_LAST = (0, 2, 3, 1)
_ACTIVATIONS = {"NONE": None, "RELU": "Relu", "RELU6": "Relu6", "TANH": "Tanh"}


class _Writer:
    """Collector of nodes and constants; tensors are named by their index in the source."""

    def __init__(self, graph: Graph) -> None:
        from onnx import helper, numpy_helper

        self.graph, self.helper, self.numpy_helper = graph, helper, numpy_helper
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}

    def constant(self, name: str, values: npt.NDArray[Any]) -> str:
        self.constants[name] = self.numpy_helper.from_array(np.asarray(values, order="C"), name)
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(self.helper.make_node(kind, inputs, [output],
                                                name=f"{kind}_{len(self.nodes)}", **attributes))
        return output

    def value(self, tensor: int) -> str:
        """Return the name under which a tensor is read, storing it where it is constant."""
        values = self.graph.real_constant(tensor)
        if values is None or f"t{tensor}" in self.constants:
            return f"t{tensor}"
        return self.constant(f"t{tensor}", values.transpose(_FIRST) if values.ndim == 4 else values)

    def whole(self, tensor: int) -> npt.NDArray[Any]:
        """Return a constant that shapes an operation (paddings, axes, a shape)."""
        values = self.graph.constant(tensor)
        if values is None:
            raise Unsupported("an operation's shape is computed at run time",
                              remedy="Export the model with fixed shapes.")
        return values

    def options(self, operation: Operation) -> Any:
        options = self.graph.options(operation)
        if options is None:
            raise Unsupported(f"{operation.op} without its options",
                              remedy="Export the model again.")
        return options

    def activated(self, kind: str, inputs: list[str], operation: Operation, **attributes: Any
                  ) -> None:
        """Write an operation's node, followed by the activation fused into it."""
        name, out = self.graph.activation(operation), f"t{operation.outputs[0]}"
        if name not in _ACTIVATIONS:
            raise Unsupported(f"{operation.op} with the fused activation {name}",
                              remedy="Export the activation as a separate operation.")
        after = _ACTIVATIONS[name]
        raw = self.node(kind, inputs, out if after is None else f"{out}_raw", **attributes)
        if after == "Relu6":
            self.relu6(raw, out)
        elif after is not None:
            self.node(after, [raw], out)

    def relu6(self, source: str, out: str) -> None:
        low = self.constant("zero", np.array(0, np.float32))
        high = self.constant("six", np.array(6, np.float32))
        self.node("Clip", [source, low, high], out)

    def shape(self, tensor: int) -> tuple[int, ...]:
        return self.graph.tensors[tensor].shape


def _pads(padding: int, size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int],
          dilation: tuple[int, int] = (1, 1)) -> list[int]:
    """Return TFLite's SAME or VALID padding as ONNX pads: tops and lefts, then ends."""
    if padding == schema.Padding.VALID:
        return [0, 0, 0, 0]
    begin, end = [], []
    for n, k, s, d in zip(size, kernel, stride, dilation, strict=True):
        before, after = same_padding(n, (k - 1) * d + 1, s)
        begin.append(before)
        end.append(after)
    return begin + end


def _conv(w: _Writer, o: Operation) -> None:
    depthwise = o.op == "DEPTHWISE_CONV_2D"
    options = w.options(o)
    kernel = w.graph.real_constant(o.inputs[1])
    if kernel is None:
        raise Unsupported(f"{o.op} has weights computed at run time",
                          remedy="Export the model with constant weights.")
    channels = w.shape(o.inputs[0])[3]
    # TFLite: (O, H, W, I), depthwise (1, H, W, O); ONNX: (O, I ÷ groups, H, W).
    weights = kernel.transpose((3, 0, 1, 2) if depthwise else _FIRST)
    groups = channels if depthwise else channels // kernel.shape[3]
    stride = (options.StrideH(), options.StrideW())
    dilation = (options.DilationHFactor(), options.DilationWFactor())
    size = (w.shape(o.inputs[0])[1], w.shape(o.inputs[0])[2])
    inputs = [w.value(o.inputs[0]), w.constant(f"w{o.index}", weights)]
    if len(o.inputs) > 2 and o.inputs[2] >= 0:
        inputs.append(w.value(o.inputs[2]))
    height, width = weights.shape[2:]
    w.activated("Conv", inputs, o, strides=list(stride), dilations=list(dilation), group=groups,
                kernel_shape=[height, width],
                pads=_pads(options.Padding(), size, (height, width), stride, dilation))


def _pool(w: _Writer, o: Operation) -> None:
    options = w.options(o)
    kernel = (options.FilterHeight(), options.FilterWidth())
    stride = (options.StrideH(), options.StrideW())
    size = (w.shape(o.inputs[0])[1], w.shape(o.inputs[0])[2])
    pads = _pads(options.Padding(), size, kernel, stride)
    source = [w.value(o.inputs[0])]
    if o.op == "AVERAGE_POOL_2D" and kernel == size and not any(pads):
        w.activated("GlobalAveragePool", source, o)
    else:  # TFLite's average leaves the padding out, as ONNX's does by default.
        w.activated("MaxPool" if o.op == "MAX_POOL_2D" else "AveragePool", source, o,
                    kernel_shape=list(kernel), strides=list(stride), pads=pads)


def _binary(w: _Writer, o: Operation) -> None:
    if len({len(w.shape(i)) for i in o.inputs if w.shape(i)}) > 1:
        raise Unsupported(f"{o.op} of tensors with different numbers of dimensions",
                          remedy="Export it with equal ones.")
    kind = {"ADD": "Add", "SUB": "Sub", "MUL": "Mul", "DIV": "Div"}[o.op]
    w.activated(kind, [w.value(i) for i in o.inputs], o)


def _concat(w: _Writer, o: Operation) -> None:
    rank = len(w.shape(o.outputs[0]))
    axis = w.options(o).Axis() % rank
    w.activated("Concat", [w.value(i) for i in o.inputs], o,
                axis=_FIRST.index(axis) if rank == 4 else axis)


def _pad(w: _Writer, o: Operation) -> None:
    pairs = w.whole(o.inputs[1])
    if len(pairs) == 4:
        pairs = pairs[list(_FIRST)]
    inputs = [w.value(o.inputs[0]), w.constant(f"p{o.index}", pairs.T.reshape(-1).astype(np.int64))]
    if o.op == "PADV2":
        inputs.append(w.value(o.inputs[2]))
    w.node("Pad", inputs, f"t{o.outputs[0]}")


def _unary(w: _Writer, o: Operation) -> None:
    source, out = w.value(o.inputs[0]), f"t{o.outputs[0]}"
    if o.op == "RELU6":
        w.relu6(source, out)
    else:
        w.node({"RELU": "Relu", "LOGISTIC": "Sigmoid", "TANH": "Tanh",
                "HARD_SWISH": "HardSwish"}[o.op], [source], out)


def _softmax(w: _Writer, o: Operation) -> None:
    rank = len(w.shape(o.inputs[0]))
    w.node("Softmax", [w.value(o.inputs[0])], f"t{o.outputs[0]}", axis=1 if rank == 4 else -1)


def _mean(w: _Writer, o: Operation) -> None:
    rank = len(w.shape(o.inputs[0]))
    axes = [int(a) % rank for a in w.whole(o.inputs[1]).reshape(-1)]
    keep_dims = bool(w.options(o).KeepDims())
    if rank == 4 and not keep_dims and (len(axes) != 2 or 0 in axes):
        # With one axis left beside the batch, the order of the others does not matter.
        raise Unsupported("MEAN over other than two axes of an image",
                          remedy="Export a global average pooling.")
    axes = [_FIRST.index(a) for a in axes] if rank == 4 else axes
    w.node("ReduceMean", [w.value(o.inputs[0])], f"t{o.outputs[0]}", axes=sorted(axes),
           keepdims=int(keep_dims))


def _reshape(w: _Writer, o: Operation) -> None:
    source, before, after = w.value(o.inputs[0]), w.shape(o.inputs[0]), w.shape(o.outputs[0])
    out = f"t{o.outputs[0]}"
    if len(before) == 4 and before[1:3] != (1, 1):
        source = w.node("Transpose", [source], f"{out}_last", perm=list(_LAST))
    shape = w.constant(f"s{o.index}", np.asarray(after, np.int64))
    if len(after) != 4:
        w.node("Reshape", [source, shape], out)
        return
    w.node("Reshape", [source, shape], f"{out}_shaped")
    w.node("Transpose", [f"{out}_shaped"], out, perm=list(_FIRST))


def _transpose(w: _Writer, o: Operation) -> None:
    places = [int(a) for a in w.whole(o.inputs[1]).reshape(-1)]
    if len(places) == 4:  # of axes that lie channels first here
        places = [_FIRST.index(places[a]) for a in _FIRST]
    w.node("Transpose", [w.value(o.inputs[0])], f"t{o.outputs[0]}", perm=places)


def _dense(w: _Writer, o: Operation) -> None:
    weights = w.graph.real_constant(o.inputs[1])
    if weights is None or len(w.shape(o.inputs[0])) != 2:
        raise Unsupported("FULLY_CONNECTED is only supported as a weight matrix on rows",
                          remedy="Flatten before it, with constant weights.")
    inputs = [w.value(o.inputs[0]), w.constant(f"w{o.index}", weights)]
    if len(o.inputs) > 2 and o.inputs[2] >= 0:
        inputs.append(w.value(o.inputs[2]))
    w.activated("Gemm", inputs, o, transB=1)


_WRITERS: dict[str, Callable[[_Writer, Operation], None]] = {
    "CONV_2D": _conv, "DEPTHWISE_CONV_2D": _conv, "FULLY_CONNECTED": _dense,
    "MAX_POOL_2D": _pool, "AVERAGE_POOL_2D": _pool, "ADD": _binary, "SUB": _binary,
    "MUL": _binary, "CONCATENATION": _concat, "PAD": _pad, "PADV2": _pad, "RELU": _unary,
    "RELU6": _unary, "LOGISTIC": _unary, "TANH": _unary, "HARD_SWISH": _unary,
    "SOFTMAX": _softmax, "MEAN": _mean, "RESHAPE": _reshape,
    "TRANSPOSE": _transpose, "DIV": _binary,
}


def write_onnx(source: Path, target: Path) -> None:
    """Write a float model as ONNX; inputs and outputs keep their names, shapes and layout.

    Raises:
        Unsupported: a quantized file, or an operation that is not among those above.
        BadInput: not a model.
    """
    import onnx
    from onnx import TensorProto, helper

    graph = read_graph(source)
    writer = _Writer(graph)
    inputs, outputs = [], []
    for name, index in graph.input_names.items():
        shape = graph.tensors[index].shape
        if graph.tensors[index].dtype != "float32" or len(shape) != 4:
            raise Unsupported("only a model with one float32 image input converts to ONNX",
                              remedy="Give the float model.")
        inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)))
        writer.node("Transpose", [name], f"t{index}", perm=list(_FIRST))
    for operation in graph.operations:
        write = _WRITERS.get(operation.op)
        kinds = {graph.tensors[i].dtype for i in (*operation.inputs[:1], *operation.outputs)}
        if write is None or kinds != {"float32"}:
            raise Unsupported(f"{operation.op} {graph.layer(operation)} ({', '.join(sorted(kinds))}"
                              ") has no ONNX equivalent here",
                              remedy="Give a float model of plain convolutions, pools, sums "
                                     "and concatenations.")
        write(writer, operation)
    for name, index in graph.output_names.items():
        shape = graph.tensors[index].shape
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)))
        if len(shape) == 4:
            writer.node("Transpose", [f"t{index}"], name, perm=list(_LAST))
        else:
            writer.node("Identity", [f"t{index}"], name)
    made = helper.make_model(
        helper.make_graph(writer.nodes, "bedside", inputs, outputs,
                          list(writer.constants.values())),
        opset_imports=[helper.make_opsetid("", OPSET)], producer_name="bedside")
    made.ir_version = IR_VERSION
    onnx.checker.check_model(made)
    target.write_bytes(made.SerializeToString())
