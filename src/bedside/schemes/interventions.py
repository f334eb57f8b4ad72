"""Variants that apply one cause of an integer file's error alone, for experiments on its causes.

Each takes the float model and gives a float ``.tflite`` that differs from it in one respect, with
the numbers of the integer file itself: its ranges, its rounded weights, its rounded biases.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

import ai_edge_litert.schema_py_generated as schema
import numpy as np
import numpy.typing as npt

from bedside.core.errors import BadInput
from bedside.runtime.graph import Graph, Operation, Tensor, parse_graph

Limits = Mapping[str, tuple[float, float]]

_IDENTIFIER = b"TFL3"


def limits(quantized: Graph) -> dict[str, tuple[float, float]]:
    """Return the real (lowest, highest) code of every integer activation, by the float's name.

    Args:
        quantized: of an integer file. A float tensor that is quantized at the border of the
            network (QUANTIZE) has the limits of its integer copy.
    """
    found = {t.name: ends for t in quantized.tensors if (ends := _ends(t)) is not None}
    for operation in quantized.operations:
        if operation.op == "QUANTIZE":
            source, target = (quantized.tensors[i] for i in (operation.inputs[0],
                                                             operation.outputs[0]))
            ends = _ends(target)
            if source.dtype == "float32" and ends is not None:
                found[source.name] = ends
    return found


def _ends(tensor: Tensor) -> tuple[float, float] | None:
    if tensor.quantization is None or tensor.buffer or tensor.dtype not in ("int8", "int16"):
        return None
    scale, zero = float(tensor.quantization.scales[0]), int(tensor.quantization.zero_points[0])
    codes = np.iinfo(tensor.dtype)
    return (codes.min - zero) * scale, (codes.max - zero) * scale


def widened(ranges: Limits, seen: Limits) -> dict[str, tuple[float, float]]:
    """Return ranges that hold both what was calibrated and what was seen, by tensor name."""
    return {name: (min(low, seen[name][0]), max(high, seen[name][1])) if name in seen
            else (low, high) for name, (low, high) in ranges.items()}


# ------------------------------------------------------------------ constants of the integer file


def round_weights(model: bytes, quantized: bytes) -> bytes:
    """Return the float model with the weights that the integer file stores, as real numbers.

    Raises:
        BadInput: the layers of the two files do not correspond.
    """
    data = bytearray(model)
    for graph, mine, other, theirs in _pairs(parse_graph(data), parse_graph(quantized)):
        weights, rounded = graph.constant(mine.inputs[1]), other.real_constant(theirs.inputs[1])
        if (_editable(weights) and rounded is not None
                and other.tensors[theirs.inputs[1]].quantization is not None):
            weights[...] = rounded
    return bytes(data)


def round_biases(model: bytes, quantized: bytes) -> bytes:
    """Return the float model with the int32 biases of the integer file, as real numbers.

    A bias counts in steps of the input's scale times the filter's (Jacob et al. 2018, eq. 11).

    Raises:
        BadInput: the layers of the two files do not correspond.
    """
    data = bytearray(model)
    for graph, mine, other, theirs in _pairs(parse_graph(data), parse_graph(quantized)):
        if min(len(mine.inputs), len(theirs.inputs)) < 3 or min(mine.inputs[2],
                                                                theirs.inputs[2]) < 0:
            continue
        bias, codes = graph.constant(mine.inputs[2]), other.constant(theirs.inputs[2])
        source, weights = (other.tensors[i].quantization for i in theirs.inputs[:2])
        if (_editable(bias) and codes is not None and codes.dtype == np.int32
                and source is not None and weights is not None):
            bias[...] = codes * (source.scales[0].astype(np.float64) * weights.scales)
    return bytes(data)


def _pairs(graph: Graph, other: Graph) -> Iterator[tuple[Graph, Operation, Graph, Operation]]:
    mine, theirs = graph.convolutions(), other.convolutions()
    shapes = [[g.tensors[o.inputs[1]].shape for o in found]
              for g, found in ((graph, mine), (other, theirs))]
    if shapes[0] != shapes[1]:
        raise BadInput("the quantizer changed the order of the layers", where="interventions",
                       remedy="Leave this variant out.")
    for a, b in zip(mine, theirs, strict=True):
        yield graph, a, other, b


def _editable(values: npt.NDArray[Any] | None) -> TypeGuard[npt.NDArray[Any]]:
    return values is not None and values.dtype == np.float32


# ------------------------------------------------------------------ clipping


def clip_activations(model: bytes, clipped: Limits) -> bytes:
    """Return the float model with activations cut to limits and nothing rounded.

    MINIMUM and MAXIMUM follow every operation (and the input) whose tensor has limits.

    Args:
        model: a float ``.tflite`` with one subgraph.
        clipped: real (low, high) by tensor name, from :func:`limits`.
    """
    import flatbuffers

    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model))
    _hold_buffers(tree, model)
    graph = tree.subgraphs[0]
    codes = {name: _code(tree, name) for name in ("MINIMUM", "MAXIMUM")}
    ends = {i: clipped[t.name.decode()] for i, t in enumerate(graph.tensors)
            if t.name is not None and t.name.decode() in clipped}
    operators: list[Any] = []
    renamed: dict[int, int] = {}
    for index in [int(t) for t in graph.inputs]:
        if index in ends:
            # The input stays what the caller sets; its readers take the clipped copy.
            renamed[index] = _tensor(graph, index, "_clipped")
            operators += _clip(tree, codes, index, renamed[index], ends[index])
    for operation in graph.operators:
        operation.inputs = [renamed.get(int(t), int(t)) for t in operation.inputs]
        operators.append(operation)
        outputs = [int(t) for t in operation.outputs]
        for place, index in enumerate(outputs):
            if index in ends:
                # The operation writes a new tensor, so that all readers of this one are served.
                outputs[place] = _tensor(graph, index, "_whole")
                operators += _clip(tree, codes, outputs[place], index, ends[index])
        operation.outputs = outputs
    graph.operators = operators
    builder = flatbuffers.Builder(len(model))
    builder.Finish(tree.Pack(builder), file_identifier=_IDENTIFIER)
    return bytes(builder.Output())


def _hold_buffers(tree: Any, model: bytes) -> None:
    """Move weights that lie behind the flatbuffer into it: packing moves every offset."""
    for buffer in tree.buffers:
        if buffer.offset > 1:
            buffer.data = np.frombuffer(model, np.uint8, int(buffer.size), int(buffer.offset))
            buffer.offset = buffer.size = 0


def _code(tree: Any, name: str) -> int:
    value = getattr(schema.BuiltinOperator, name)
    code = schema.OperatorCodeT()
    # Files of the first schema hold the code in a byte; later ones in both.
    code.builtinCode, code.deprecatedBuiltinCode, code.version = value, min(value, 127), 1
    tree.operatorCodes.append(code)
    return len(tree.operatorCodes) - 1


def _tensor(graph: Any, like: int, suffix: str) -> int:
    fresh = copy.copy(graph.tensors[like])
    fresh.name = fresh.name + suffix.encode()
    fresh.buffer = 0
    graph.tensors.append(fresh)
    return len(graph.tensors) - 1


def _scalar(tree: Any, value: float) -> int:
    buffer, tensor = schema.BufferT(), schema.TensorT()
    buffer.data = np.array([value], np.float32).view(np.uint8)
    tree.buffers.append(buffer)
    tensor.shape, tensor.type = [1], schema.TensorType.FLOAT32
    tensor.name, tensor.buffer = f"limit{len(tree.buffers)}".encode(), len(tree.buffers) - 1
    tree.subgraphs[0].tensors.append(tensor)
    return len(tree.subgraphs[0].tensors) - 1


def _clip(tree: Any, codes: Mapping[str, int], source: int, target: int,
          ends: tuple[float, float]) -> list[Any]:
    graph = tree.subgraphs[0]
    between = _tensor(graph, source, "_below")
    found = []
    for name, value, read, write in (("MINIMUM", ends[1], source, between),
                                     ("MAXIMUM", ends[0], between, target)):
        operation = schema.OperatorT()
        operation.opcodeIndex = codes[name]
        operation.inputs, operation.outputs = [read, _scalar(tree, value)], [write]
        operation.builtinOptionsType = schema.BuiltinOptions.MaximumMinimumOptions
        operation.builtinOptions = schema.MaximumMinimumOptionsT()
        found.append(operation)
    return found
