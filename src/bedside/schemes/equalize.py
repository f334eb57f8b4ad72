"""Cross-layer equalization: equal channel ranges without changing the function.

int8 gives a whole activation tensor one scale, so a channel a hundred times larger than the
others leaves them a few steps each. Where a convolution A feeds a convolution B and nothing
else, dividing channel i of A's output by s_i and multiplying B's weights for it by s_i changes
nothing in float arithmetic, because ReLU, zero padding and pooling commute with a positive
factor (Nagel et al. 2019, *Data-free quantization*, eq. 11). Their s_i equalizes the weights of
A and B; our weights have a scale for each output channel, so what has to be equalized is A's
*activation* and B's weights: s_i = sqrt(r_i / w_i), with r_i the largest activation seen and
w_i the largest weight that reads it. A depthwise B has a scale for every channel already, so
there the activations alone are made equal.

ReLU6 does not commute. A channel behind it is scaled only where it stayed below 6 by a margin on
every calibration image, and never to more than that margin: for such images nothing changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bedside.core.errors import Unquantizable
from bedside.runtime.graph import Graph, Operation, parse_graph

Maxima = Mapping[int, npt.NDArray[np.float32]]

_COMMUTES = frozenset({"PAD", "MAX_POOL_2D", "AVERAGE_POOL_2D"})
_LAYERS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"})
_SWEEPS = 3
_RELU6_MARGIN = 0.75
_LARGEST = 1e4


@dataclass(frozen=True, slots=True)
class Pair:
    """A convolution and the only one that reads its output. ``tensor`` is A's output."""

    first: Operation
    second: Operation
    tensor: int
    limited: bool


def pairs(graph: Graph) -> tuple[Pair, ...]:
    """Return the neighbouring layers that can be equalized, in execution order."""
    found = []
    for operation in graph.operations:
        if operation.op not in _LAYERS or graph.activation(operation) not in (
                "NONE", "RELU", "RELU6"):
            continue
        follower = _only_reader(graph, operation.outputs[0])
        if follower is not None and len(operation.inputs) > 1 and all(
                graph.constant(o.inputs[1]) is not None for o in (operation, follower)):
            found.append(Pair(operation, follower, operation.outputs[0],
                              graph.activation(operation) == "RELU6"))
    return tuple(found)


def _only_reader(graph: Graph, tensor: int) -> Operation | None:
    while True:
        readers = graph.consumers(tensor)
        if len(readers) != 1 or tensor in graph.outputs or readers[0].inputs[0] != tensor:
            return None
        reader = readers[0]
        if reader.op in _LAYERS:
            return reader
        if reader.op not in _COMMUTES or graph.activation(reader) not in ("NONE", "RELU"):
            return None
        if len(graph.tensors[reader.outputs[0]].shape) != 4:
            return None
        tensor = reader.outputs[0]


def equalize(model: bytes, maxima: Maxima, where: str = "model") -> tuple[bytes, int]:
    """Equalize every pair of neighbours.

    Args:
        model: a float ``.tflite``.
        maxima: largest absolute value of each channel by tensor index, over calibration images.
        where: what to call the model in a message.

    Returns:
        The equalized model and the number of pairs.

    Raises:
        BadInput: no two neighbouring layers can be equalized.
    """
    data = bytearray(model)
    graph = parse_graph(data)
    seen = {k: np.asarray(v, np.float64).copy() for k, v in maxima.items()}
    todo = [p for p in pairs(graph) if p.tensor in seen]
    changed = set()
    for _ in range(_SWEEPS):
        for pair in todo:
            factors = _factors(graph, pair, seen[pair.tensor])
            if np.any(factors != 1.0):
                _apply(graph, pair, factors)
                seen[pair.tensor] /= factors
                changed.add(pair.tensor)
    if not changed:
        reason = ("ReLU6 limits all of them" if todo and all(p.limited for p in todo)
                  else "no convolution feeds exactly one other")
        raise Unquantizable(f"no two neighbouring layers can be equalized ({reason})", where=where,
                            remedy="Leave the option +equalized out.")
    return bytes(data), len(changed)


def _factors(graph: Graph, pair: Pair, largest: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    if pair.second.op == "DEPTHWISE_CONV_2D":
        wanted = largest / max(float(largest.max()), 1e-30)
    else:
        weights = _constant(graph, pair.second.inputs[1])
        reads = np.abs(weights).max(axis=tuple(range(weights.ndim - 1)))
        wanted = np.sqrt(largest / np.maximum(reads, 1e-30))
        wanted[reads < 1e-12] = 1.0
    wanted[largest < 1e-12] = 1.0
    wanted = np.clip(wanted, 1.0 / _LARGEST, _LARGEST)
    if pair.limited:
        ceiling = 6.0 * _RELU6_MARGIN
        free = largest < ceiling
        wanted = np.where(free, np.maximum(wanted, largest / ceiling), 1.0)
    return np.asarray(wanted)


def _apply(graph: Graph, pair: Pair, factors: npt.NDArray[np.float64]) -> None:
    weights = _constant(graph, pair.first.inputs[1])
    if pair.first.op == "DEPTHWISE_CONV_2D":
        weights /= factors.astype(np.float32)
    else:
        weights /= factors.astype(np.float32).reshape(-1, 1, 1, 1)
    if len(pair.first.inputs) > 2 and pair.first.inputs[2] >= 0:
        _constant(graph, pair.first.inputs[2])[...] /= factors.astype(np.float32)
    reader = _constant(graph, pair.second.inputs[1])
    if pair.second.op == "DEPTHWISE_CONV_2D":
        reader *= np.repeat(factors, reader.shape[3] // factors.size).astype(np.float32)
    else:
        reader *= factors.astype(np.float32)


def _constant(graph: Graph, index: int) -> npt.NDArray[np.float32]:
    values = graph.constant(index)
    if values is None or values.dtype != np.float32:
        raise Unquantizable("weights are not stored as float32 constants",
                            where=graph.tensors[index].layer, remedy="Give a float32 model.")
    return values
