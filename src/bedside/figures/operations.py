"""Figure 4: the operations and number formats of one convolution, as read from each file."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from bedside.core.text import number
from bedside.figures import inputs, style
from bedside.figures.base import FigureData, Reads
from bedside.runtime.graph import Graph, Operation, Tensor, ops_by_dtype

TITLE = "Operations and number formats (the paper's Figure 4)"
READS = Reads()
_MOVES = frozenset({"PAD", "PADV2", "RESHAPE", "TRANSPOSE", "SQUEEZE", "EXPAND_DIMS"})

_TINTS = {"float32": "#E3E3E3", "float16": "#D6EDF9", "int8": "#CFE3F2", "int16": "#DCD3EA",
          "int32": "#F3E4C4", "int64": "#F3E4C4", "int4": "#CFEBE0"}
_PER_ROW = 4
_COLUMN = 1.0
_PAPER_ORDER = ("float32", "dynamic", "int8", "float16")


def compute(run: Path, model: str) -> FigureData:
    """Read the formats around each scheme's first convolution.

    Facts: ``schemes``. Read from the files: tensors, their formats, scales and zero points,
    conversions. The accumulator's format is in no file; it is taken from LiteRT's kernels.
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
    """Return the formats around one convolution of one file."""
    source, out = graph.tensors[conv.inputs[0]], graph.tensors[conv.outputs[0]]
    weights = inputs.stored_weights(graph, conv)
    bias = (graph.tensors[conv.inputs[2]] if len(conv.inputs) > 2 and conv.inputs[2] >= 0 else None)
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
        product = float(source.quantization.scales[0]) * float(
            weights.quantization.scales[0] if weights.quantization is not None else 1.0)
        facts["multiplier_example"] = product / float(out.quantization.scales[0])
    return facts


def _biases(graph: Graph) -> dict[str, int]:
    """Count a file's integer biases, and those that saturate int32.

    A bias is stored in steps of input scale · weight scale (Jacob et al. 2018, eq. 11). A filter
    whose weights are nearly zero has so small a scale that its bias saturates int32, and the
    channel then gives a wrong constant.
    """
    found = [graph.constant(o.inputs[2]) for o in graph.convolutions()
             if len(o.inputs) > 2 and o.inputs[2] >= 0]
    codes = [c for c in found if c is not None and c.dtype == np.int32]
    return {"integer_biases": sum(int(c.size) for c in codes),
            "saturated_biases": sum(saturated(c) for c in codes)}


def saturated(codes: npt.NDArray[np.int32]) -> int:
    """Count the values at either limit of int32."""
    limits = np.iinfo(np.int32)
    return int(np.count_nonzero((codes <= limits.min + 1) | (codes >= limits.max)))


def kind(activation: str, weights: str) -> str:
    """Return LiteRT's arithmetic: ``float``, ``hybrid`` (dynamic range), ``integer``, ``wide``."""
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
    """Return whether ``op`` made a tensor, looking through operations that only move values."""
    source = graph.producer(tensor)
    while source is not None and source.op in _MOVES:
        source = graph.producer(source.inputs[0])
    return source is not None and source.op == op


def _tensor(tensor: Tensor) -> dict[str, Any]:
    facts: dict[str, Any] = {"dtype": tensor.dtype, "shape": tensor.shape}
    if tensor.quantization is not None:
        scales = tensor.quantization.scales
        facts |= {"scales": int(scales.size), "scale": float(scales[0]),
                  "scale_low": float(scales.min()), "scale_high": float(scales.max()),
                  "zero_point": int(tensor.quantization.zero_points[0])}
    return facts


# ------------------------------------------------------------------ drawing


def draw(data: FigureData) -> Figure:
    """Draw boxes from the image to the logits, coloured by number format."""
    labels = sorted(data.facts["schemes"], key=_order)
    rows = [labels[i:i + _PER_ROW] for i in range(0, len(labels), _PER_ROW)]
    figure = style.new_figure(5.5 * len(rows))
    grid = figure.subplots(len(rows), 1, squeeze=False)
    for axes, names in zip(grid[:, 0], rows, strict=True):
        style.bare(axes)
        columns = max(len(names), 2) if len(rows) == 1 else _PER_ROW
        axes.set_xlim(-0.02, columns * _COLUMN + 0.02)
        axes.set_ylim(-10.1, 1.15)
        for i, label in enumerate(names):
            _column(axes, i * _COLUMN, label, data.facts["schemes"][label])
    return figure


def _order(label: str) -> tuple[int, str]:
    name = label.split("+")[0]
    place = _PAPER_ORDER.index(name) if name in _PAPER_ORDER else len(_PAPER_ORDER)
    return place, label


def _column(axes: Axes, left: float, label: str, row: dict[str, Any]) -> None:
    x, width = left + 0.05, _COLUMN - 0.1
    axes.text(x + width / 2, 0.82, style.scheme_name(label), ha="center", va="center",
              weight="bold", fontsize=9.5, color=style.scheme_colour(label)
              if label != "float16" else "#2B7FB0")
    kind = row["kind"]
    boxes: list[tuple[float, str, str, str]] = [(0.0, "image", row["model_input"], "")]
    if row["quantize_before"]:
        boxes.append((-1.35, "QUANTIZE", row["input"]["dtype"], _affine(row["input"])))
    elif kind == "hybrid":
        boxes.append((-1.35, "quantize on the fly", "int8", "S, Z from each input"))
    for y, name, dtype, note in boxes:
        _box(axes, x, y, width, name, dtype, note)
    for (y, *_), (below, *_) in itertools.pairwise(boxes):
        _arrow(axes, x + width / 2, y - 0.48, below + 0.48)
    _arrow(axes, x + width / 2, boxes[-1][0] - 0.48, -2.95 + 0.25)
    _layer(axes, x, width, row)
    _arrow(axes, x + width / 2, -7.15, -7.52)
    _box(axes, x, -8.0, width, "output map", row["output"]["dtype"], _affine(row["output"]))
    _arrow(axes, x + width / 2, -8.48, -9.02, dashed=True)
    end = "DEQUANTIZE → logits" if row["dequantize_at_end"] else "logits"
    _box(axes, x, -9.5, width, end, row["model_output"], "after the last layer")


def _layer(axes: Axes, x: float, width: float, row: dict[str, Any]) -> None:
    """Draw the convolution: weights and bias in, accumulator inside."""
    axes.add_patch(FancyBboxPatch((x, -7.1), width, 4.4, boxstyle="round,pad=0,rounding_size=0.04",
                                  fc="white", ec=style.QUIET, lw=1, mutation_aspect=8))
    axes.text(x + width / 2, -3.0, "convolution", ha="center", va="center", fontsize=8.5,
              weight="bold")
    inner, span = x + 0.04, width - 0.08
    stored = row["weights"]
    note = _weights_note(stored)
    if row["weights_dequantized"]:
        note = "DEQUANTIZE to float32"
    _box(axes, inner, -3.85, span, "weights", stored["dtype"], note)
    product = {"float": "float32 × float32", "hybrid": "int8 × int8", "integer": "int8 × int8",
               "wide": "int16 × int8"}[row["kind"]]
    _box(axes, inner, -5.1, span, f"Σ {product}", row["accumulator"], "accumulator")
    bias = row["bias"]
    after = {"float": "activation", "hybrid": "× S·S, back to float32",
             "integer": "× S·S / S, round, clip", "wide": "× S·S / S, round, clip"}[row["kind"]]
    _box(axes, inner, -6.35, span, "+ bias" if bias is not None else "no bias",
         bias["dtype"] if bias is not None else "float32", after)


def _box(axes: Axes, x: float, y: float, width: float, name: str, dtype: str, note: str) -> None:
    axes.add_patch(FancyBboxPatch((x, y - 0.48), width, 0.96,
                                  boxstyle="round,pad=0,rounding_size=0.03", mutation_aspect=8,
                                  fc=_TINTS.get(dtype, "#EEEEEE"), ec="none"))
    high = y + (0.16 if note else 0.0)
    axes.text(x + 0.025, high, name, va="center", fontsize=8)
    axes.text(x + width - 0.025, high, dtype, va="center", ha="right", fontsize=8, weight="bold")
    if note:
        axes.text(x + 0.025, y - 0.25, note, va="center", fontsize=7, color="#555555")


def _arrow(axes: Axes, x: float, start: float, end: float, dashed: bool = False) -> None:
    axes.add_patch(FancyArrowPatch((x, start), (x, end), arrowstyle="-|>", mutation_scale=7,
                                   lw=0.9, color=style.QUIET, shrinkA=0, shrinkB=0,
                                   ls=(0, (2, 2)) if dashed else "-"))


def _affine(tensor: dict[str, Any]) -> str:
    if "scale" not in tensor:
        return ""
    zero = str(tensor["zero_point"]).replace("-", "−")
    return f"S = {number(tensor['scale'])}, Z = {zero}"


def _weights_note(tensor: dict[str, Any]) -> str:
    if "scales" not in tensor:
        return ""
    return (f"{tensor['scales']} scales, Z = 0" if tensor["scales"] > 1
            else f"S = {number(tensor['scale'])}, Z = 0")


def caption(data: FigureData) -> str:
    """State the result, with the figure's own numbers."""
    schemes = data.facts["schemes"]
    parts = []
    for label in sorted(schemes, key=_order):
        row = schemes[label]
        parts.append(f"{style.scheme_name(label)}: {row['input']['dtype']} × "
                     f"{row['weights']['dtype']}, {row['operations']} operations")
    upcast = [style.scheme_name(k) for k, r in schemes.items()
              if r["weights"]["dtype"] == "float16" and r["compute_dtype"] == "float32"]
    note = (f" {', '.join(upcast)} is computed in float32 on this CPU, as the paper found on its "
            "device." if upcast else "")
    for label, row in schemes.items():
        if row["saturated_biases"]:
            note += (f" In the {style.scheme_name(label)} file {row['saturated_biases']} of "
                     f"{row['integer_biases']:,} biases saturate int32: those channels, "
                     "whose weights are nearly zero, give a wrong constant.")
    return (f"Number formats around the first convolution ({data.facts['layer']}) of "
            f"{data.facts['model']}, read from each file (the paper's Figure 4). "
            f"Activations × weights as stored: {'; '.join(parts)}.{note}")
