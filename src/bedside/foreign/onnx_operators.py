"""The ONNX operators that are converted, one function each; all others are refused by name."""

from __future__ import annotations

import math
from collections.abc import Callable

import ai_edge_litert.schema_py_generated as schema
import numpy as np

from bedside.foreign import onnx_shapes as shapes
from bedside.foreign import onnx_windows as windows
from bedside.foreign.onnx_graph import Array, Conversion, Node, Value, identity

Reader = Callable[[Conversion, Node], None]


# ------------------------------------------------------------------ number by number

_PLAIN = {"Relu": "RELU", "Sigmoid": "LOGISTIC", "Tanh": "TANH", "HardSwish": "HARD_SWISH",
          "Elu": "ELU"}


def _unary(c: Conversion, node: Node) -> None:
    value = c.value(node)
    if node.op == "Relu":
        c.activated(node, value, "RELU", "RELU")
    elif node.op == "LeakyRelu":
        options = schema.LeakyReluOptionsT()
        options.alpha = float(node.attributes.get("alpha", 0.01))
        c.elementwise(node, "LEAKY_RELU", value, options)
    else:
        if node.op == "Elu" and float(node.attributes.get("alpha", 1.0)) != 1.0:
            raise c.fault(node, "has an alpha other than 1")
        options = schema.HardSwishOptionsT() if node.op == "HardSwish" else None
        c.elementwise(node, _PLAIN[node.op], value, options)


def _clip(c: Conversion, node: Node) -> None:
    limits = []
    for name, number, open_end in (("min", 1, -math.inf), ("max", 2, math.inf)):
        if name in node.attributes:
            limits.append(float(node.attributes[name]))
        elif c.given(node, number):
            limits.append(float(c.constant(node, number).reshape(())))
        else:
            limits.append(open_end)
    low, high = limits
    high = math.inf if high >= float(np.finfo(np.float32).max) else high
    fused = {(0.0, math.inf): "RELU", (0.0, 6.0): "RELU6", (-1.0, 1.0): "RELU_N1_TO_1"}
    value = c.value(node)
    if (low, high) in fused:
        c.activated(node, value, fused[low, high], fused[low, high])
    elif (low, high) == (0.0, 1.0):
        c.elementwise(node, "RELU_0_TO_1", value)
    else:
        _bounded(c, node, value, low, high)


def _bounded(c: Conversion, node: Node, value: Value, low: float, high: float) -> None:
    stored = [value.shape[a] for a in value.order]
    tensor = value.tensor
    for kind, limit in (("MAXIMUM", low), ("MINIMUM", high)):
        if math.isfinite(limit):
            bound = c.writer.constant(f"{node.label}_{kind}", np.array(limit, np.float32))
            tensor = c.writer.operation(kind, [tensor, bound], f"{node.outputs[0]}_{kind}",
                                        stored, schema.MaximumMinimumOptionsT())
    c.publish(node, tensor, value.shape, value.order)


def _hard_sigmoid(c: Conversion, node: Node) -> None:
    value, name = c.value(node), node.outputs[0]
    stored = [value.shape[a] for a in value.order]
    tensor = value.tensor
    for kind, options, attribute, default in (
            ("MUL", schema.MulOptionsT(), "alpha", 0.2),
            ("ADD", schema.AddOptionsT(), "beta", 0.5)):
        number = np.array(node.attributes.get(attribute, default), np.float32)
        held = c.writer.constant(f"{node.label}_{attribute}", number)
        tensor = c.writer.operation(kind, [tensor, held], f"{name}_{attribute}", stored, options)
    made = c.writer.operation("RELU_0_TO_1", [tensor], name, stored)
    c.publish(node, made, value.shape, value.order)


# ------------------------------------------------------------------ two values

_BINARY = {"Add": ("ADD", schema.AddOptionsT), "Sub": ("SUB", schema.SubOptionsT),
           "Mul": ("MUL", schema.MulOptionsT), "Div": ("DIV", schema.DivOptionsT)}


def _binary(c: Conversion, node: Node) -> None:
    kind, options = _BINARY[node.op]
    computed = [c.values[n] for n in node.inputs if n in c.values]
    if not computed:
        raise c.fault(node, "reads what nothing makes")
    shape = np.broadcast_shapes(*(c.constants[n].shape if n in c.constants else c.values[n].shape
                                  for n in node.inputs))
    # The layout of the operand that has the most axes; the others follow it.
    lead = max(computed, key=lambda v: len(v.shape))
    order = lead.order if len(lead.shape) == len(shape) else identity(len(shape))
    tensors = []
    for number, name in enumerate(node.inputs):
        if name in c.constants:
            values = c.constants[name].astype(np.float32)
            if node.op == "Div" and number == 1:
                values, kind, options = 1.0 / values, "MUL", schema.MulOptionsT
            values = values.reshape((1,) * (len(shape) - values.ndim) + values.shape)
            tensors.append(c.writer.constant(f"{node.label}_{number}", values.transpose(order)))
        else:
            value = c.values[name]
            if len(value.shape) < len(shape):
                value = _raised(c, value, len(shape))
            tensors.append(c.laid(value, order))
    made = c.writer.operation(kind, tensors, node.outputs[0], [shape[a] for a in order], options())
    c.publish(node, made, shape, order)


def _raised(c: Conversion, value: Value, rank: int) -> Value:
    """Return a value with sides of 1 in front, as broadcasting takes it."""
    shape = (1,) * (rank - len(value.shape)) + value.shape
    tensor = c.reshape(c.laid(value, identity(len(value.shape))), shape, f"{value.names[-1]}_up")
    return Value(tensor, shape, identity(rank), value.names)


def _concat(c: Conversion, node: Node) -> None:
    values = [c.value(node, i) for i in range(len(node.inputs))]
    rank = len(values[0].shape)
    axis, order = int(node.attributes["axis"]) % rank, values[0].order
    shape = list(values[0].shape)
    shape[axis] = sum(v.shape[axis] for v in values)
    options = schema.ConcatenationOptionsT()
    options.axis = order.index(axis)
    made = c.writer.operation("CONCATENATION", [c.laid(v, order) for v in values],
                              node.outputs[0], [shape[a] for a in order], options)
    c.publish(node, made, shape, order)


# ------------------------------------------------------------------ normalisation and layers

def _batch_norm(c: Conversion, node: Node) -> None:
    """Convert a normalisation that no convolution before it could take in."""
    value = c.value(node)
    factor, offset = norm_terms(c, node)
    order, rank = value.order, len(value.shape)
    stored = [value.shape[a] for a in order]
    tensor = value.tensor
    for kind, options, numbers in (("MUL", schema.MulOptionsT(), factor),
                                   ("ADD", schema.AddOptionsT(), offset)):
        shaped = numbers.reshape((1, -1) + (1,) * (rank - 2)).transpose(order)
        held = c.writer.constant(f"{node.label}_{kind}", shaped)
        tensor = c.writer.operation(kind, [tensor, held], f"{node.outputs[0]}_{kind}", stored,
                                    options)
    c.publish(node, tensor, value.shape, order)


def norm_terms(c: Conversion, node: Node) -> tuple[Array, Array]:
    """Return factor and offset of each channel: y = factor · x + offset (Ioffe and Szegedy)."""
    if int(node.attributes.get("training_mode", 0)):
        raise c.fault(node, "is in training mode", "Export the model in evaluation mode.")
    scale, bias, average, variance = (c.constant(node, i).astype(np.float64) for i in (1, 2, 3, 4))
    factor = scale / np.sqrt(variance + float(node.attributes.get("epsilon", 1e-5)))
    return factor.astype(np.float32), (bias - average * factor).astype(np.float32)


def _gemm(c: Conversion, node: Node) -> None:
    given = node.attributes
    if int(given.get("transA", 0)):
        raise c.fault(node, "transposes its input")
    weights = c.constant(node, 1)
    if not int(given.get("transB", 0)):
        weights = weights.T
    bias = c.constant(node, 2).reshape(-1) if c.given(node, 2) else np.zeros(1, np.float32)
    bias = np.broadcast_to(bias * float(given.get("beta", 1.0)), (weights.shape[0],))
    _dense(c, node, weights * float(given.get("alpha", 1.0)), bias)


def _matmul(c: Conversion, node: Node) -> None:
    if not c.is_constant(node, 1) or c.constant(node, 1).ndim != 2:
        raise c.fault(node, "multiplies two computed values")
    _dense(c, node, c.constant(node, 1).T, np.zeros(c.constant(node, 1).shape[1], np.float32))


def _dense(c: Conversion, node: Node, weights: Array, bias: Array) -> None:
    value = c.value(node)
    if len(value.shape) != 2 or value.shape[1] != weights.shape[1]:
        raise c.fault(node, f"multiplies {list(value.shape)} by {list(weights.shape[::-1])}; rows "
                            "are needed", "Flatten before it.")
    inputs = [c.laid(value, (0, 1)),
              c.writer.constant(f"{node.label}.weight", weights.astype(np.float32)),
              c.writer.constant(f"{node.label}.bias", bias.astype(np.float32))]
    shape = (value.shape[0], weights.shape[0])
    made = c.writer.operation("FULLY_CONNECTED", inputs, node.outputs[0], shape,
                              schema.FullyConnectedOptionsT())
    c.publish(node, made, shape, (0, 1))


def _softmax(c: Conversion, node: Node) -> None:
    value = c.value(node)
    rank = len(value.shape)
    axis = int(node.attributes.get("axis", 1 if c.opset < 13 else -1)) % rank
    if c.opset < 13 and math.prod(value.shape[axis + 1:]) != 1:
        raise c.fault(node, "runs over several axes", "Export the model with opset 13 or newer.")
    order = (*(a for a in value.order if a != axis), axis)
    options = schema.SoftmaxOptionsT() if node.op == "Softmax" else schema.LogSoftmaxOptionsT()
    if node.op == "Softmax":
        options.beta = 1.0
    made = c.writer.operation("SOFTMAX" if node.op == "Softmax" else "LOG_SOFTMAX",
                              [c.laid(value, order)], node.outputs[0],
                              [value.shape[a] for a in order], options)
    c.publish(node, made, value.shape, order)


# ------------------------------------------------------------------ nothing at all

def _same(c: Conversion, node: Node) -> None:
    value = c.value(node)
    c.publish(node, value.tensor, value.shape, value.order, value.names)


def _cast(c: Conversion, node: Node) -> None:
    from onnx import TensorProto

    if node.attributes["to"] != TensorProto.FLOAT:
        raise c.fault(node, f"makes {TensorProto.DataType.Name(node.attributes['to'])} of it",
                      "Export the model in float32.")
    _same(c, node)


READERS: dict[str, Reader] = {
    "Conv": windows.conv, "MaxPool": windows.pool, "AveragePool": windows.pool,
    "GlobalAveragePool": windows.mean, "ReduceMean": windows.mean,
    "Gemm": _gemm, "MatMul": _matmul, "BatchNormalization": _batch_norm,
    "Relu": _unary, "LeakyRelu": _unary, "Sigmoid": _unary, "Tanh": _unary, "HardSwish": _unary,
    "Elu": _unary, "Clip": _clip, "HardSigmoid": _hard_sigmoid,
    "Add": _binary, "Sub": _binary, "Mul": _binary, "Div": _binary, "Concat": _concat,
    "Softmax": _softmax, "LogSoftmax": _softmax, "Pad": shapes.pad, "Reshape": shapes.reshape,
    "Flatten": shapes.flatten, "Squeeze": shapes.squeeze, "Unsqueeze": shapes.unsqueeze,
    "Transpose": shapes.transpose, "Slice": shapes.cut, "Split": shapes.split,
    "Identity": _same, "Dropout": _same, "Cast": _cast,
}
