"""This machine's CPU: the ``.tflite`` itself through LiteRT, with XNNPACK where it can."""

from __future__ import annotations

import os
import platform
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from bedside.runtime.graph import Graph, macs, operation_format, read_graph
from bedside.runtime.litert import LiteRTModel
from bedside.targets import Availability
from bedside.types import Build, Evidence, Placement, Target, Variant

RUNNER = "bedside.runtime.litert:LiteRTModel"
EVIDENCE: dict[str, Evidence] = {"accuracy": "measured", "latency": "measured"}
MODEL = "model.tflite"

_NO_WORK = frozenset({"RESHAPE"})


def available() -> Availability:
    """Always, with the runtime that is a dependency of the package."""
    from importlib.metadata import version

    return Availability(True, f"LiteRT {version('ai-edge-litert')} on {platform.machine()}, "
                              f"{os.cpu_count()} cores")


def build(variant_dir: Path, variant: Variant, target: Target, scratch: Path) -> Build:
    """The build is the variant's own file; what is found out is where its operations run."""
    source = variant_dir / variant.file
    try:
        os.link(source, scratch / MODEL)
    except OSError:
        shutil.copyfile(source, scratch / MODEL)
    graph = read_graph(source)
    model = LiteRTModel(source, target.threads)
    placement, partitions = placements(graph, model.executed())
    working = [p for p in placement if p.op not in _NO_WORK]
    delegated = sum(p.runs_on == "xnnpack" for p in working)
    return Build(
        variant=variant.id, target=target.id, format="tflite", files={MODEL: variant.sha256},
        quantizer="litert-quantizer" if variant.scheme != "float32" else "none",
        delegated_fraction=delegated / len(working) if working else None,
        partitions=partitions, placement=placement, compute_dtype=compute_dtype(graph))


def placements(graph: Graph, executed: list[dict[str, Any]]
               ) -> tuple[tuple[Placement, ...], int]:
    """Where LiteRT runs each operation, and in how many XNNPACK partitions.

    A delegate node shows only its inputs and outputs, so its operations are found by walking
    the graph back from its outputs to its inputs.
    """
    inside: set[int] = set()
    producer = {t: o for o in graph.operations for t in o.outputs}
    partitions = 0
    for node in executed:
        if node["op_name"] != "DELEGATE":
            continue
        partitions += 1
        borders = {int(t) for t in node["inputs"]}
        waiting = [int(t) for t in node["outputs"]]
        while waiting:
            tensor = waiting.pop()
            operation = producer.get(tensor)
            if operation is None or tensor in borders or operation.index in inside:
                continue
            inside.add(operation.index)
            waiting.extend(operation.inputs)
    rows = tuple(
        Placement(o.index, o.op, graph.layer(o),
                  "xnnpack" if o.index in inside else "litert kernel",
                  None if o.index in inside else
                  f"XNNPACK does not take {o.op} as {operation_format(graph, o)}")
        for o in graph.operations)
    return rows, partitions


def compute_dtype(graph: Graph) -> str:
    """The number format most multiplications run in on a CPU.

    Weights stored as float16 reach the convolutions through a DEQUANTIZE to float32, so such a
    file computes in float32 here (the paper found the same, Section 8.3).
    """
    work: Counter[str] = Counter()
    for operation in graph.convolutions():
        kind = operation_format(graph, operation)
        work[kind] += macs(graph, operation)
    if not work:
        return "float32"
    name = work.most_common(1)[0][0]
    return {"float32×int8": "int8 (activations quantized on the fly)"}.get(name, name)
