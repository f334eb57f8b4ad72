"""Operators of ONNX that pad, cut, and give numbers another shape or order of axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import ai_edge_litert.schema_py_generated as schema
import numpy as np

from bedside.foreign.onnx_graph import Conversion, Node, Value


def pad(c: Conversion, node: Node) -> None:
    """Convert Pad by zeros or another constant."""
    value = c.value(node)
    rank = len(value.shape)
    mode = node.attributes.get("mode", b"constant")
    pads = c.numbers(node, "pads", 1)
    if mode not in (b"constant", "constant") or pads is None or c.given(node, 3):
        raise c.fault(node, "pads by other than a constant")
    filled = (float(node.attributes.get("value", 0.0)) if "pads" in node.attributes
              else float(c.constant(node, 2).reshape(())) if c.given(node, 2) else 0.0)
    if min(pads) < 0:
        raise c.fault(node, "cuts pixels off")
    pairs = np.array(pads, np.int32).reshape(2, rank).T
    shape = [int(n + p.sum()) for n, p in zip(value.shape, pairs, strict=True)]
    inputs = [value.tensor, c.writer.constant(f"{node.label}_pads", pairs[list(value.order)])]
    kind, options = "PAD", schema.PadOptionsT()
    if filled:
        inputs.append(c.writer.constant(f"{node.label}_value", np.array(filled, np.float32)))
        kind, options = "PADV2", schema.PadV2OptionsT()
    made = c.writer.operation(kind, inputs, node.outputs[0], [shape[a] for a in value.order],
                              options)
    c.publish(node, made, shape, value.order)


def reshape(c: Conversion, node: Node) -> None:
    """Convert Reshape to a shape that is known."""
    value = c.value(node)
    wanted = c.numbers(node, "shape", 1) or []
    if not int(node.attributes.get("allowzero", 0)):
        wanted = [value.shape[i] if n == 0 and i < len(value.shape) else n
                  for i, n in enumerate(wanted)]
    total, known = math.prod(value.shape), math.prod(n for n in wanted if n != -1)
    shape = [total // max(known, 1) if n == -1 else n for n in wanted]
    if math.prod(shape) != total or min(shape, default=1) < 1:
        raise c.fault(node, f"makes {shape} of {list(value.shape)}", "Export it with batch 1.")
    c.reshaped(node, value, shape)


def flatten(c: Conversion, node: Node) -> None:
    """Convert Flatten."""
    value = c.value(node)
    axis = int(node.attributes.get("axis", 1))
    axis += len(value.shape) if axis < 0 else 0
    c.reshaped(node, value, (math.prod(value.shape[:axis]), math.prod(value.shape[axis:])))


def squeeze(c: Conversion, node: Node) -> None:
    """Convert Squeeze."""
    value = c.value(node)
    rank = len(value.shape)
    given = c.numbers(node, "axes", 1)
    axes = [i for i, n in enumerate(value.shape) if n == 1] if given is None else [
        a % rank for a in given]
    if any(value.shape[a] != 1 for a in axes):
        raise c.fault(node, "drops a side that is not 1", "Export it with batch 1.")
    c.reshaped(node, value, [n for i, n in enumerate(value.shape) if i not in axes])


def unsqueeze(c: Conversion, node: Node) -> None:
    """Convert Unsqueeze."""
    value = c.value(node)
    given = c.numbers(node, "axes", 1) or []
    rank = len(value.shape) + len(given)
    sides, axes = iter(value.shape), {a % rank for a in given}
    c.reshaped(node, value, [1 if i in axes else next(sides) for i in range(rank)])


def transpose(c: Conversion, node: Node) -> None:
    """Convert Transpose: nothing is moved, stored axis i stays and is called otherwise."""
    value = c.value(node)
    rank = len(value.shape)
    places = [int(v) for v in node.attributes.get("perm", range(rank)[::-1])]
    c.publish(node, value.tensor, [value.shape[p] for p in places],
              [places.index(a) for a in value.order], value.names)


def cut(c: Conversion, node: Node) -> None:
    """Convert Slice with steps of 1."""
    value = c.value(node)
    rank = len(value.shape)
    starts, ends = c.numbers(node, "starts", 1) or [], c.numbers(node, "ends", 2) or []
    axes = c.numbers(node, "axes", 3) or list(range(len(starts)))
    if set(c.numbers(node, "steps", 4) or [1]) != {1}:
        raise c.fault(node, "skips numbers")
    begin, end = [0] * rank, list(value.shape)
    for axis, first, last in zip(axes, starts, ends, strict=True):
        begin[axis], end[axis], _ = slice(first, last).indices(value.shape[axis])
    _part(c, node, value, begin, [e - b for b, e in zip(begin, end, strict=True)])


def split(c: Conversion, node: Node) -> None:
    """Convert Split into as many cuts."""
    value = c.value(node)
    axis = int(node.attributes.get("axis", 0)) % len(value.shape)
    each = -(-value.shape[axis] // len(node.outputs))
    sizes = c.numbers(node, "split", 1) or [
        min(each, value.shape[axis] - i * each) for i in range(len(node.outputs))]
    place = 0
    for output, size in enumerate(sizes):
        begin, shape = [0] * len(value.shape), list(value.shape)
        begin[axis], shape[axis] = place, size
        _part(c, node, value, begin, shape, output)
        place += size
    if place != value.shape[axis]:
        raise c.fault(node, f"splits {value.shape[axis]} into {sizes}", "Export the model again.")


def _part(c: Conversion, node: Node, value: Value, begin: Sequence[int], shape: Sequence[int],
          output: int = 0) -> None:
    stored = [shape[a] for a in value.order]
    first = np.array([begin[a] for a in value.order], np.int32)
    name = node.outputs[output]
    inputs = [value.tensor, c.writer.constant(f"{name}_begin", first),
              c.writer.constant(f"{name}_size", np.array(stored, np.int32))]
    made = c.writer.operation("SLICE", inputs, name, stored, schema.SliceOptionsT())
    c.publish(node, made, shape, value.order, output=output)
