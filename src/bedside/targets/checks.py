"""Preconditions that every device compiler sets on a file, checked with plain messages."""

from __future__ import annotations

from pathlib import Path

from bedside.core.errors import Unsupported
from bedside.runtime.graph import Graph, read_graph


def several(graph: Graph) -> str:
    """Return what the file has too many of: signatures, or subgraphs (loops and branches)."""
    if graph.signatures > 1:
        return f"{graph.signatures} signatures"
    return f"{graph.subgraphs} subgraphs (loops, branches)"


def check_file(file: Path) -> Graph:
    """Read a ``.tflite`` and refuse what no ahead-of-time compiler takes.

    Raises:
        BadInput: it does not read.
        Unsupported: several signatures or subgraphs, dynamic shapes, or not one input.
    """
    graph = read_graph(file)
    if graph.signatures > 1 or graph.subgraphs > 1:
        raise Unsupported(f"the file has {several(graph)}; one is needed",
                          remedy="Export the one signature that is to run.")
    if len(graph.inputs) != 1:
        raise Unsupported(f"the file has {len(graph.inputs)} inputs; one image is needed",
                          remedy="Export it with a single image input.")
    open_ended = next((t for t in graph.tensors if t.dynamic), None)
    if open_ended is not None:
        raise Unsupported(f"the shape of tensor {open_ended.layer!r} is not fixed",
                          remedy="Export it with fixed shapes and batch 1.")
    return graph
