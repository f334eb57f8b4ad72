"""Target: this machine's CPU, running the ``.tflite`` through LiteRT and XNNPACK."""

from __future__ import annotations

import os
import platform
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from bedside.core.build import Build, Placement, Target
from bedside.core.types import Evidence
from bedside.runtime.graph import Graph, macs, operation_format, read_graph
from bedside.runtime.litert import AnyModel
from bedside.targets.base import Availability, BuildRequest, Placed, fraction

RUNNER = "bedside.runtime.litert:LiteRTModel"
TAKES_ANY = True
# Of a file that classifies nothing (a detector, a segmenter), of which only the time is asked.
ANY_RUNNER = "bedside.runtime.litert:AnyModel"
EVIDENCE: dict[str, Evidence] = {"accuracy": "measured", "latency": "measured"}
MODEL = "model.tflite"

ACCELERATOR = "xnnpack"


def available() -> Availability:
    """Return that it works: the runtime is a dependency of the package."""
    from importlib.metadata import version

    litert = version("ai-edge-litert")
    return Availability(True, f"LiteRT {litert} on {platform.machine()}, {os.cpu_count()} cores",
                        version=f"litert {litert}")


def build(request: BuildRequest) -> Build:
    """Take the variant's own file as the build, and find where its operations run."""
    try:
        os.link(request.file, request.scratch / MODEL)
    except OSError:
        shutil.copyfile(request.file, request.scratch / MODEL)
    placed = place(request.file, request.target, request.scratch)
    return Build(
        variant=request.variant.id, target=request.target.id, format="tflite",
        files={MODEL: request.variant.sha256},
        quantizer=request.quantizer,
        delegated_fraction=placed.delegated_fraction, partitions=placed.partitions,
        placement=placed.placement, compute_dtype=compute_dtype(read_graph(request.file)),
        runner=None if request.variant.task.classes else ANY_RUNNER)


def place(file: Path, target: Target, scratch: Path) -> Placed:
    """Load the file (nothing is run) and read where LiteRT put its operations."""
    del scratch
    graph = read_graph(file)
    model = AnyModel(file, target.threads)
    placement, partitions = placements(graph, model.executed())
    return Placed(placement, ACCELERATOR, partitions, fraction(placement, ACCELERATOR))


def placements(graph: Graph, executed: list[dict[str, Any]]) -> tuple[tuple[Placement, ...], int]:
    """Find where LiteRT runs each operation, and in how many XNNPACK partitions.

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
        Placement(o.index, o.op, graph.layer(o), ACCELERATOR) if o.index in inside else
        Placement(o.index, o.op, graph.layer(o), "litert kernel",
                  f"XNNPACK does not take {o.op} as {operation_format(graph, o)}",
                  _remedy(o.op))
        for o in graph.operations)
    return rows, partitions


_REMEDIES = {
    "RESHAPE": "None needed: it moves no data.",
    "PADV2": "Pad with zeros (PAD) after the ReLU, or pool without padding.",
    "CUSTOM": "Write the layer with LiteRT's own operations.",
}


def _remedy(op: str) -> str:
    return _REMEDIES.get(op, "It runs on LiteRT's own kernel, in the same process; another "
                             "scheme may give it a format that XNNPACK takes.")


def compute_dtype(graph: Graph) -> str:
    """Return the number format that most multiplications run in on a CPU.

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
