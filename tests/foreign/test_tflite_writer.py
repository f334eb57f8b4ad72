"""Files that the writer makes, as LiteRT and the reader of graphs see them."""

from __future__ import annotations

from pathlib import Path

import ai_edge_litert.schema_py_generated as schema
import numpy as np

from bedside.foreign.tflite_writer import TfliteWriter
from bedside.runtime.graph import parse_graph
from bedside.runtime.litert import AnyModel


def _sum(values=(1.0, 2.0, 3.0)):
    w = TfliteWriter()
    x = w.tensor("in/x", (1, 3))
    y = w.operation("ADD", [x, w.constant("c", np.float32(values))], "y", (1, 3),
                    schema.AddOptionsT())
    return w, x, y


def test_a_file_runs_and_names_its_inputs_and_outputs():
    w, x, y = _sum()
    data = w.finish({"image": x}, {"logits": y})
    graph = parse_graph(data)
    assert (list(graph.input_names), list(graph.output_names)) == (["image"], ["logits"])
    assert [t.name for t in graph.tensors] == ["in.x", "c", "y"]
    (found,) = AnyModel(Path("m"), content=data).outputs_of([np.float32([[1, 1, 1]])])
    np.testing.assert_array_equal(found, [[2, 3, 4]])


def test_constants_are_aligned_as_the_schema_asks():
    w, x, y = _sum()
    data = w.finish({"x": x}, {"y": y})
    place = data.index(np.float32([1, 2, 3]).tobytes())
    assert place % 16 == 0


def test_an_activation_is_fused_once_and_into_operations_that_have_one():
    w, x, y = _sum()
    assert w.fuse(y, "RELU")
    assert not w.fuse(y, "RELU6")
    assert not w.fuse(x, "RELU")
    graph = parse_graph(w.finish({"x": x}, {"y": y}))
    assert graph.activation(graph.operations[0]) == "RELU"
    assert w.is_rectified(y)
    assert not w.is_rectified(x)


def test_a_concatenation_takes_no_activation_and_names_stay_apart():
    w, x, y = _sum()
    options = schema.ConcatenationOptionsT()
    options.axis = 1
    z = w.operation("CONCATENATION", [x, y], "y", (1, 6), options)
    assert not w.fuse(z, "RELU")
    assert [t.name for t in parse_graph(w.finish({"x": x}, {"z": z})).tensors][-1] == "y#2"
