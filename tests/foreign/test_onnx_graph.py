"""Layouts of values: transpositions cost nothing until an operator needs another order."""

from __future__ import annotations

from pathlib import Path

from bedside.foreign.onnx_file import OnnxFile
from bedside.foreign.onnx_graph import LAST, Conversion, Value, identity


def _conversion():
    return Conversion(OnnxFile(Path("m"), 17, "x", (1, 3, 4, 5), ("y",), (), {}), [])


def _operations(c):
    return c.writer._operations


def test_the_order_that_a_value_has_costs_nothing():
    c = _conversion()
    value = Value(c.writer.tensor("x", (1, 4, 5, 3)), (1, 3, 4, 5), LAST, ("x",))
    assert c.laid(value, LAST) == value.tensor
    assert not _operations(c)


def test_another_order_is_written_once():
    c = _conversion()
    value = Value(c.writer.tensor("x", (1, 4, 5, 3)), (1, 3, 4, 5), LAST, ("x",))
    made = c.laid(value, identity(4))
    assert c.writer.shape(made) == (1, 3, 4, 5)
    assert c.laid(value, identity(4)) == made
    assert len(_operations(c)) == 1


def test_sides_of_one_change_places_without_moving_numbers():
    import ai_edge_litert.schema_py_generated as schema

    c = _conversion()
    value = Value(c.writer.tensor("g", (1, 1, 1, 7)), (1, 7, 1, 1), LAST, ("g",))
    assert c.writer.shape(c.laid(value, identity(4))) == (1, 7, 1, 1)
    assert list(c.writer._codes) == [schema.BuiltinOperator.RESHAPE]
