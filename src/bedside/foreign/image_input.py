"""The input: one image (1, H, W, C) in [0, 1], whatever layout, range and order a model takes."""

from __future__ import annotations

import ai_edge_litert.schema_py_generated as schema
import numpy as np
import numpy.typing as npt

from bedside.core.contract import Colour
from bedside.core.errors import BadInput
from bedside.foreign.linear import add_input, fold_input
from bedside.foreign.shapes import is_nchw
from bedside.foreign.tree import Net

Floats = npt.NDArray[np.float32]
MAX_SIDE_PX = 4096
_TO_LAST, _TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)


def layout_of(net: Net, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return height, width and channels of a model's input.

    Raises:
        BadInput: no single image of one or three channels.
    """
    if max(shape, default=0) > MAX_SIDE_PX:
        raise BadInput(f"the input's shape is {list(shape)}: more than {MAX_SIDE_PX} pixels a side",
                       where=net.where, remedy="Give a complete model of a smaller image.")
    if is_nchw(shape) and shape[0] == 1:
        return shape[2], shape[3], shape[1]
    if len(shape) == 3 and shape[0] == 1 and min(shape) > 0:
        return shape[1], shape[2], 1
    if len(shape) != 4 or shape[0] != 1 or min(shape) < 1 or shape[3] not in (1, 3):
        raise BadInput(f"the input's shape is {list(shape)}; (1, H, W, C) or (1, C, H, W) with C 1 "
                       "or 3 is needed", where=net.where,
                       remedy="Export it with a single image input and batch 1.")
    return shape[1], shape[2], shape[3]


def channel_map(input_range: tuple[float, float], mean: tuple[float, ...], std: tuple[float, ...],
                colour: Colour, channels: int) -> tuple[Floats, Floats]:
    """Return weights (C, C) and bias (C,) that take an RGB or grey pixel in [0, 1] to a model's.

    ``model[c] = (low + pixel[order[c]] · (high − low) − mean[c]) / std[c]``; c counts the model's
    channels.
    """
    low, high = input_range
    centre = np.broadcast_to(np.asarray(mean or (0.0,), np.float64), (channels,))
    spread = np.broadcast_to(np.asarray(std or (1.0,), np.float64), (channels,))
    order = np.arange(channels)[::-1] if colour == "bgr" else np.arange(channels)
    weights = np.zeros((channels, channels))
    weights[np.arange(channels), order] = (high - low) / spread
    return weights.astype(np.float32), ((low - centre) / spread).astype(np.float32)


def to_model(image: Floats, weights: Floats, bias: Floats, shape: tuple[int, ...]) -> Floats:
    """Return an image (1, H, W, C) in [0, 1] as the original model takes it, of ``shape``."""
    values = (image.astype(np.float64) @ weights.T.astype(np.float64) + bias).astype(np.float32)
    return values.transpose(_TO_FIRST) if is_nchw(shape) else values.reshape(shape)


def normalise(net: Net, shape: tuple[int, ...], weights: Floats, bias: Floats) -> list[str]:
    """Let the model take an image (1, H, W, C) float32 in [0, 1]; return what was done, in words.

    Args:
        net: the model, edited in place, its shapes pinned.
        shape: its input's shape.
        weights, bias: from :func:`channel_map`.
    """
    done = []
    image = net.graph.inputs[0]
    if net.dtype(image) != "float32":
        image = _without_cast(net, image)
        done.append("the cast of integer pixels removed")
    height, width, channels = layout_of(net, shape)
    wanted = (1, height, width, channels)
    if shape != wanted:
        image = _channels_last(net, image, wanted, is_nchw(shape))
        done.append(f"input {'×'.join(map(str, shape))} turned into {'×'.join(map(str, wanted))}")
    if not np.array_equal(weights, np.eye(channels, dtype=np.float32)) or bias.any():
        if fold_input(net, image, weights, bias):
            done.append("input range and colour order folded into the first convolution")
        else:
            image = add_input(net, image, weights, bias)
            done.append("input range and colour order put into a 1×1 convolution in front")
    net.graph.inputs = [image]
    net.graph.tensors[image].name = "serving_default_image"
    return done


def _without_cast(net: Net, image: int) -> int:
    """Return the float tensor that an integer image is cast to."""
    reader = net.only_consumer(image)
    if reader is None or net.op(reader) != "CAST" or net.dtype(reader.outputs[0]) != "float32":
        raise BadInput(f"the input's type is {net.dtype(image)}, which is not a float image",
                       where=net.where, remedy="Export the model with a float32 input.")
    net.remove(reader)
    return int(reader.outputs[0])


def _channels_last(net: Net, image: int, wanted: tuple[int, ...], nchw: bool) -> int:
    reader = net.only_consumer(image)
    if reader is not None and net.shape(reader.outputs[0]) == wanted and (
            (net.op(reader) == "RESHAPE" and wanted[3] == 1) or _turns(net, reader, _TO_LAST)):
        net.remove(reader)
        return int(reader.outputs[0])
    new = net.add_tensor("image", wanted)
    if nchw and wanted[3] > 1:
        net.add_operation("TRANSPOSE", [new, net.add_constant(
            "image/order", np.asarray(_TO_FIRST, np.int32))], [image],
            schema.TransposeOptionsT(), first=True)
    else:
        net.add_operation("RESHAPE", [new, net.add_constant(
            "image/shape", np.asarray(net.shape(image), np.int32))], [image],
            _reshape(net.shape(image)), first=True)
    return new


def _turns(net: Net, operation: object, order: tuple[int, ...]) -> bool:
    if net.op(operation) != "TRANSPOSE":
        return False
    held = net.constant(operation.inputs[1])  # type: ignore[attr-defined]
    return held is not None and tuple(int(v) for v in held) == order


def _reshape(shape: tuple[int, ...]) -> object:
    options = schema.ReshapeOptionsT()
    options.newShape = list(shape)
    return options
