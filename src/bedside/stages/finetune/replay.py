"""Fake-quantized replay of a float ``.tflite`` in torch, rounding as its INT8 file does.

The graph itself is replayed, so batch norm is folded already, models trained elsewhere can be
fine-tuned too, and trained weights go back into the file they came from. Scales and zero points
of activations are read from the INT8 file and stay fixed; weights are symmetric with a scale
for each filter, found anew from the weights at every step. Rounding passes gradients unchanged
inside the range and stops them outside (straight-through estimator: Bengio et al. 2013;
quantization in training: Jacob et al. 2018, section 3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from bedside.core.errors import Unquantizable
from bedside.runtime.graph import Graph, Operation, same_padding

LAYERS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})
_SAME = 0
_STEPS = 127


@dataclass(frozen=True)
class Grid:
    """Quantization grid of an int8 tensor: values ``step`` apart, from ``low`` to ``high``."""

    step: float
    low: float
    high: float

    def round(self, x: Tensor) -> Tensor:
        """Return the nearest value of the grid, with a straight-through gradient."""
        inside = x.clamp(self.low, self.high)
        return inside + (torch.round(inside / self.step) * self.step - inside).detach()


def grids(quantized: Graph) -> dict[str, Grid]:
    """Return the grid of every int8 activation of an INT8 model, by tensor name."""
    found = {}
    for tensor in quantized.tensors:
        q = tensor.quantization
        if tensor.dtype == "int8" and q is not None and q.scales.size == 1 and not tensor.buffer:
            step, zero = float(q.scales[0]), int(q.zero_points[0])
            found[tensor.name.removesuffix("_quantized")] = Grid(
                step, (-128 - zero) * step, (127 - zero) * step)
    return found


def rounded_weights(quantized: Graph) -> frozenset[str]:
    """Return names of the weights that are int8 in an INT8 model."""
    return frozenset(quantized.tensors[o.inputs[1]].name for o in quantized.operations
                     if o.op in LAYERS and quantized.tensors[o.inputs[1]].dtype == "int8")


def filter_axis(operation: Operation) -> int:
    """Return the dimension of a layer's weights that counts its filters."""
    return 3 if operation.op == "DEPTHWISE_CONV_2D" else 0


def round_filters(weights: Tensor, axis: int) -> Tensor:
    """Return weights rounded to symmetric int8 with a scale for each filter."""
    others = [d for d in range(weights.ndim) if d != axis]
    scale = weights.detach().abs().amax(others, keepdim=True).clamp_min(1e-30) / _STEPS
    return weights + (torch.round(weights / scale) * scale - weights).detach()


def check(graph: Graph, where: str) -> None:
    """Refuse operations that :func:`run` does not know, before any work. Raises BadInput."""
    for operation in graph.operations:
        if operation.op not in _OPERATIONS:
            raise Unquantizable(f"the operation {operation.op} cannot be fine-tuned", where=where,
                                remedy="Leave the option +qat out; +equalized and bedside search "
                                       "work with any operation.")


def run(graph: Graph, parameters: Mapping[int, Tensor], images: Tensor,
        activations: Mapping[str, Grid], weights: frozenset[str]) -> dict[int, Tensor]:
    """Return every tensor of a graph for a batch.

    Args:
        graph: the float model.
        parameters: weights and biases by tensor index, in the file's layout.
        images: (N, H, W, C) float32.
        activations: grids by tensor name; a tensor without one stays as it is.
        weights: names of the weights to round.

    Returns:
        Tensors by index; those of four dimensions are (N, C, H, W).
    """
    values: dict[int, Tensor] = {graph.inputs[0]: images.permute(0, 3, 1, 2)}

    def keep(index: int, x: Tensor) -> None:
        grid = activations.get(graph.tensors[index].name)
        values[index] = x if grid is None else grid.round(x)

    keep(graph.inputs[0], values[graph.inputs[0]])
    for operation in graph.operations:
        own = {i: parameters[i] for i in operation.inputs if i in parameters}
        if operation.op in LAYERS and graph.tensors[operation.inputs[1]].name in weights:
            own[operation.inputs[1]] = round_filters(own[operation.inputs[1]],
                                                     filter_axis(operation))
        keep(operation.outputs[0], _OPERATIONS[operation.op](graph, operation, values, own))
    return values


# ------------------------------------------------------------------ operations


_Values = Mapping[int, Tensor]


def _activated(graph: Graph, operation: Operation, x: Tensor) -> Tensor:
    name = graph.activation(operation)
    if name not in ("NONE", "RELU", "RELU6"):
        raise Unquantizable(f"the activation {name} cannot be fine-tuned",
                            where=graph.layer(operation), remedy="Leave the option +qat out.")
    return x if name == "NONE" else F.relu(x) if name == "RELU" else F.relu6(x)


def _padded(x: Tensor, kernel: tuple[int, int], stride: tuple[int, int], same: bool,
            value: float = 0.0) -> Tensor:
    if not same:
        return x
    (top, bottom), (left, right) = (
        same_padding(x.shape[2 + i], kernel[i], stride[i]) for i in (0, 1))
    return F.pad(x, (left, right, top, bottom), value=value) if top + bottom + left + right else x


def _bias(operation: Operation, own: _Values) -> Tensor | None:
    return own.get(operation.inputs[2]) if len(operation.inputs) > 2 else None


def _convolution(graph: Graph, operation: Operation, values: _Values, own: _Values) -> Tensor:
    options, x = graph.options(operation), values[operation.inputs[0]]
    stride = (int(options.StrideH()), int(options.StrideW()))
    dilation = (int(options.DilationHFactor()), int(options.DilationWFactor()))
    given = own[operation.inputs[1]]
    deep = operation.op == "DEPTHWISE_CONV_2D"
    weights = given.permute(3, 0, 1, 2) if deep else given.permute(0, 3, 1, 2)
    kernel = (dilation[0] * (weights.shape[2] - 1) + 1, dilation[1] * (weights.shape[3] - 1) + 1)
    x = _padded(x, kernel, stride, options.Padding() == _SAME)
    y = F.conv2d(x, weights, _bias(operation, own), stride, 0, dilation,
                 x.shape[1] if deep else x.shape[1] // weights.shape[1])
    return _activated(graph, operation, y)


def _dense(graph: Graph, operation: Operation, values: _Values, own: _Values) -> Tensor:
    x = values[operation.inputs[0]].flatten(1)
    return _activated(graph, operation,
                      F.linear(x, own[operation.inputs[1]], _bias(operation, own)))


def _pool(graph: Graph, operation: Operation, values: _Values, own: _Values) -> Tensor:
    del own
    options, x = graph.options(operation), values[operation.inputs[0]]
    kernel = (int(options.FilterHeight()), int(options.FilterWidth()))
    stride = (int(options.StrideH()), int(options.StrideW()))
    same = options.Padding() == _SAME
    if operation.op == "MAX_POOL_2D":
        y = F.max_pool2d(_padded(x, kernel, stride, same, -np.inf), kernel, stride)
    else:
        # The mean of a window at a border is over the pixels inside the map.
        ones = _padded(torch.ones_like(x[:1, :1]), kernel, stride, same)
        y = F.avg_pool2d(_padded(x, kernel, stride, same), kernel, stride) / F.avg_pool2d(
            ones, kernel, stride)
    return _activated(graph, operation, y)


def _add(graph: Graph, operation: Operation, values: _Values, own: _Values) -> Tensor:
    a, b = (values[i] if i in values else _shaped(graph, i, own) for i in operation.inputs)
    return _activated(graph, operation, a + b)


def _shaped(graph: Graph, index: int, own: _Values) -> Tensor:
    given = own[index]
    return given.permute(0, 3, 1, 2) if given.ndim == 4 else given.reshape(1, -1, 1, 1)


def _pad(graph: Graph, operation: Operation, values: _Values, own: _Values) -> Tensor:
    del own
    ends = graph.constant(operation.inputs[1])
    assert ends is not None
    return F.pad(values[operation.inputs[0]], [int(v) for row in (2, 1, 3) for v in ends[row]])


def _concat(graph: Graph, operation: Operation, values: _Values, own: _Values) -> Tensor:
    del own
    parts = [values[i] for i in operation.inputs]
    # In an INT8 file the parts share the grid of the whole.
    return _activated(graph, operation, torch.cat(parts, 1))


def _reshape(graph: Graph, operation: Operation, values: _Values, own: _Values) -> Tensor:
    del own
    x, shape = values[operation.inputs[0]], graph.tensors[operation.outputs[0]].shape
    flat = x.permute(0, 2, 3, 1) if x.ndim == 4 else x
    y = flat.reshape(x.shape[0], *shape[1:])
    return y.permute(0, 3, 1, 2) if y.ndim == 4 else y


def _mean(graph: Graph, operation: Operation, values: _Values, own: _Values) -> Tensor:
    del own
    axes = graph.constant(operation.inputs[1])
    if axes is None or sorted(int(a) for a in axes.ravel()) != [1, 2]:
        raise Unquantizable("a mean over other axes than height and width cannot be fine-tuned",
                            where=graph.layer(operation), remedy="Leave the option +qat out.")
    keeps = len(graph.tensors[operation.outputs[0]].shape) == 4
    return values[operation.inputs[0]].mean((2, 3), keepdim=keeps)


def _relu(graph: Graph, operation: Operation, values: _Values, own: _Values) -> Tensor:
    del graph, own
    x = values[operation.inputs[0]]
    return F.relu(x) if operation.op == "RELU" else F.relu6(x)


_OPERATIONS: dict[str, Callable[[Graph, Operation, _Values, _Values], Tensor]] = {
    "CONV_2D": _convolution, "DEPTHWISE_CONV_2D": _convolution, "FULLY_CONNECTED": _dense,
    "MAX_POOL_2D": _pool, "AVERAGE_POOL_2D": _pool, "ADD": _add, "PAD": _pad,
    "CONCATENATION": _concat, "RESHAPE": _reshape, "MEAN": _mean, "RELU": _relu, "RELU6": _relu,
}
