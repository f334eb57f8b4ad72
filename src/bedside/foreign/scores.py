"""The output: logits (1, K), whatever a model ends in.

A final softmax, log-softmax or sigmoid is cut; a probability that no operation explains is turned
into its logarithm. Softmax of the result gives the model's own probabilities back, except for one
sigmoid a class, which has no such form: there the order of the classes is what stays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import ai_edge_litert.schema_py_generated as schema
import numpy as np
import numpy.typing as npt

from bedside.core.contract import OutputKind
from bedside.core.errors import BadInput
from bedside.foreign.linear import row, select_rows
from bedside.foreign.tree import Net

# They move or copy the values of a vector, or multiply it by one.
_MOVES = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS", "CAST"})
# Below the smallest normal float32 a logarithm is infinite.
_SMALLEST = 1e-30
_SUM_TOLERANCE = 2e-3


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a model.

    ``tensor``: logits, or what ``kind`` says where ``cut`` is None. ``cut``: the operations that
    are left out, in words. ``rows``: for each class its value in ``tensor``, None for a zero;
    ``beta``: what a softmax multiplied its logits with. ``single``: one value scores two classes.
    """

    tensor: int
    kind: OutputKind
    cut: str | None
    rows: tuple[int | None, ...]
    beta: float = 1.0
    single: bool = False


def width_of(net: Net, output: int) -> int:
    """Return the number of values of an output (1, K), (K) or (1, 1, 1, K).

    Raises:
        BadInput: it is no single row of values.
    """
    shape = net.shape(output)
    width = net.size(output)
    if width < 1 or width != max((1, *shape)):
        raise BadInput(f"the output's shape is {list(shape)}; (1, K), one row of class scores, is "
                       "needed", where=net.where, remedy="Export it with one score a class.")
    return width


def find(net: Net, output: int) -> Head | None:
    """Return what the operations tell about an output; None where they tell nothing."""
    pair = _complement(net, output)
    if pair is not None:
        probability, turned = pair
        head = _find_cut(net, probability)
        if head is not None and head.single:
            rows = (0, None) if turned else (None, 0)
            return replace(head, rows=rows, cut=f"{head.cut}, SUB and CONCATENATION")
        return None
    return _find_cut(net, output)


def _find_cut(net: Net, output: int) -> Head | None:
    tensor = output
    while True:
        tensor = _before_moves(net, tensor)
        operation = net.producer(tensor)
        if operation is None:
            return None
        name, below = net.op(operation), operation.inputs[0] if operation.inputs else -1
        width = net.size(tensor)
        every = tuple(range(width))
        if name in ("SOFTMAX", "LOG_SOFTMAX") and width > 1 and net.shape(below)[-1] == width:
            beta = float(getattr(operation.builtinOptions, "beta", 1.0) or 1.0)
            return Head(below, "probabilities" if name == "SOFTMAX" else "log-probabilities", name,
                        every, beta if name == "SOFTMAX" else 1.0)
        if name == "LOGISTIC":
            single = width == 1
            return Head(below, "probabilities" if single else "sigmoids", name,
                        (None, 0) if single else every, single=single)
        if name == "LOG":
            head = _find_cut(net, below)
            if head is not None and head.kind == "probabilities" and not head.single:
                return replace(head, kind="log-probabilities", cut=f"{head.cut} and LOG")
        return None


def _before_moves(net: Net, tensor: int) -> int:
    """Return the tensor that reshapes and multiplications by one only hand on."""
    while True:
        operation = net.producer(tensor)
        if operation is None or not operation.inputs:
            return tensor
        name, first = net.op(operation), operation.inputs[0]
        if name in _MOVES and net.size(first) == net.size(tensor) and (
                net.dtype(first) == net.dtype(tensor) == "float32"):
            tensor = first
            continue
        other = _neutral(net, operation, name)
        if other is None or net.size(other) != net.size(tensor):
            return tensor
        tensor = other


def _neutral(net: Net, operation: Any, name: str) -> int | None:
    """Return the operand that x · 1, x / 1, x + 0 or x − 0 hand on."""
    value = {"MUL": 1.0, "DIV": 1.0, "ADD": 0.0, "SUB": 0.0}.get(name)
    if value is None or getattr(operation.builtinOptions, "fusedActivationFunction", False):
        return None
    pairs = [(0, 1)] if name in ("DIV", "SUB") else [(0, 1), (1, 0)]
    for kept, fixed in pairs:
        held = net.constant(operation.inputs[fixed])
        if held is not None and (held == value).all():
            return int(operation.inputs[kept])
    return None


def _complement(net: Net, output: int) -> tuple[int, bool] | None:
    """Return p of a concatenation [1 − p, p], and whether it is the other way round."""
    operation = net.producer(_before_moves(net, output))
    if operation is None or net.op(operation) not in ("CONCATENATION", "PACK") or len(
            operation.inputs) != 2:
        return None
    parts = [_before_moves(net, t) for t in operation.inputs]
    for turned, (rest, p) in ((False, parts), (True, parts[::-1])):
        one = net.producer(rest)
        if one is None or net.op(one) != "SUB" or net.size(p) != 1:
            continue
        held = net.constant(one.inputs[0])
        if held is not None and (held == 1).all() and _before_moves(net, one.inputs[1]) == p:
            return p, turned
    return None


def by_value(net: Net, output: int, values: npt.NDArray[np.floating[Any]],
             declared: OutputKind | None) -> Head:
    """Return the head of an output that no operation explains, by its values.

    Args:
        net: the model.
        output: the scores.
        values: (n, K), what the model gives for images of any kind.
        declared: ``--output-kind``, which wins.

    Raises:
        BadInput: a single value that may be a probability or not, or a declaration that the values
            contradict.
    """
    width = values.shape[1]
    seen = kind_of(values)
    kind = declared or seen
    if kind is None:
        raise BadInput("its scores stay between 0 and 1, as probabilities do and logits may",
                       where=net.where, remedy="Say which: --output-kind logits" + (
                           " or probabilities." if width == 1 else
                           ", or export it without its last activation."))
    if declared == "probabilities" and (values.min() < -1e-6 or values.max() > 1 + 1e-6):
        raise BadInput(f"declared probabilities run from {values.min():.3g} to {values.max():.3g}",
                       where=net.where, remedy="Give --output-kind logits, or leave it out.")
    single = width == 1
    return Head(output, kind, None, (None, 0) if single else tuple(range(width)), single=single)


def kind_of(values: npt.NDArray[np.floating[Any]]) -> OutputKind | None:
    """Return what (n, K) values are; None where logits and probabilities look alike."""
    wide = values.astype(np.float64)
    inside = wide.min() >= -1e-6 and wide.max() <= 1 + 1e-6
    if values.shape[1] == 1:
        return None if inside else "logits"
    if inside and np.abs(wide.sum(axis=1) - 1).max() < _SUM_TOLERANCE:
        return "probabilities"
    with np.errstate(over="ignore"):
        sums = np.exp(wide).sum(axis=1)
    if wide.max() <= 1e-6 and np.abs(sums - 1).max() < _SUM_TOLERANCE:
        return "log-probabilities"
    return None if inside else "logits"


def normalise(net: Net, head: Head, order: tuple[int, ...], cam: int | None
              ) -> tuple[int, int | None, list[str]]:
    """Let the model end in logits (1, K); return them, the map and what was done, in words.

    Args:
        net: the model, edited in place.
        head: from :func:`find` or :func:`by_value`.
        order: for each class of the result its number in the model's order.
        cam: a class activation map (1, h, w, K) in the model's order, or None.
    """
    done, tensor = [], head.tensor
    rows = [head.rows[i] for i in order]
    if head.cut is not None:
        done.append(f"{head.cut} cut from the end")
    elif head.kind == "probabilities":
        tensor = _logarithm(net, tensor, head.single)
        rows = [i if head.single else head.rows[i] for i in order]
        done.append("probabilities turned into their logarithm")
    elif head.kind == "sigmoids":
        raise BadInput("one probability a class, and no operation to cut", where=net.where,
                       remedy="Export the model without its last activation.")
    if head.beta != 1.0:
        scaled = net.add_tensor("scaled_scores", net.shape(tensor))
        net.add_operation("MUL", [tensor, _number(net, "scaled_scores/beta", head.beta, tensor)],
                          [scaled], schema.MulOptionsT())
        tensor = scaled
    if head.single:
        done.append("one score z turned into (0, z)" if head.cut or head.kind == "logits"
                    else "one probability p turned into log(1 − p, p)")
    elif list(order) != sorted(order):
        done.append("scores put into the task's order of classes")
    tensor, cam = select_rows(net, tensor, rows, cam)
    tensor = row(net, tensor)
    net.graph.tensors[tensor].name = "logits"
    return tensor, cam, done


def _number(net: Net, name: str, value: float, beside: int) -> int:
    """Add a constant of one value, of the rank of the tensor that it meets: quantizers want it."""
    return net.add_constant(name, np.full((1,) * len(net.shape(beside)), value, np.float32))


def _logarithm(net: Net, tensor: int, single: bool) -> int:
    if single:
        rest = net.add_tensor("one_minus_p", net.shape(tensor))
        net.add_operation("SUB", [_number(net, "one", 1.0, tensor), tensor], [rest],
                          schema.SubOptionsT())
        both = net.add_tensor("probabilities", (*net.shape(tensor)[:-1], 2))
        options = schema.ConcatenationOptionsT()
        options.axis = len(net.shape(tensor)) - 1
        net.add_operation("CONCATENATION", [rest, tensor], [both], options)
        tensor = both
    shape = net.shape(tensor)
    above = net.add_tensor("positive_probabilities", shape)
    net.add_operation("MAXIMUM", [tensor, _number(net, "smallest", _SMALLEST, tensor)], [above],
                      schema.MaximumMinimumOptionsT())
    logs = net.add_tensor("log_probabilities", shape)
    net.add_operation("LOG", [above], [logs])
    return logs
