"""Figure 1: the first convolution on a real patch of a real image, with the numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bedside.figures import inputs, pictures
from bedside.figures.base import FigureData, NotAvailable
from bedside.figures.inputs import Real
from bedside.runfolder import layout
from bedside.runtime.graph import Graph, Operation

SHOWN_FILTERS = 6
MAP_PX = 96
_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Window:
    """Where a convolution reads: stride and zero rows/columns put before the input."""

    stride: tuple[int, int]
    before: tuple[int, int]


def compute(run: Path, model: str) -> FigureData:
    """Arrays and facts of Figure 1.

    Arrays: ``image`` (H, W) uint8; ``pixels`` (kh, kw, C) uint8 or uint16 as stored, 0 where
    padded; ``patch`` (kh, kw, C) float32, what the layer reads; ``filters`` (n, kh, kw, C);
    ``products`` (kh, kw, C) for the first filter; ``maps`` (n, h, w), downsampled.

    Raises:
        NotAvailable: the first layer is not a plain convolution of the image.
    """
    variant = inputs.original_of(run, model)
    runner = inputs.Runner(run, variant)
    graph = runner.graph
    conv = graph.convolutions()[inputs.first_conv(graph)]
    if inputs.is_depthwise(graph, conv):
        raise NotAvailable("the first convolution is depthwise")
    with layout.pixel_store(run, variant.preprocess) as store:
        case = pictures.exemplar(run, store)
        stored, tensor = store.pixels(case.id), store.tensor(case.id)
    layer_in, out = runner.tensors(tensor, [conv.inputs[0], conv.outputs[0]])
    weights = inputs.filters(graph, conv)
    bias = _bias(graph, conv)
    order = _strongest(out[0])
    y, x = _brightest(out[0, :, :, order[0]], weights.shape[1])
    window, patch = find_window(layer_in[0], out[0], weights, bias, (y, x))
    products = patch * weights[order[0]]
    total = float(products.sum(dtype=np.float64))
    before = total + float(bias[order[0]])
    after = float(out[0, y, x, order[0]])
    top = y * window.stride[0] - window.before[0] - _padding(graph, conv)[0]
    left = x * window.stride[1] - window.before[1] - _padding(graph, conv)[1]
    kh, kw = weights.shape[1:3]
    return FigureData(
        {"image": pictures.to_grey(stored), "pixels": cut(stored, top, left, kh, kw),
         "patch": patch, "filters": weights[order].astype(np.float32),
         "products": products.astype(np.float32),
         "maps": shrink(np.moveaxis(out[0][:, :, order], 2, 0), MAP_PX)},
        {"model": model, "layer": graph.layer(conv), "case": case.id, "label": case.label,
         "patch_top_px": top, "patch_left_px": left, "stride": window.stride[0],
         "filters_total": weights.shape[0], "filters": order, "sum_of_products": total,
         "bias": float(bias[order[0]]), "before_activation": before, "output": after,
         "activation": activation_name(before, after), "output_row": y, "output_column": x,
         "peak": int(stored.max()), "input_shape": layer_in.shape[1:],
         "output_shape": out.shape[1:]})


def _bias(graph: Graph, conv: Operation) -> Real:
    if len(conv.inputs) > 2 and conv.inputs[2] >= 0:
        values = graph.real_constant(conv.inputs[2])
        if values is not None:
            return values.reshape(-1)
    return np.zeros(graph.tensors[conv.outputs[0]].shape[-1], np.float32)


def _padding(graph: Graph, conv: Operation) -> tuple[int, int]:
    """Rows and columns that a PAD operation puts before the image."""
    source = graph.producer(conv.inputs[0])
    if source is None or source.op not in ("PAD", "PADV2"):
        return 0, 0
    amounts = graph.constant(source.inputs[1])
    return (0, 0) if amounts is None else (int(amounts[1, 0]), int(amounts[2, 0]))


def _strongest(maps: Real) -> list[int]:
    """The filters whose maps vary most over the image, strongest first."""
    spread = maps.std(axis=(0, 1))
    return [int(i) for i in np.argsort(-spread, kind="stable")[:SHOWN_FILTERS]]


def _brightest(plane: Real, kernel: int) -> tuple[int, int]:
    """The strongest response that is away from the borders."""
    margin = min(kernel, (min(plane.shape) - 1) // 2)
    inner = plane[margin:plane.shape[0] - margin, margin:plane.shape[1] - margin]
    y, x = np.unravel_index(int(np.argmax(inner)), inner.shape)
    return int(y) + margin, int(x) + margin


def find_window(layer_in: Real, out: Real, weights: Real, bias: Real, at: tuple[int, int]
                ) -> tuple[Window, Real]:
    """Stride and padding by which the patch at ``at`` reproduces every channel of ``out``.

    The file's own numbers decide: a candidate whose dot products miss the layer's output is
    not it.

    Args:
        layer_in: (H, W, C). out: (h, w, O). weights: (O, kh, kw, C). bias: (O,).

    Returns:
        The window and the patch (kh, kw, C).

    Raises:
        NotAvailable: no stride from 1 to 4 and no padding explains the output.
    """
    kernel = (weights.shape[1], weights.shape[2])
    for stride in (1, 2, 3, 4):
        for same in (True, False):
            sizes = [_out_size(layer_in.shape[i], kernel[i], stride, same) for i in (0, 1)]
            if tuple(sizes) != out.shape[:2]:
                continue
            before = tuple(max((out.shape[i] - 1) * stride + kernel[i] - layer_in.shape[i], 0) // 2
                           if same else 0 for i in (0, 1))
            patch = cut(layer_in, at[0] * stride - before[0], at[1] * stride - before[1], *kernel)
            sums = np.tensordot(weights, patch, axes=3) + bias
            if explains(sums, out[at]):
                return Window((stride, stride), (before[0], before[1])), patch
    raise NotAvailable("the first convolution's window does not follow from its shapes "
                       "(dilated or grouped)")


def _out_size(size: int, kernel: int, stride: int, same: bool) -> int:
    return -(-size // stride) if same else (size - kernel) // stride + 1


def explains(sums: npt.NDArray[Any], output: npt.NDArray[Any]) -> bool:
    """Whether ``output`` is ``sums`` or a ReLU, ReLU6 or clipping of it."""
    tolerance = _TOLERANCE * max(1.0, float(np.abs(sums).max()))
    return any(np.allclose(np.clip(sums, low, high), output, atol=tolerance)
               for low, high in ((-np.inf, np.inf), (0, np.inf), (0, 6), (-1, 1)))


def activation_name(before: float, after: float) -> str:
    """What the layer did to the worked sum, as far as one number tells."""
    if abs(before - after) <= _TOLERANCE * max(1.0, abs(before)):
        return "unchanged by the activation"
    return "cut to 0 by ReLU" if after == 0 else f"clipped to {after:g} by the activation"


def cut(image: npt.NDArray[Any], top: int, left: int, height: int, width: int
        ) -> npt.NDArray[Any]:
    """A window of (H, W, C), zero outside the image."""
    window = np.zeros((height, width, image.shape[2]), image.dtype)
    rows = range(max(top, 0), min(top + height, image.shape[0]))
    columns = range(max(left, 0), min(left + width, image.shape[1]))
    if rows and columns:
        window[rows.start - top:rows.stop - top, columns.start - left:columns.stop - left] = (
            image[rows.start:rows.stop, columns.start:columns.stop])
    return window


def shrink(maps: npt.NDArray[Any], limit_px: int) -> Real:
    """Maps (n, h, w) averaged over whole blocks until no side exceeds ``limit_px``."""
    factor = -(-max(maps.shape[1:]) // limit_px)
    if factor <= 1:
        return maps.astype(np.float32)
    height, width = maps.shape[1] // factor, maps.shape[2] // factor
    blocks = maps[:, :height * factor, :width * factor].reshape(
        maps.shape[0], height, factor, width, factor)
    mean: Real = blocks.mean(axis=(2, 4)).astype(np.float32)
    return mean
