"""Figure 1: the first convolution on a patch of a real image, with its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch, Rectangle

from bedside.core.text import number
from bedside.figures import input_images, inputs, style
from bedside.figures.base import FigureData, NotAvailable, Reads
from bedside.figures.inputs import Real
from bedside.runfolder import stored
from bedside.runtime.graph import Graph, Operation

TITLE = "The first convolution (the paper's Figure 1)"
READS = Reads()
SHOWN_FILTERS = 6
MAP_PX = 96
_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Window:
    """Position that a convolution reads: stride, and zero rows and columns before the input."""

    stride: tuple[int, int]
    before: tuple[int, int]


def compute(run: Path, model: str) -> FigureData:
    """Compute the arrays and facts of Figure 1.

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
    with stored.pixel_store(run, variant.preprocess) as store:
        case = input_images.exemplar(run, store)
        saved, tensor = store.pixels(case.id), store.tensor(case.id)
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
        {"image": input_images.to_grey(saved), "pixels": cut(saved, top, left, kh, kw),
         "patch": patch, "filters": weights[order].astype(np.float32),
         "products": products.astype(np.float32),
         "maps": input_images.shrink(np.moveaxis(out[0][:, :, order], 2, 0), MAP_PX)},
        {"model": model, "layer": graph.layer(conv), "case": case.id, "label": case.label,
         "patch_top_px": top, "patch_left_px": left, "stride": window.stride[0],
         "filters_total": weights.shape[0], "filters": order, "sum_of_products": total,
         "bias": float(bias[order[0]]), "before_activation": before, "output": after,
         "activation": activation_name(before, after), "output_row": y, "output_column": x,
         "peak": int(saved.max()), "input_shape": layer_in.shape[1:],
         "output_shape": out.shape[1:]})


def _bias(graph: Graph, conv: Operation) -> Real:
    if len(conv.inputs) > 2 and conv.inputs[2] >= 0:
        values = graph.real_constant(conv.inputs[2])
        if values is not None:
            return values.reshape(-1)
    return np.zeros(graph.tensors[conv.outputs[0]].shape[-1], np.float32)


def _padding(graph: Graph, conv: Operation) -> tuple[int, int]:
    """Return the rows and columns that a PAD operation puts before the image."""
    source = graph.producer(conv.inputs[0])
    if source is None or source.op not in ("PAD", "PADV2"):
        return 0, 0
    amounts = graph.constant(source.inputs[1])
    return (0, 0) if amounts is None else (int(amounts[1, 0]), int(amounts[2, 0]))


def _strongest(maps: Real) -> list[int]:
    """Return the filters whose maps vary most over the image, strongest first."""
    spread = maps.std(axis=(0, 1))
    return [int(i) for i in np.argsort(-spread, kind="stable")[:SHOWN_FILTERS]]


def _brightest(plane: Real, kernel: int) -> tuple[int, int]:
    """Return the position of the strongest response away from the borders."""
    margin = min(kernel, (min(plane.shape) - 1) // 2)
    inner = plane[margin:plane.shape[0] - margin, margin:plane.shape[1] - margin]
    y, x = np.unravel_index(int(np.argmax(inner)), inner.shape)
    return int(y) + margin, int(x) + margin


def find_window(layer_in: Real, out: Real, weights: Real, bias: Real, at: tuple[int, int]
                ) -> tuple[Window, Real]:
    """Find the stride and padding by which the patch at ``at`` reproduces every channel of ``out``.

    A candidate whose dot products differ from the layer's output is rejected.

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
    """Return whether ``output`` equals ``sums``, or its ReLU, ReLU6 or clipping."""
    tolerance = _TOLERANCE * max(1.0, float(np.abs(sums).max()))
    return any(np.allclose(np.clip(sums, low, high), output, atol=tolerance)
               for low, high in ((-np.inf, np.inf), (0, np.inf), (0, 6), (-1, 1)))


def activation_name(before: float, after: float) -> str:
    """Name the activation that turns the worked sum into the output."""
    if abs(before - after) <= _TOLERANCE * max(1.0, abs(before)):
        return "unchanged by the activation"
    return "cut to 0 by ReLU" if after == 0 else f"clipped to {after:g} by the activation"


def cut(image: npt.NDArray[Any], top: int, left: int, height: int, width: int) -> npt.NDArray[Any]:
    """Cut a window from (H, W, C), zero outside the image."""
    window = np.zeros((height, width, image.shape[2]), image.dtype)
    rows = range(max(top, 0), min(top + height, image.shape[0]))
    columns = range(max(left, 0), min(left + width, image.shape[1]))
    if rows and columns:
        window[rows.start - top:rows.stop - top, columns.start - left:columns.stop - left] = (
            image[rows.start:rows.stop, columns.start:columns.stop])
    return window


# ------------------------------------------------------------------ drawing


def draw(data: FigureData) -> Figure:
    """Draw image and pixels × filter = products above, filters and their output maps below."""
    f, a = data.facts, data.arrays
    kernel = a["patch"].shape[0]
    figure = style.new_figure(5.9, layout=None)
    top, height = 0.6, 0.312
    width = height * 5.9 / style.WIDTH_IN
    lefts = [0.01 + i * (width + 0.05) for i in range(4)]
    image, pixels, weights, products = (figure.add_axes((x, top, width, height)) for x in lefts)
    _image(image, data)
    best = int(np.abs(a["products"]).sum(axis=(0, 1)).argmax())
    _numbers(pixels, a["pixels"][:, :, best].astype(float), "gray", zero=False)
    _numbers(weights, a["filters"][0, :, :, best], "RdBu_r")
    _numbers(products, a["products"][:, :, best], "RdBu_r")
    channel = "" if a["patch"].shape[2] == 1 else f", channel {best + 1} of {a['patch'].shape[2]}"
    image.set_title(f"{f['label']} test image", fontsize=9)
    pixels.set_title(f"{kernel}×{kernel} pixels (0–255){channel}", fontsize=9)
    weights.set_title(f"filter {f['filters'][0]}", fontsize=9)
    products.set_title(f"pixel ÷ {f['peak']} × weight", fontsize=9)
    for x, sign in ((lefts[2], "×"), (lefts[3], "=")):
        figure.text(x - 0.025, top + height / 2, sign, fontsize=16, ha="center", va="center")
    figure.text(lefts[3] + width, 0.535, _sum_text(data), ha="right", va="center", fontsize=9,
                bbox={"boxstyle": "round,pad=0.4", "fc": "#F4F4F4", "ec": "none"})
    for y in (0, kernel):
        line = ConnectionPatch((f["patch_left_px"] + kernel, f["patch_top_px"] + y),
                               (-0.5, y - 0.5), "data", "data", axesA=image, axesB=pixels,
                               color=style.MARK, lw=0.9)
        figure.add_artist(line)
    _filters_and_maps(figure, data)
    return figure


def _image(axes: Axes, data: FigureData) -> None:
    f = data.facts
    grey = data.arrays["image"]
    axes.imshow(grey, cmap="gray", vmin=0, vmax=255)
    style.bare(axes)
    size = data.arrays["patch"].shape[:2]
    axes.add_patch(Rectangle((f["patch_left_px"], f["patch_top_px"]), size[1], size[0],
                             fill=False, ec=style.MARK, lw=1.3))


def _numbers(axes: Axes, values: npt.NDArray[np.float64], colours: str, zero: bool = True) -> None:
    limit = float(np.abs(values).max()) or 1.0
    low, high = (-limit, limit) if zero else (0.0, 255.0 if limit <= 255 else limit)
    axes.imshow(values, cmap=colours, vmin=low, vmax=high)
    style.bare(axes)
    rows, columns = values.shape
    if max(rows, columns) > 9:
        return
    size = min(10.0, 50.0 / max(rows, columns))
    if not zero:
        size = min(10.0, 57.0 / max(rows, columns))
    for y in range(rows):
        for x in range(columns):
            dark = (abs(values[y, x]) > 0.62 * limit if zero else values[y, x] < 0.5 * high)
            text = f"{values[y, x]:.0f}" if not zero else _short(float(values[y, x]))
            axes.text(x, y, text, ha="center", va="center", fontsize=size,
                      color="white" if dark else style.INK)


def _short(value: float) -> str:
    """Format with two decimals and no leading zero: ``.07``, ``−.12``, ``0``."""
    text = f"{value:.2f}"
    if float(text) == 0:
        return "0"
    return text.replace("-", "−").replace("0.", ".", 1)


def _sum_text(data: FigureData) -> str:
    f = data.facts
    parts = data.arrays["products"].sum(axis=(0, 1))
    channels = (" (" + " + ".join(number(float(p)) for p in parts) + ")" if parts.size > 1 else "")
    total, bias = number(f["sum_of_products"], 4), number(f["bias"], 3)
    result = number(f["output"], 4)
    return (f"sum of the products{channels} {total}  +  bias {bias}  =  "
            f"{number(f['before_activation'], 4)}  →  output {result}  "
            f"({f['activation']})")


def _filters_and_maps(figure: Figure, data: FigureData) -> None:
    filters, maps = data.arrays["filters"], data.arrays["maps"]
    count = filters.shape[0]
    cell = 0.98 / count
    side = cell * 0.94
    height = side * style.WIDTH_IN / 5.9
    best = int(np.abs(data.arrays["products"]).sum(axis=(0, 1)).argmax())
    limit = float(np.abs(filters[..., best]).max()) or 1.0
    for i in range(count):
        left = 0.01 + i * cell
        small = figure.add_axes((left, 0.375, side * 0.36, height * 0.36))
        small.imshow(filters[i, :, :, best], cmap="RdBu_r", vmin=-limit, vmax=limit)
        style.bare(small)
        figure.text(left + side * 0.42, 0.375 + height * 0.18,
                    f"filter {data.facts['filters'][i]}", va="center", fontsize=8)
        large = figure.add_axes((left, 0.075, side, height * maps.shape[1] / maps.shape[2]))
        large.imshow(maps[i], cmap="gray")
        style.bare(large)
        if i == 0:
            shape = data.facts["output_shape"]
            scale = (maps.shape[2] / shape[1], maps.shape[1] / shape[0])
            large.plot((data.facts["output_column"] + 0.5) * scale[0] - 0.5,
                       (data.facts["output_row"] + 0.5) * scale[1] - 0.5, "s", ms=6,
                       mfc="none", mec=style.MARK, mew=1.3)
    shape = "×".join(str(v) for v in data.facts["output_shape"])
    figure.text(0.01, 0.025, f"Output feature maps of the {count} filters with the most varied "
                f"output, of {data.facts['filters_total']}; the layer's output is {shape}, "
                f"stride {data.facts['stride']}.", fontsize=8, color=style.QUIET)


def caption(data: FigureData) -> str:
    """State the result, with the figure's own numbers."""
    f, patch = data.facts, data.arrays["patch"].shape
    return (f"The first convolution ({f['layer']}) of {f['model']} on {patch[0]}×{patch[1]} pixels "
            f"of a {f['label']} image (the paper's Figure 1). Pixels times weights sum to "
            f"{number(f['sum_of_products'], 4)}, or {number(f['before_activation'], 4)} with the "
            f"bias; the file's own output at this position is {number(f['output'], 4)} "
            f"({f['activation']}). Each of the {f['filters_total']} filters gives one feature map; "
            "the red square marks the worked output.")
