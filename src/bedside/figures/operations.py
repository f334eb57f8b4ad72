"""Figure 4: one convolution's operations and number formats, as read from each file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bedside.figures import inputs
from bedside.figures.base import FigureData
from bedside.runtime.graph import Graph, Operation, Quantization, Tensor, ops_by_dtype

_MOVES = frozenset({"PAD", "PADV2", "RESHAPE", "TRANSPOSE", "SQUEEZE", "EXPAND_DIMS"})


def compute(run: Path, model: str) -> FigureData:
    """Facts: ``schemes``, a table of scheme to the formats around its first convolution.

    Read from the files: tensors, their formats, scales and zero points, conversions. Not in
    any file, and taken from LiteRT's kernels: the accumulator's format.
    """
    original = inputs.original_of(run, model)
    base = inputs.variant_graph(run, original)
    position = inputs.first_conv(base)
    schemes = {}
    for label, variant in inputs.variants_of(run, model).items():
        graph = inputs.variant_graph(run, variant)
        cell = inputs.cpu_cell(run, variant.id)
        schemes[label] = {
            **describe(graph, inputs.same_layer(base, graph, position)),
            "compute_dtype": cell.compute_dtype if cell is not None else None}
    return FigureData({}, {"model": model, "layer": base.layer(base.convolutions()[position]),
                           "schemes": schemes})


def describe(graph: Graph, conv: Operation) -> dict[str, Any]:
    """The formats around one convolution of one file."""
    source, out = graph.tensors[conv.inputs[0]], graph.tensors[conv.outputs[0]]
    weights = inputs.stored_weights(graph, conv)
    bias = (graph.tensors[conv.inputs[2]]
            if len(conv.inputs) > 2 and conv.inputs[2] >= 0 else None)
    stored_bias = bias if bias is None else _stored(graph, bias.index)
    kinds = [o.op for o in graph.operations]
    facts: dict[str, Any] = {
        "kind": kind(source.dtype, weights.dtype),
        "model_input": graph.tensors[graph.inputs[0]].dtype,
        "model_output": graph.tensors[_logits(graph)].dtype,
        "input": _tensor(source), "weights": _tensor(weights), "output": _tensor(out),
        "bias": None if stored_bias is None else _tensor(stored_bias),
        "quantize_before": _converted(graph, source.index, "QUANTIZE"),
        "weights_dequantized": not graph.tensors[conv.inputs[1]].buffer,
        "dequantize_at_end": _converted(graph, _logits(graph), "DEQUANTIZE"),
        "quantize_ops": kinds.count("QUANTIZE"), "dequantize_ops": kinds.count("DEQUANTIZE"),
        **_biases(graph), "operations": len(kinds), "ops_by_dtype": ops_by_dtype(graph)}
    facts["accumulator"] = {"float": "float32", "hybrid": "int32", "integer": "int32",
                            "wide": "int64"}[facts["kind"]]
    if facts["kind"] == "integer" and source.quantization and out.quantization:
        product = float(source.quantization.scales[0]) * float(_scale(weights.quantization))
        facts["multiplier_example"] = product / float(out.quantization.scales[0])
    return facts


def _biases(graph: Graph) -> dict[str, int]:
    """How many integer biases the file holds, and how many do not fit int32.

    A bias is stored in steps of input scale · weight scale (Jacob et al. 2018, eq. 11). A
    filter whose weights are nearly zero has so small a scale that its bias is cut at the end
    of int32, and the channel then gives a wrong constant.
    """
    found = [graph.constant(o.inputs[2]) for o in graph.convolutions()
             if len(o.inputs) > 2 and o.inputs[2] >= 0]
    codes = [c for c in found if c is not None and c.dtype == np.int32]
    return {"integer_biases": sum(int(c.size) for c in codes),
            "saturated_biases": sum(saturated(c) for c in codes)}


def saturated(codes: npt.NDArray[np.int32]) -> int:
    """Values at either end of int32."""
    limits = np.iinfo(np.int32)
    return int(np.count_nonzero((codes <= limits.min + 1) | (codes >= limits.max)))


def kind(activation: str, weights: str) -> str:
    """How LiteRT computes it: ``float``, ``hybrid`` (dynamic range), ``integer``, ``wide``."""
    if activation == "int8":
        return "integer"
    if activation == "int16":
        return "wide"
    return "hybrid" if weights in ("int8", "int4") else "float"


def _logits(graph: Graph) -> int:
    return graph.output_names.get("logits", graph.outputs[0])


def _stored(graph: Graph, index: int) -> Tensor:
    source = graph.producer(index)
    if source is not None and source.op == "DEQUANTIZE":
        return graph.tensors[source.inputs[0]]
    return graph.tensors[index]


def _converted(graph: Graph, tensor: int, op: str) -> bool:
    """Whether ``op`` made a tensor, operations that only move values looked through."""
    source = graph.producer(tensor)
    while source is not None and source.op in _MOVES:
        source = graph.producer(source.inputs[0])
    return source is not None and source.op == op


def _scale(quantization: Quantization | None) -> float:
    return float(quantization.scales[0]) if quantization is not None else 1.0


def _tensor(tensor: Tensor) -> dict[str, Any]:
    facts: dict[str, Any] = {"dtype": tensor.dtype, "shape": tensor.shape}
    if tensor.quantization is not None:
        scales = tensor.quantization.scales
        facts |= {"scales": int(scales.size), "scale": float(scales[0]),
                  "scale_low": float(scales.min()), "scale_high": float(scales.max()),
                  "zero_point": int(tensor.quantization.zero_points[0])}
    return facts
