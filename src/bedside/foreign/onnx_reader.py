"""Conversion of an ONNX classifier to a float ``.tflite``, channels last.

The inverse of :mod:`bedside.targets.tflite_onnx`, of more operators: those that image classifiers
are made of (:data:`bedside.foreign.onnx_operators.READERS`); others are refused by name. The
result is compared with ONNX Runtime before it is returned. Input and outputs keep their names.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bedside.core.errors import BadInput
from bedside.foreign.onnx_file import OnnxFile, read
from bedside.foreign.onnx_graph import (
    LAST,
    REMEDY,
    Array,
    Conversion,
    Node,
    Value,
    identity,
    nodes_of,
)
from bedside.foreign.onnx_operators import READERS, norm_terms
from bedside.runtime.litert import AnyModel
from bedside.targets import ort

# Largest difference from ONNX Runtime's outputs, as a share of their range.
PARITY = 1e-4
CHECKED_IMAGES = 3
# Operators that compute shapes, and are done here where all they read is known.
_FOLDED = frozenset({"Add", "Cast", "Concat", "ConstantOfShape", "Div", "Gather", "Identity", "Mul",
                     "ReduceProd", "Reshape", "Slice", "Squeeze", "Sub", "Transpose", "Unsqueeze"})
_MOST_FOLDED = 10_000_000
# What reading a table that breaks its own rules raises.
_DAMAGE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def to_tflite(path: Path) -> bytes:
    """Return a float ``.tflite`` of an ONNX classifier's graph.

    Args:
        path: the ``.onnx``; data in files beside it are read too.

    Returns:
        A model whose image is (1, H, W, C) float32 in the range that the ONNX model takes.
        Feature maps come out channels last, other outputs in the shape that the file gives them.

    Raises:
        BadInput: not a whole ONNX model, an operator or a shape that is not supported, or outputs
            that differ from ONNX Runtime's by more than 1e-4 of their range.
        MissingComponent: ONNX or ONNX Runtime is not installed.
    """
    _need_onnx()
    try:
        return _converted(path)
    except _DAMAGE as error:
        raise BadInput(f"damaged ONNX model ({type(error).__name__})", where=path,
                       remedy="Get the file again, or export it again.") from error


def _converted(path: Path) -> bytes:
    file = read(path)
    c = Conversion(file, nodes := nodes_of(file))
    c.values[file.input] = _input(c)
    for node in _folded_norms(c, nodes):
        try:
            _convert(c, node)
        except _DAMAGE as error:
            raise c.fault(node, f"is damaged or unusual ({type(error).__name__})",
                          "Export the model again.") from error
    orders = {name: _output_order(c, name) for name in file.outputs}
    data = c.writer.finish(
        {file.input: c.values[file.input].tensor},
        {name: c.laid(c.values[name], order) for name, order in orders.items()})
    _check_parity(file, c.values[file.input].order, orders, data)
    return data


def _need_onnx() -> None:
    from bedside.core.registry import resolve

    resolve("onnx")
    ort.engine()


def _input(c: Conversion) -> Value:
    """Return the image; it is stored channels last, whichever way the file has it."""
    shape = c.file.shape
    first, last = shape[1] in (1, 3), shape[3] in (1, 3)
    if first == last:
        raise BadInput(f"the input's shape {list(shape)} does not tell where its 1 or 3 channels "
                       "are", where=c.file.path, remedy="Export it with an input of (1, C, H, W).")
    order = LAST if first else identity(4)
    tensor = c.writer.tensor(c.file.input, [shape[a] for a in order])
    return Value(tensor, shape, order, (c.file.input,))


def _output_order(c: Conversion, name: str) -> tuple[int, ...]:
    """Return the order in which an output is stored: maps channels last, others as in the file."""
    if name not in c.values:
        raise BadInput(f"the output {name!r} does not depend on the image", where=c.file.path,
                       remedy=REMEDY)
    value = c.values[name]
    as_it_is = identity(len(value.shape))
    return LAST if len(value.shape) == 4 and value.order != as_it_is else as_it_is


# ------------------------------------------------------------------ nodes

def _convert(c: Conversion, node: Node) -> None:
    if node.op == "Constant":
        _constant(c, node)
    elif node.op == "Shape":
        shape = c.value(node).shape
        start, end = node.attributes.get("start", 0), node.attributes.get("end", len(shape))
        c.constants[node.outputs[0]] = np.array(shape[start:end], np.int64)
    elif node.op in _FOLDED and all(n in c.constants for n in node.inputs if n):
        _fold(c, node)
    elif node.op in READERS:
        READERS[node.op](c, node)
    else:
        raise c.fault(node, "is an operator that is not supported")


def _constant(c: Conversion, node: Node) -> None:
    from onnx import numpy_helper

    given = node.attributes
    if "value" in given:
        c.constants[node.outputs[0]] = np.asarray(numpy_helper.to_array(given["value"]))
        return
    kind = next((k for k in ("value_float", "value_floats", "value_int", "value_ints")
                 if k in given), None)
    if kind is None:
        raise c.fault(node, "holds no numbers")
    dtype = np.float32 if "float" in kind else np.int64
    c.constants[node.outputs[0]] = np.array(given[kind], dtype)


def _fold(c: Conversion, node: Node) -> None:
    """Compute a node whose inputs are all known, with ONNX's own reference implementation."""
    from onnx.reference import ReferenceEvaluator

    if node.op == "ConstantOfShape" and np.prod(c.constants[node.inputs[0]]) > _MOST_FOLDED:
        raise c.fault(node, "makes too large a constant")
    feeds = {n: c.constants[n] for n in node.inputs if n}
    try:
        made: Any = ReferenceEvaluator(node.proto, opsets={"": c.opset}).run(None, feeds)
    except Exception as error:  # the evaluator's errors share no base class
        raise c.fault(node, f"cannot be computed ({type(error).__name__})",
                      "Export the model again.") from None
    c.constants[node.outputs[0]] = np.asarray(made[0])


def _folded_norms(c: Conversion, nodes: Sequence[Node]) -> list[Node]:
    """Take a normalisation into the convolution before it, where nothing else reads that one."""
    kept: list[Node] = []
    convolutions: dict[str, int] = {}
    for node in nodes:
        source = convolutions.get(node.inputs[0]) if node.inputs else None
        if (node.op == "BatchNormalization" and source is not None
                and c.uses[node.inputs[0]] == 1
                and all(c.is_constant(node, i) for i in (1, 2, 3, 4))):
            before = kept[source]
            factor, offset = norm_terms(c, node)
            weights = c.constants[before.inputs[1]]
            bias = c.constants[before.inputs[2]] if len(before.inputs) > 2 else 0.0
            names = (f"{before.label}.folded", f"{before.label}.folded_bias")
            c.constants[names[0]] = weights * factor.reshape((-1,) + (1,) * (weights.ndim - 1))
            c.constants[names[1]] = np.asarray(bias * factor + offset, np.float32)
            kept[source] = replace(before, inputs=(before.inputs[0], *names),
                                   outputs=node.outputs[:1])
            continue
        if node.op == "Conv" and all(c.is_constant(node, i) for i in range(1, len(node.inputs))):
            convolutions[node.outputs[0]] = len(kept)
        kept.append(node)
    return kept


# ------------------------------------------------------------------ parity

def _check_parity(file: OnnxFile, order: Sequence[int], orders: Mapping[str, Sequence[int]],
                  data: bytes) -> None:
    """Compare with ONNX Runtime on images of noise.

    ``order`` and ``orders``: in which image and outputs are stored in ``data``.
    """
    with tempfile.TemporaryDirectory(prefix="bedside-") as folder:
        written = Path(folder) / "model.tflite"
        written.write_bytes(data)
        model = AnyModel(written)
        session = ort.cpu_session(file.path, 2)
        rng = np.random.default_rng(0)
        for _ in range(CHECKED_IMAGES):
            image = rng.random(file.shape, np.float32)
            theirs = ort.outputs(session, {file.input: image})
            ours = model.outputs_of([np.ascontiguousarray(image.transpose(order))])
            for (name, stored), mine in zip(orders.items(), ours, strict=True):
                _compare(file, name, mine, theirs[name].transpose(stored))


def _compare(file: OnnxFile, name: str, ours: Array, theirs: Array) -> None:
    span = max(float(np.ptp(theirs)), float(np.abs(theirs).max()), 1e-6)
    error = float(np.abs(ours.reshape(theirs.shape) - theirs).max()) / span
    if not error <= PARITY:
        raise BadInput(f"the converted model's {name!r} differs from ONNX Runtime's by {error:.2%} "
                       "of its range", where=file.path,
                       remedy="Export it as .tflite instead, and please report this.")
