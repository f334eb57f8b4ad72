"""Figure 2: the network as stored in its file, merged into readable stages."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bedside.figures import inputs
from bedside.figures.base import FigureData, NotAvailable, Reads
from bedside.figures.network_drawing import caption as caption
from bedside.figures.network_drawing import draw as draw
from bedside.runtime.graph import CONVOLUTIONS, Graph, Operation

TITLE = "The network (the paper's Figure 2)"
READS = Reads()
# Operations that change the format, the layout or the sign of numbers, not what is computed.
_THROUGH = frozenset({"QUANTIZE", "DEQUANTIZE", "RESHAPE", "PAD", "PADV2", "MIRROR_PAD", "RELU",
                      "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "SQUEEZE", "EXPAND_DIMS", "CAST",
                      "LEAKY_RELU", "HARD_SWISH", "SOFTMAX", "TRANSPOSE"})
_NAMES = {"CONV_2D": "conv", "DEPTHWISE_CONV_2D": "depthwise", "FULLY_CONNECTED": "dense",
          "MAX_POOL_2D": "max pool", "AVERAGE_POOL_2D": "average pool", "MEAN": "mean",
          "ADD": "add", "CONCATENATION": "concat"}
_LAYERED = ("conv", "depthwise", "dense")
MAX_STAGES = 16


@dataclass(frozen=True, slots=True)
class Node:
    """One operation that computes; ``inputs`` are traced through conversions."""

    index: int
    kind: str
    inputs: tuple[int, ...]
    output: int
    shape: tuple[int, ...]
    kernel: tuple[int, int]
    macs: int
    params: int


@dataclass(frozen=True, slots=True)
class Stage:
    """Consecutive blocks of one kind and output size."""

    kind: str
    blocks: tuple[tuple[Node, ...], ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The last block's output without the batch dimension."""
        return self.blocks[-1][-1].shape[1:]

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All operations, in order."""
        return tuple(itertools.chain(*self.blocks))


def compute(run: Path, model: str) -> FigureData:
    """Compute the network's stages and blocks.

    Facts: ``stages`` in order, and ``details``: the graph of one block of each kind.
    """
    variant = inputs.original_of(run, model)
    graph = inputs.variant_graph(run, variant)
    found = nodes(graph)
    if not found:
        raise NotAvailable("the network has no operation to draw")
    classes = len(variant.task.classes)
    rows = shorten(stages(blocks(found), classes))
    counts: dict[str, int] = {}
    for operation in graph.operations:
        counts[operation.op] = counts.get(operation.op, 0) + 1
    return FigureData({}, {
        "model": model, "input_shape": graph.tensors[graph.inputs[0]].shape[1:],
        "stages": [_stage_facts(s) for s in rows], "details": _details(rows),
        "macs": sum(n.macs for n in found), "parameters": sum(n.params for n in found),
        "convolutions": len(graph.convolutions()), "operations": counts})


# ------------------------------------------------------------------ operations to nodes


def nodes(graph: Graph) -> tuple[Node, ...]:
    """Return the operations that compute something from the image, in execution order."""
    root = {t.index: t.index for t in graph.tensors}
    from_image = set(graph.inputs)
    found = []
    for operation in graph.operations:
        data = [t for t in operation.inputs if t in from_image]
        if not data:
            continue
        from_image |= set(operation.outputs)
        if operation.op in _THROUGH:
            for t in operation.outputs:
                root[t] = root[data[0]]
            continue
        found.append(_node(graph, operation, tuple(root[t] for t in data)))
    return tuple(found)


def _node(graph: Graph, operation: Operation, data: tuple[int, ...]) -> Node:
    shape = graph.tensors[operation.outputs[0]].shape
    kernel, macs, params = (1, 1), 0, 0
    if operation.op in CONVOLUTIONS:
        weights = graph.tensors[operation.inputs[1]].shape
        params = int(np.prod(weights))
        positions = int(np.prod(shape[1:3])) if len(shape) == 4 else 1
        macs = params * positions
        if len(weights) == 4:
            kernel = (weights[1], weights[2])
        if len(operation.inputs) > 2 and operation.inputs[2] >= 0:
            params += int(np.prod(graph.tensors[operation.inputs[2]].shape))
    name = _NAMES.get(operation.op, operation.op.lower().replace("_", " "))
    if name == "depthwise" and not inputs.is_depthwise(graph, operation):
        name = "conv"
    return Node(operation.index, name, data, operation.outputs[0], shape, kernel, macs, params)


# ------------------------------------------------------------------ nodes to blocks to stages


def blocks(found: tuple[Node, ...]) -> tuple[tuple[Node, ...], ...]:
    """Split the network where a single tensor carries all that follows.

    A chain is split after every operation; a residual or inception block stays whole.
    """
    last_use = {t: i for i, n in enumerate(found) for t in n.inputs}
    made = {t: -1 for n in found for t in n.inputs} | {n.output: i for i, n in enumerate(found)}
    result, start = [], 0
    for i in range(len(found)):
        live = [t for t, use in last_use.items() if use > i and made[t] <= i]
        if len(live) <= 1:
            result.append(found[start:i + 1])
            start = i + 1
    return tuple(result)


def kind_of(block: tuple[Node, ...]) -> str:
    """Return a block's kind: that of its only operation, or the pattern of several."""
    kinds = [n.kind for n in block]
    if len(block) == 1:
        return kinds[0]
    if "concat" in kinds:
        return "inception"
    if "depthwise" in kinds:
        return "inverted residual"
    return "residual" if "add" in kinds else "block"


def stages(found: tuple[tuple[Node, ...], ...], classes: int) -> tuple[Stage, ...]:
    """Merge blocks of one kind and size; the classifier and its mean become the head."""
    body = [(kind_of(b), b) for b in found]
    tail: list[tuple[Node, ...]] = []
    while len(body) > 1 and _is_head(body[-1][1], classes):
        tail.insert(0, body.pop()[1])
    rows: list[Stage] = []
    for kind, block in _inverted(body):
        if rows and _joins(rows[-1], kind, block):
            rows[-1] = replace(rows[-1], blocks=(*rows[-1].blocks, block))
        else:
            rows.append(Stage(kind, (block,)))
    if tail:
        rows.append(Stage("head", (tuple(itertools.chain(*tail)),)))
    return tuple(rows)


def _is_head(block: tuple[Node, ...], classes: int) -> bool:
    shape = block[-1].shape
    return len(shape) == 2 or shape[-1] == classes or block[-1].kind == "mean"


def _inverted(body: list[tuple[str, tuple[Node, ...]]]) -> list[tuple[str, tuple[Node, ...]]]:
    """Merge 1×1, depthwise, 1×1 in a row: an inverted residual without its shortcut."""
    result: list[tuple[str, tuple[Node, ...]]] = []
    i = 0
    while i < len(body):
        names = [_point(*b) for b in body[i:i + 3]]
        if names == ["point", "depthwise", "point"]:
            result.append(("inverted residual", tuple(n for _, b in body[i:i + 3] for n in b)))
            i += 3
        elif names[:2] == ["depthwise", "point"]:
            result.append(("separable conv", tuple(n for _, b in body[i:i + 2] for n in b)))
            i += 2
        else:
            result.append(body[i])
            i += 1
    return result


def _point(kind: str, block: tuple[Node, ...]) -> str:
    return "point" if kind == "conv" and block[0].kernel == (1, 1) else kind


def _joins(stage: Stage, kind: str, block: tuple[Node, ...]) -> bool:
    before, after = stage.nodes[-1], block[-1]
    if stage.kind != kind or before.shape[1:3] != after.shape[1:3]:
        return False
    if kind == "inception":
        return True
    return before.shape == after.shape and (kind not in _LAYERED or before.kernel == after.kernel)


def shorten(rows: tuple[Stage, ...]) -> tuple[Stage, ...]:
    """Merge neighbours of one output size until at most ``MAX_STAGES`` stages are left."""
    merged = list(rows)
    while len(merged) > MAX_STAGES:
        pairs = [(len(a.nodes) + len(b.nodes), i)
                 for i, (a, b) in enumerate(itertools.pairwise(merged[:-1]))
                 if a.shape[:2] == b.shape[:2]]
        at = min(pairs)[1] if pairs else len(merged) - 3
        joined = Stage("block", (*merged[at].blocks, *merged[at + 1].blocks))
        merged[at:at + 2] = [joined]
    return tuple(merged)


# ------------------------------------------------------------------ facts


def _stage_facts(stage: Stage) -> dict[str, Any]:
    layered = [n for n in stage.nodes if n.kind in _LAYERED]
    kernels = sorted({f"{n.kernel[0]}×{n.kernel[1]}" for n in layered})
    return {"kind": stage.kind, "repeat": len(stage.blocks), "shape": stage.shape,
            "channels": sorted({b[-1].shape[-1] for b in stage.blocks}), "kernels": kernels,
            "macs": sum(n.macs for n in stage.nodes), "layers": len(layered),
            "parameters": sum(n.params for n in stage.nodes),
            "kinds": [n.kind for n in stage.blocks[-1]]}


def _details(rows: tuple[Stage, ...]) -> list[dict[str, Any]]:
    """Return, for each pattern with branches, the last block of its most repeated stage."""
    details = []
    for kind in ("inception", "residual", "inverted residual"):
        found = [s for s in rows if s.kind == kind]
        if not found:
            continue
        stage = max(found, key=lambda s: len(s.blocks))
        block = stage.blocks[-1]
        place = {n.output: i for i, n in enumerate(block)}
        details.append({"kind": kind, "total": sum(len(s.blocks) for s in found),
                        "shape": stage.shape,
                        "nodes": [{"label": _label(n), "kind": n.kind, "channels": n.shape[-1],
                                   "inputs": [place.get(t, -1) for t in n.inputs]}
                                  for n in block]})
    return details


def _label(node: Node) -> str:
    if node.kind == "conv":
        return f"{node.kernel[0]}×{node.kernel[1]} conv"
    if node.kind == "depthwise":
        return f"{node.kernel[0]}×{node.kernel[1]} depthwise"
    return node.kind
