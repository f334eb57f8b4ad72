"""Bias correction: subtract from each bias what weight rounding adds to its channel's mean.

Rounding changes weights by small amounts that do not average out over a channel: its output
moves by Σ (W_q − W)·E[x] (Nagel et al. 2019, *Data-free quantization*, eq. 17). E[x] is measured
on calibration images. Every layer is corrected for its own weights. What is left (rounded and
clipped activations) adds up towards the classifier; its bias is then set so that the mean of
its output over the calibration images is the float model's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bedside.core.errors import Unquantizable
from bedside.runtime.graph import Graph, Operation, parse_graph

Means = Sequence[npt.NDArray[np.float64]]


def response(graph: Graph, operation: Operation, mean: npt.NDArray[np.float64]
             ) -> npt.NDArray[np.float64]:
    """Return the mean output of a layer before bias and activation, (out,).

    Borders are treated as the rest of the map.

    Args:
        graph: of a float or a quantized model.
        operation: the layer.
        mean: of each input channel, (in,).
    """
    weights = graph.real_constant(operation.inputs[1])
    if weights is None:
        raise Unquantizable("weights are not stored as constants", where=graph.layer(operation),
                            remedy="Leave the option +biascorrected out.")
    if operation.op == "DEPTHWISE_CONV_2D":
        per_output = np.repeat(mean, weights.shape[3] // mean.size)
        summed = weights.astype(np.float64).sum(axis=(0, 1, 2)) * per_output
    else:
        summed = weights.reshape(weights.shape[0], -1, weights.shape[-1]).sum(
            axis=1, dtype=np.float64) @ mean
    return np.asarray(summed)


def correct_weights(model: bytes, quantized: bytes, means: Means) -> bytes:
    """Correct every bias for the rounding of its own layer's weights.

    Args:
        model: the float model.
        quantized: what the quantizer makes of it.
        means: of each layer's input channels in the float model.
    """
    data = bytearray(model)
    graph, other = parse_graph(data), parse_graph(quantized)
    for operation, twin, mean in zip(graph.convolutions(), _same(graph, other), means, strict=True):
        shift = response(graph, operation, mean) - response(other, twin, mean)
        _add(graph, operation, shift)
    return bytes(data)


def correct_classifier(model: bytes, shift: npt.NDArray[np.float64]) -> bytes:
    """Add ``shift`` (K,) to the bias of the last layer."""
    data = bytearray(model)
    graph = parse_graph(data)
    _add(graph, graph.convolutions()[-1], shift)
    return bytes(data)


def _same(graph: Graph, other: Graph) -> tuple[Operation, ...]:
    mine, theirs = graph.convolutions(), other.convolutions()
    shapes = [[g.tensors[o.inputs[1]].shape for o in found]
              for g, found in ((graph, mine), (other, theirs))]
    if shapes[0] != shapes[1]:
        raise Unquantizable("the quantizer changed the order of the layers", where="biascorrected",
                            remedy="Leave the option +biascorrected out.")
    return theirs


def _add(graph: Graph, operation: Operation, shift: npt.NDArray[np.float64]) -> None:
    bias = (graph.constant(operation.inputs[2])
            if len(operation.inputs) > 2 and operation.inputs[2] >= 0 else None)
    if bias is not None and bias.dtype == np.float32:
        bias += shift.astype(np.float32)
