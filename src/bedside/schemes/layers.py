"""Layers of a float model, and quantizer rules that keep some of them out of int8.

A layer is a convolution (or fully connected layer) with the operations that follow it up to the
next one; what comes before the first belongs to the first. So the layers hold every operation
once, and keeping all of them gives the float model back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bedside.runtime.graph import CONVOLUTIONS, Graph, Operation, layer_name, macs


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer. ``scopes`` name its operations to the quantizer (first output of each)."""

    name: str
    op: str
    operation: int
    scopes: tuple[str, ...]
    output: str
    weights: int
    macs: int


def layers(graph: Graph) -> tuple[Layer, ...]:
    """Return the layers of a float model in execution order, each with a unique name."""
    starts = [o.index for o in graph.operations if o.op in CONVOLUTIONS]
    names = _names(graph, [graph.operations[i] for i in starts])
    result = []
    for number, (start, name) in enumerate(zip(starts, names, strict=True)):
        first = 0 if number == 0 else start
        stop = starts[number + 1] if number + 1 < len(starts) else len(graph.operations)
        members = graph.operations[first:stop]
        operation = graph.operations[start]
        result.append(Layer(
            name, operation.op, start,
            tuple(graph.tensors[o.outputs[0]].name for o in members),
            graph.tensors[operation.outputs[0]].name,
            int(np.prod(graph.tensors[operation.inputs[1]].shape)), macs(graph, operation)))
    return tuple(result)


def _names(graph: Graph, operations: Sequence[Operation]) -> list[str]:
    given = [_deepest(graph.tensors[o.inputs[1]].name) for o in operations]
    seen: dict[str, int] = {}
    unique = []
    for name in given:
        seen[name] = seen.get(name, 0) + 1
        unique.append(name if given.count(name) == 1 else f"{name}#{seen[name]}")
    return unique


def _deepest(tensor_name: str) -> str:
    """Return the layer's name from the most specific of the names that a tensor carries.

    A block's own name may contain "conv" too (MBConv); its convolution's lies deeper.
    """
    parts = [p for p in tensor_name.split(";") if "conv" in p.rsplit("/", 1)[-1].lower()]
    return layer_name(max(parts, key=lambda p: p.count("/"))) if parts else layer_name(tensor_name)


def float_rules(float_layers: Iterable[Layer], config: dict[str, Any] | None = None
               ) -> list[dict[str, Any]]:
    """Return rules, to follow those of int8, that leave layers in float32 or another format.

    Args:
        float_layers: the layers.
        config: the quantizer's ``op_config`` for them; None for float32.
    """
    return [{"regex": f"^{re.escape(scope)};?$", "operation": "*",
             "algorithm_key": "no_quantize" if config is None else "min_max_uniform_quantize",
             "op_config": config or {}}
            for layer in float_layers for scope in layer.scopes]
