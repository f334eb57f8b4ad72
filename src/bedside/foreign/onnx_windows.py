"""Convolutions and pools of ONNX: windows that slide over height and width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ai_edge_litert.schema_py_generated as schema
import numpy as np

from bedside.foreign.onnx_graph import LAST, Conversion, Node, Value
from bedside.runtime.graph import same_padding

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Window:
    """A sliding window: its output's sides, and its padding (begin, end) of height and width."""

    kernel: Pair
    stride: Pair
    dilation: Pair
    size: Pair
    out: Pair
    pads: tuple[Pair, Pair]

    @property
    def is_same(self) -> bool:
        """Whether the padding is what LiteRT calls SAME."""
        return all(p == same_padding(n, (k - 1) * d + 1, s) and o == -(-n // s)
                   for p, n, k, d, s, o in zip(self.pads, self.size, self.kernel, self.dilation,
                                               self.stride, self.out, strict=True))


def window(c: Conversion, node: Node, value: Value, kernel: Sequence[int]) -> Window:
    """Return the window of a convolution or pool (ONNX, Conv and MaxPool: shape formulas)."""
    if len(value.shape) != 4 or len(kernel) != 2:
        raise c.fault(node, f"works on {len(value.shape) - 2} dimensions; images have 2")
    given = node.attributes
    stride = _pair(given.get("strides", (1, 1)))
    dilation = _pair(given.get("dilations", (1, 1)))
    pads, auto = [int(v) for v in given.get("pads", (0, 0, 0, 0))], given.get("auto_pad", b"NOTSET")
    auto = auto.decode() if isinstance(auto, bytes) else str(auto)
    size, found, out = _pair(value.shape[2:]), [], []
    for axis in (0, 1):
        span = (int(kernel[axis]) - 1) * dilation[axis] + 1
        begin, end = pads[axis], pads[axis + 2]
        if auto.startswith("SAME"):
            begin, end = same_padding(size[axis], span, stride[axis])
            if auto == "SAME_LOWER":
                begin, end = end, begin
        elif auto == "VALID":
            begin, end = 0, 0
        room = size[axis] + begin + end - span
        count = room // stride[axis] + 1
        if given.get("ceil_mode", 0) and room % stride[axis]:
            # A last window that starts in the padding is left out, as in PyTorch.
            if count * stride[axis] < size[axis] + begin:
                count += 1
            end = max(end, (count - 1) * stride[axis] + span - size[axis] - begin)
        if room < 0 or begin < 0 or end < 0:
            raise c.fault(node, f"has a window of {span} on {size[axis]} pixels")
        found.append((begin, end))
        out.append(count)
    return Window(_pair(kernel), stride, dilation, size, _pair(out), (found[0], found[1]))


def _pair(values: Sequence[int]) -> Pair:
    return int(values[0]), int(values[1])


def _padded(c: Conversion, node: Node, tensor: int, w: Window, low: bool = False
            ) -> tuple[int, int]:
    """Return the tensor to slide over, padded where LiteRT's own padding differs, and the kind.

    ``low``: pad with the lowest number instead of zero.
    """
    if w.is_same and any(w.pads[0] + w.pads[1]):
        return tensor, int(schema.Padding.SAME)
    # Pixels at the end that no window reaches are not padded.
    used = [(o - 1) * s + (k - 1) * d + 1 for o, s, k, d in
            zip(w.out, w.stride, w.kernel, w.dilation, strict=True)]
    pads = [(b, max(0, min(e, u - b - n))) for (b, e), u, n in
            zip(w.pads, used, w.size, strict=True)]
    if not any(pads[0] + pads[1]):
        return tensor, int(schema.Padding.VALID)
    name = f"{node.label}_padded"
    pairs = np.array([(0, 0), *pads, (0, 0)], np.int32)
    inputs = [tensor, c.writer.constant(f"{name}_pads", pairs)]
    shape = [int(n + p.sum()) for n, p in zip(c.writer.shape(tensor), pairs, strict=True)]
    if low and not c.writer.is_rectified(tensor):
        inputs.append(c.writer.constant(f"{name}_value", np.array(-np.inf, np.float32)))
        padded = c.writer.operation("PADV2", inputs, name, shape, schema.PadV2OptionsT())
    else:  # below a ReLU zero is the lowest number
        padded = c.writer.operation("PAD", inputs, name, shape, schema.PadOptionsT())
    return padded, int(schema.Padding.VALID)


def conv(c: Conversion, node: Node) -> None:
    """Convert Conv: dense, grouped or depthwise."""
    value, weights = c.value(node), c.constant(node, 1)
    if weights.ndim != 4 or len(value.shape) != 4:
        raise c.fault(node, f"works on {weights.ndim - 2} dimensions; images have 2")
    groups, channels = int(node.attributes.get("group", 1)), value.shape[1]
    if weights.shape[1] * groups != channels or weights.shape[0] % groups:
        raise c.fault(node, f"has weights of {list(weights.shape)} in {groups} groups for "
                            f"{channels} channels", "Export the model again.")
    w = window(c, node, value, weights.shape[2:])
    depthwise = groups == channels and groups > 1
    tensor, padding = _padded(c, node, c.laid(value, LAST), w)
    options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
    if depthwise:
        options.depthMultiplier = weights.shape[0] // channels
    _slide(options, padding, w)
    options.dilationHFactor, options.dilationWFactor = w.dilation
    bias = (c.constant(node, 2) if c.given(node, 2)
            else np.zeros(weights.shape[0], np.float32))
    # ONNX: (O, I ÷ groups, H, W); LiteRT: (O, H, W, I ÷ groups), depthwise (1, H, W, O).
    stored = weights.transpose((1, 2, 3, 0) if depthwise else LAST)
    inputs = [tensor, c.writer.constant(f"{node.label}.weight", stored.astype(np.float32)),
              c.writer.constant(f"{node.label}.bias", bias.astype(np.float32))]
    _publish(c, node, "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", inputs, w,
             weights.shape[0], options)


def pool(c: Conversion, node: Node) -> None:
    """Convert MaxPool and AveragePool."""
    value = c.value(node)
    w = window(c, node, value, node.attributes["kernel_shape"])
    if w.dilation != (1, 1) or len([o for o in node.outputs if o]) > 1:
        raise c.fault(node, "has dilations or returns indices")
    average = node.op == "AveragePool"
    padded = any(w.pads[0] + w.pads[1])
    counts = bool(node.attributes.get("count_include_pad", 0))
    if average and padded and not counts and not w.is_same:
        raise c.fault(node, "averages over an uneven padding",
                      "Set count_include_pad, or pad evenly.")
    if average and padded and counts and node.attributes.get("ceil_mode", 0):
        raise c.fault(node, "averages over padding with ceil_mode", "Export it without ceil_mode.")
    tensor = c.laid(value, LAST)
    if average and padded and counts:  # LiteRT's SAME leaves the padding out of the mean
        tensor = _explicit(c, node, tensor, w)
        padding = int(schema.Padding.VALID)
    else:
        tensor, padding = _padded(c, node, tensor, w, low=not average)
    options = schema.Pool2DOptionsT()
    _slide(options, padding, w)
    options.filterHeight, options.filterWidth = w.kernel
    _publish(c, node, "AVERAGE_POOL_2D" if average else "MAX_POOL_2D", [tensor], w,
             value.shape[1], options)


def _explicit(c: Conversion, node: Node, tensor: int, w: Window) -> int:
    pairs = np.array([(0, 0), *w.pads, (0, 0)], np.int32)
    name = f"{node.label}_padded"
    shape = [int(n + p.sum()) for n, p in zip(c.writer.shape(tensor), pairs, strict=True)]
    return c.writer.operation("PAD", [tensor, c.writer.constant(f"{name}_pads", pairs)], name,
                              shape, schema.PadOptionsT())


def mean(c: Conversion, node: Node) -> None:
    """Convert GlobalAveragePool and ReduceMean; over height and width they are a pool."""
    value = c.value(node)
    rank = len(value.shape)
    if node.op == "GlobalAveragePool":
        axes, keep = list(range(2, rank)), True
    else:
        axes = [a % rank for a in c.numbers(node, "axes", 1) or range(rank)]
        keep = bool(node.attributes.get("keepdims", 1))
    kept = tuple(1 if a in axes else n for a, n in enumerate(value.shape))
    if rank == 4 and sorted(axes) == [2, 3]:
        options = schema.Pool2DOptionsT()
        options.padding = schema.Padding.VALID
        options.filterHeight, options.filterWidth = value.shape[2:]
        options.strideH = options.strideW = 1
        made = c.writer.operation("AVERAGE_POOL_2D", [c.laid(value, LAST)], node.outputs[0],
                                  (1, 1, 1, value.shape[1]), options)
        found = Value(made, kept, LAST, (node.outputs[0],))
    else:
        reducer = schema.ReducerOptionsT()
        reducer.keepDims = True
        places = np.array(sorted(value.order.index(a) for a in axes), np.int32)
        made = c.writer.operation(
            "MEAN", [value.tensor, c.writer.constant(f"{node.label}_axes", places)],
            node.outputs[0], [kept[a] for a in value.order], reducer)
        found = Value(made, kept, value.order, (node.outputs[0],))
    if keep:
        c.publish(node, found.tensor, found.shape, found.order)
    else:
        c.reshaped(node, found, [n for a, n in enumerate(value.shape) if a not in axes])


def _slide(options: Any, padding: int, w: Window) -> None:
    options.padding = padding
    options.strideH, options.strideW = w.stride


def _publish(c: Conversion, node: Node, kind: str, inputs: list[int], w: Window, channels: int,
             options: Any) -> None:
    made = c.writer.operation(kind, inputs, node.outputs[0], (1, *w.out, channels), options)
    c.publish(node, made, (1, channels, *w.out), LAST)

