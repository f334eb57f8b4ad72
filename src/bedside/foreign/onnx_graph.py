"""State of a conversion from ONNX: values with their layout, constants, and what reads them.

ONNX images are channels first (N, C, H, W), LiteRT's channels last. A value keeps both its ONNX
shape and the order in which its axes are stored, so a transposition in the file costs nothing:
an operator asks for the order that it needs, and only then, where it differs, is a TRANSPOSE
written.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ai_edge_litert.schema_py_generated as schema
import numpy as np
import numpy.typing as npt

from bedside.core.errors import BadInput
from bedside.foreign.onnx_file import OnnxFile
from bedside.foreign.tflite_writer import TfliteWriter

Array = npt.NDArray[Any]

# Order in which LiteRT stores an ONNX image: N, H, W, C.
LAST = (0, 2, 3, 1)
_MOST_VALUES = 200_000_000
REMEDY = "Export the classifier from convolutions, pools, sums and dense layers, or as .tflite."


@dataclass(frozen=True, slots=True)
class Node:
    """One ONNX operator. ``label`` names its layer; ``proto`` is what the file holds."""

    op: str
    label: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    proto: Any


@dataclass(frozen=True, slots=True)
class Value:
    """A computed ONNX value: stored axis i of ``tensor`` is its axis ``order[i]``.

    ``shape`` is the ONNX shape. ``names``: the ONNX values that share the tensor.
    """

    tensor: int
    shape: tuple[int, ...]
    order: tuple[int, ...]
    names: tuple[str, ...]


def nodes_of(file: OnnxFile) -> list[Node]:
    """Return the operators of a file."""
    from onnx import helper

    made = []
    for number, proto in enumerate(file.nodes):
        label = ".".join(p for p in (proto.name or f"{proto.op_type}_{number}").split("/") if p)
        made.append(Node(proto.op_type, label, tuple(proto.input), tuple(proto.output),
                         {a.name: helper.get_attribute_value(a) for a in proto.attribute}, proto))
    return made


class Conversion:
    """A conversion under way; operators read it and add to it."""

    def __init__(self, file: OnnxFile, nodes: Sequence[Node]) -> None:
        self.file, self.opset = file, file.opset
        self.writer = TfliteWriter()
        self.constants: dict[str, Array] = dict(file.constants)
        self.values: dict[str, Value] = {}
        self.uses = Counter(n for node in nodes for n in node.inputs)
        self.uses.update(file.outputs)
        self._laid: dict[tuple[int, tuple[int, ...]], int] = {}

    # -------------------------------------------------------------- reading

    def fault(self, node: Node, text: str, remedy: str = REMEDY) -> BadInput:
        """Return the refusal of an operator."""
        return BadInput(f"{node.op} {node.label} {text}", where=self.file.path, remedy=remedy)

    def value(self, node: Node, number: int = 0) -> Value:
        """Return a computed input; a constant becomes one."""
        name = node.inputs[number]
        if name in self.constants:
            held = np.asarray(self.constants[name])
            if held.dtype != np.float32:
                raise self.fault(node, f"computes with {held.dtype.name} numbers")
            return Value(self.writer.constant(name, held), held.shape, identity(held.ndim), (name,))
        if name not in self.values:
            raise self.fault(node, f"reads {name!r}, which nothing makes")
        return self.values[name]

    def is_constant(self, node: Node, number: int) -> bool:
        """Return whether an input is known before the model runs."""
        return len(node.inputs) > number and node.inputs[number] in self.constants

    def given(self, node: Node, number: int) -> bool:
        """Return whether an optional input is there."""
        return len(node.inputs) > number and bool(node.inputs[number])

    def constant(self, node: Node, number: int) -> Array:
        """Return an input that must be known before the model runs."""
        if not self.is_constant(node, number):
            raise self.fault(node, f"takes input {number} from the model at run time")
        return self.constants[node.inputs[number]]

    def numbers(self, node: Node, name: str, number: int) -> list[int] | None:
        """Return integers that are an attribute in old operator sets and an input in new ones."""
        if name in node.attributes:
            return [int(v) for v in np.atleast_1d(node.attributes[name])]
        if self.given(node, number):
            return [int(v) for v in self.constant(node, number).reshape(-1)]
        return None

    # -------------------------------------------------------------- layout

    def laid(self, value: Value, order: Sequence[int]) -> int:
        """Return a tensor that stores a value's axes in the given order."""
        wanted = tuple(order)
        if value.order == wanted:
            return value.tensor
        known = self._laid.get((value.tensor, (*value.order, -1, *wanted)))
        if known is not None:
            return known
        shape = [value.shape[a] for a in wanted]
        name = f"{value.names[-1]}_order"
        if ([a for a in value.order if value.shape[a] != 1]
                == [a for a in wanted if value.shape[a] != 1]):
            made = self.reshape(value.tensor, shape, name)  # only sides of 1 change places
        else:
            places = np.array([value.order.index(a) for a in wanted], np.int32)
            made = self.writer.operation(
                "TRANSPOSE", [value.tensor, self.writer.constant(f"{name}_axes", places)], name,
                shape, schema.TransposeOptionsT())
        self._laid[value.tensor, (*value.order, -1, *wanted)] = made
        return made

    def reshaped(self, node: Node, value: Value, shape: Sequence[int]) -> None:
        """Publish a value's numbers, in ONNX order, under another shape."""
        moving = [a for a in value.order if value.shape[a] != 1]
        # Sides of 1 may lie anywhere: the numbers are in the same order.
        tensor = (value.tensor if moving == sorted(moving)
                  else self.laid(value, identity(len(value.shape))))
        if tuple(shape) == self.writer.shape(tensor):
            self.publish(node, tensor, shape, identity(len(shape)), value.names)
        else:
            self.publish(node, self.reshape(tensor, shape, node.outputs[0]), shape,
                         identity(len(shape)))

    def reshape(self, tensor: int, shape: Sequence[int], name: str) -> int:
        """Write a RESHAPE of a tensor as it is stored."""
        options = schema.ReshapeOptionsT()
        options.newShape = [int(v) for v in shape]
        sides = self.writer.constant(f"{name}_shape", np.array(shape, np.int32))
        return self.writer.operation("RESHAPE", [tensor, sides], name, shape, options)

    # -------------------------------------------------------------- writing

    def publish(self, node: Node, tensor: int, shape: Sequence[int], order: Sequence[int],
                names: Sequence[str] = (), output: int = 0) -> None:
        """Record an operator's output. ``names``: values that share the tensor."""
        out = node.outputs[output]
        if math.prod(shape) > _MOST_VALUES or min(shape, default=1) < 1:
            raise self.fault(node, f"makes a value of {[int(v) for v in shape]}")
        self.values[out] = Value(tensor, tuple(int(v) for v in shape), tuple(order),
                                 (*names, out))

    def elementwise(self, node: Node, kind: str, value: Value, options: Any = None,
                    more: Sequence[int] = ()) -> None:
        """Write an operation on every number by itself."""
        stored = [value.shape[a] for a in value.order]
        made = self.writer.operation(kind, [value.tensor, *more], node.outputs[0], stored, options)
        self.publish(node, made, value.shape, value.order)

    def activated(self, node: Node, value: Value, fused: str, kind: str) -> None:
        """Fuse an activation into what makes its input, or write it as an operation."""
        if all(self.uses[n] == 1 for n in value.names) and self.writer.fuse(value.tensor, fused):
            self.publish(node, value.tensor, value.shape, value.order)
        else:
            self.elementwise(node, kind, value)


def identity(rank: int) -> tuple[int, ...]:
    """Return the order of axes as ONNX counts them."""
    return tuple(range(rank))
