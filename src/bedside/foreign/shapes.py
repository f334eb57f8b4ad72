"""Open dimensions pinned to one image, and constants computed once instead of at each run."""

from __future__ import annotations

from typing import Any

import numpy as np

from bedside.core.errors import BadInput
from bedside.foreign.tree import Net
from bedside.runtime.litert import RawModel


def open_dimensions(net: Net) -> tuple[int, ...]:
    """Return the input's shape with -1 where the file leaves a dimension open."""
    item = net.graph.tensors[net.graph.inputs[0]]
    signature = item.shapeSignature
    if signature is None or len(signature) != len(item.shape):
        return tuple(item.shape)
    return tuple(int(v) for v in signature)


def pinned_shape(net: Net, image_px: tuple[int, int] | None) -> tuple[int, ...]:
    """Return the input's shape for one image.

    Args:
        net: the model.
        image_px: height and width, for a file that leaves them open.

    Raises:
        BadInput: height and width are open and not given, or given and others than the file's.
    """
    shape = list(open_dimensions(net))
    if len(shape) == 4:
        shape[0] = 1
    nchw = is_nchw(tuple(shape))
    sides = slice(2, 4) if nchw else slice(1, 3)
    if len(shape) == 4 and -1 in shape[sides]:
        if image_px is None:
            raise BadInput("the model leaves height and width of its input open", where=net.where,
                           remedy="Give them, as --image-size 224,224.")
        shape[sides] = [g if s == -1 else s
                        for s, g in zip(shape[sides], image_px, strict=True)]
    if image_px is not None and len(shape) == 4 and tuple(shape[sides]) != image_px:
        raise BadInput(f"--image-size gives {image_px[0]}×{image_px[1]}; the model takes "
                       f"{shape[sides][0]}×{shape[sides][1]}", where=net.where,
                       remedy="Leave --image-size out.")
    if -1 in shape:
        # A single open dimension beside known ones: channels, or a shape without a batch.
        raise BadInput(f"the input's shape is {list(open_dimensions(net))}; (1, H, W, C) is needed",
                       where=net.where, remedy="Export it with a fixed number of channels.")
    return tuple(shape)


def is_nchw(shape: tuple[int, ...]) -> bool:
    """Return whether a shape of four is channels first: one or three there, and not last."""
    return len(shape) == 4 and shape[1] in (1, 3) and shape[3] not in (1, 3)


def fix(net: Net, shape: tuple[int, ...]) -> list[str]:
    """Pin every dimension and compute constants; return what was done, in words.

    Args:
        net: the model, edited in place.
        shape: the input's, from :func:`pinned_shape`.

    Raises:
        BadInput: the model does not run with this shape.
    """
    done = []
    halves = _unpack_halves(net)
    if halves:
        done.append(f"{halves} float16 weights unpacked to float32")
    image = net.graph.inputs[0]
    opened = [t for t in net.graph.tensors if t.shapeSignature is not None
              and (np.asarray(t.shapeSignature) < 0).any()]
    foldable = _foldable(net)
    if not opened and not foldable and tuple(net.graph.tensors[image].shape) == shape:
        return done
    model = _run_once(net, shape)
    if opened or tuple(net.graph.tensors[image].shape) != shape:
        done.append(f"open dimensions pinned to an input of {_words(shape)}")
    for index, tensor in enumerate(net.graph.tensors):
        found = model.shape(index)
        if found is not None and net.constant(index) is None:
            tensor.shape = list(found)
        tensor.shapeSignature = None
    for operation in foldable:
        for output in operation.outputs:
            net.set_constant(output, model.tensor(output))
        net.remove(operation)
    if foldable:
        done.append(f"{len(foldable)} operations on constants computed once")
    return done


def _words(shape: tuple[int, ...]) -> str:
    return "×".join(str(v) for v in shape)


def _unpack_halves(net: Net) -> int:
    """Turn float16 constants behind DEQUANTIZE into float32 ones; return how many."""
    done = 0
    for operation in list(net.operations):
        if net.op(operation) != "DEQUANTIZE" or net.dtype(operation.inputs[0]) != "float16":
            continue
        values = net.constant(operation.inputs[0])
        if values is None:
            continue
        net.set_constant(operation.outputs[0], values.astype(np.float32))
        net.remove(operation)
        done += 1
    return done


def _foldable(net: Net) -> list[Any]:
    """Return operations whose result is known before any image: of constants, or of a shape."""
    known = {i for i in range(len(net.graph.tensors)) if net.constant(i) is not None}
    found = []
    for operation in net.operations:
        inputs = [t for t in operation.inputs if t >= 0]
        fixed = bool(inputs) and all(t in known for t in inputs)
        if (fixed or net.op(operation) == "SHAPE") and not (
                set(operation.outputs) & set(net.graph.outputs)):
            found.append(operation)
            known |= set(operation.outputs)
    return found


def _run_once(net: Net, shape: tuple[int, ...]) -> RawModel:
    """Return the model after one run on zeros, with every tensor readable."""
    image = net.graph.inputs[0]
    model = RawModel(net.content(), net.where, shape, preserve_all=True)
    model.feed(np.zeros(shape, net.dtype(image)))
    return model
