"""Linear maps of channels, folded into a neighbouring layer where that is exact, else added.

What is added are 1×1 convolutions and fully connected layers: every target and quantizer takes
them.
"""

from __future__ import annotations

from typing import Any

import ai_edge_litert.schema_py_generated as schema
import numpy as np
import numpy.typing as npt

from bedside.foreign.tree import Net

Floats = npt.NDArray[np.float32]

_NONE = schema.ActivationFunctionType.NONE
_VALID = schema.Padding.VALID
# Between a layer and its scores: they move values without mixing channels.
_PASSES = frozenset({"RESHAPE", "SQUEEZE", "MEAN", "AVERAGE_POOL_2D"})


def fold_input(net: Net, image: int, weights: Floats, bias: Floats) -> bool:
    """Fold ``weights · channels + bias`` of the input into the convolutions that read it.

    Exact where the bias is zero (padding then stays zero) or the convolution pads nothing.

    Args:
        net: the model, edited in place.
        image: the input tensor, (1, H, W, C).
        weights: (C, C).
        bias: (C,).

    Returns:
        False where nothing was done.
    """
    readers = net.consumers(image)
    if not readers or image in net.graph.outputs:
        return False
    for operation in readers:
        if net.op(operation) != "CONV_2D" or net.constant(operation.inputs[1]) is None:
            return False
        if bias.any() and (operation.builtinOptions.padding != _VALID or len(operation.inputs) < 3
                           or net.constant(operation.inputs[2]) is None):
            return False
        if net.shape(operation.inputs[1])[3] != weights.shape[0]:  # grouped
            return False
    for operation in readers:
        kernel = _constant(net, operation.inputs[1])
        if bias.any():
            held = _constant(net, operation.inputs[2]).astype(np.float64)
            held += (kernel.astype(np.float64) @ bias.astype(np.float64)).sum(axis=(1, 2))
            operation.inputs[2] = net.add_constant(
                f"{net.name(operation.inputs[2])};input", held.astype(np.float32))
        moved = kernel.astype(np.float64) @ weights.astype(np.float64)
        operation.inputs[1] = _renamed(net, operation.inputs[1], moved.astype(np.float32))
    return True


def add_input(net: Net, image: int, weights: Floats, bias: Floats) -> int:
    """Put a 1×1 convolution before the tensor ``image``; return the new input."""
    new = net.add_tensor("image", net.shape(image))
    options = schema.Conv2DOptionsT()
    options.padding, options.strideH, options.strideW = _VALID, 1, 1
    options.dilationHFactor = options.dilationWFactor = 1
    options.fusedActivationFunction = _NONE
    net.add_operation("CONV_2D", [new, net.add_constant("input_range/kernel",
                                                        weights[:, None, None, :]),
                                  net.add_constant("input_range/bias", bias)],
                      [image], options, first=True)
    return new


def select_rows(net: Net, scores: int, rows: list[int | None], cam: int | None = None
                ) -> tuple[int, int | None]:
    """Return tensors whose channel i is channel ``rows[i]`` of ``scores`` and ``cam``, or zero.

    Args:
        net: the model, edited in place.
        scores: a tensor whose last dimension is the scores', all others 1.
        rows: for each new score the old one, or None for a constant zero.
        cam: a map (1, h, w, n) whose channels are the scores', or None.

    Returns:
        The new scores and the new map.
    """
    width = net.size(scores)
    if rows == list(range(width)):
        return scores, cam
    path = _path(net, scores, cam)
    if path is not None and (len(rows) == width or len(path) == 1):
        _select_in_layer(net, path[-1], rows)
        for operation in path:
            for output in operation.outputs:
                net.graph.tensors[output].shape[-1] = len(rows)
        if cam is not None and not any(cam in o.outputs for o in path):
            cam = _added(net, cam, rows)
        return scores, cam
    return (_added(net, row(net, scores), rows),
            None if cam is None else _added(net, cam, rows))


def row(net: Net, scores: int) -> int:
    """Return scores as (1, K), reshaped where they have another shape."""
    width = net.size(scores)
    if net.shape(scores) == (1, width):
        return scores
    reshaped = net.add_tensor("scores", (1, width))
    options = schema.ReshapeOptionsT()
    options.newShape = [1, width]
    net.add_operation("RESHAPE", [scores, net.add_constant(
        "scores/shape", np.asarray([1, width], np.int32))], [reshaped], options)
    return reshaped


def _path(net: Net, scores: int, cam: int | None) -> list[Any] | None:
    """Return operations from the scores back to the layer that makes them, or None.

    Every tensor on the way must be read by the next one alone (the map may also be an output).
    """
    path: list[Any] = []
    tensor = scores
    while True:
        operation = net.producer(tensor)
        if operation is None:
            return None
        if path and (net.consumers(tensor) != [path[-1]]
                     or (tensor in net.graph.outputs and tensor != cam)):
            return None
        path.append(operation)
        name = net.op(operation)
        if name in ("FULLY_CONNECTED", "CONV_2D"):
            return path if _selectable(net, operation) else None
        if name not in _PASSES or net.shape(operation.inputs[0])[-1:] != net.shape(tensor)[-1:]:
            return None
        tensor = operation.inputs[0]


def _selectable(net: Net, operation: Any) -> bool:
    options = operation.builtinOptions
    return (net.constant(operation.inputs[1]) is not None
            and getattr(options, "fusedActivationFunction", _NONE) == _NONE
            and (len(operation.inputs) < 3 or operation.inputs[2] < 0
                 or net.constant(operation.inputs[2]) is not None))


def _select_in_layer(net: Net, operation: Any, rows: list[int | None]) -> None:
    kernel = _constant(net, operation.inputs[1])
    operation.inputs[1] = _renamed(net, operation.inputs[1], _rows(kernel, rows))
    if len(operation.inputs) > 2 and operation.inputs[2] >= 0:
        bias = _constant(net, operation.inputs[2])
        operation.inputs[2] = net.add_constant(f"{net.name(operation.inputs[2])};classes",
                                               _rows(bias, rows))


def _constant(net: Net, tensor: int) -> Floats:
    values = net.constant(tensor)
    assert values is not None  # callers looked
    return values.astype(np.float32, copy=False)


def _renamed(net: Net, old: int, values: Floats) -> int:
    """Add a constant under the name of ``old``, which loses it: figures show layers by name."""
    new = net.add_constant(net.name(old), values)
    net.graph.tensors[old].name = f"{net.name(old)};before"
    return new


def _rows(values: Floats, rows: list[int | None]) -> Floats:
    taken = np.zeros((len(rows), *values.shape[1:]), np.float32)
    for new, old in enumerate(rows):
        if old is not None:
            taken[new] = values[old]
    return taken


def _added(net: Net, tensor: int, rows: list[int | None]) -> int:
    shape = net.shape(tensor)
    width = shape[-1]
    weights = _rows(np.eye(width, dtype=np.float32), rows)
    bias = np.zeros(len(rows), np.float32)
    new = net.add_tensor(f"{net.name(tensor)};classes", (*shape[:-1], len(rows)))
    if len(shape) == 4:
        options: Any = schema.Conv2DOptionsT()
        options.padding, options.strideH, options.strideW = _VALID, 1, 1
        options.dilationHFactor = options.dilationWFactor = 1
        kernel, op = weights[:, None, None, :], "CONV_2D"
    else:
        options = schema.FullyConnectedOptionsT()
        kernel, op = weights, "FULLY_CONNECTED"
    options.fusedActivationFunction = _NONE
    net.add_operation(op, [tensor, net.add_constant("classes/kernel", kernel),
                           net.add_constant("classes/bias", bias)], [new], options)
    return new
