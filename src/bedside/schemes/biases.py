"""Prevent int32 bias overflow where the weights of a filter have decayed to almost zero.

An integer convolution stores its bias as ``round(bias / (S_in · S_w))`` in int32. A filter whose
weights have died out in training (all nearly 0, as weight decay leaves them) gets so small an
``S_w`` that this number leaves the range of int32 and is cut: the channel then adds a wrong
constant. Raising one weight of such a filter to the smallest size whose scale can hold the bias
changes the float output by about 1e-6 of the bias and keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bedside.runtime.graph import CONVOLUTIONS, Graph, parse_graph

_INT32_MAX = 2**31 - 1
# Twice what is needed, so that rounding of the scales cannot undo it.
_MARGIN = 2.0


def hold_biases(model: bytes, ranges: Mapping[str, tuple[float, float]]) -> tuple[bytes, int]:
    """Raise the scale of filters whose bias would leave int32.

    Args:
        model: a float ``.tflite``.
        ranges: real (minimum, maximum) of activation tensors by name.

    Returns:
        The model (the same bytes where nothing had to change) and the number of filters raised.
    """
    data = bytearray(model)
    graph = parse_graph(bytes(data))
    editable = parse_graph(data)
    raised = 0
    for operation in graph.operations:
        if operation.op not in CONVOLUTIONS or len(operation.inputs) < 3:
            continue
        name = graph.tensors[operation.inputs[0]].name
        if name not in ranges or operation.inputs[2] < 0:
            continue
        raised += _raise(editable, operation.inputs[1], operation.inputs[2],
                         _input_scale(ranges[name]),
                         3 if operation.op == "DEPTHWISE_CONV_2D" else 0)
    return (bytes(data) if raised else model), raised


def _input_scale(limits: tuple[float, float]) -> float:
    low, high = min(limits[0], 0.0), max(limits[1], 0.0)
    return max((high - low) / 255, float(np.finfo(np.float32).tiny))


def _raise(graph: Graph, weights: int, bias: int, input_scale: float, axis: int) -> int:
    values, offsets = graph.constant(weights), graph.constant(bias)
    if values is None or offsets is None or values.dtype != np.float32:
        return 0
    filters = np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)
    largest = np.abs(filters).max(axis=1)
    needed = _MARGIN * 127 * np.abs(offsets) / (input_scale * _INT32_MAX)
    short = np.flatnonzero(largest < needed)
    for channel in short:
        place = [0] * values.ndim
        place[axis] = int(channel)
        values[tuple(place)] = needed[channel]
    return int(short.size)
