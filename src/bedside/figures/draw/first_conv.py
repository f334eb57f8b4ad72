"""Figure 1: the first convolution on a real patch, one dot product worked out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch, Rectangle

from bedside.figures import style
from bedside.figures.base import FigureData


def draw(data: FigureData) -> Figure:
    """Above: image, pixels × filter = products. Below: filters and their output maps."""
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
    picture = data.arrays["image"]
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255)
    style.bare(axes)
    size = data.arrays["patch"].shape[:2]
    axes.add_patch(Rectangle((f["patch_left_px"], f["patch_top_px"]), size[1], size[0],
                             fill=False, ec=style.MARK, lw=1.3))


def _numbers(axes: Axes, values: npt.NDArray[np.float64], colours: str,
             zero: bool = True) -> None:
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
            dark = (abs(values[y, x]) > 0.62 * limit if zero
                    else values[y, x] < 0.5 * high)
            text = f"{values[y, x]:.0f}" if not zero else _short(float(values[y, x]))
            axes.text(x, y, text, ha="center", va="center", fontsize=size,
                      color="white" if dark else style.INK)


def _short(value: float) -> str:
    """Two digits after the point and no zero before it: ``.07``, ``−.12``, ``0``."""
    text = f"{value:.2f}"
    if float(text) == 0:
        return "0"
    return text.replace("-", "−").replace("0.", ".", 1)


def _sum_text(data: FigureData) -> str:
    f = data.facts
    parts = data.arrays["products"].sum(axis=(0, 1))
    channels = (" (" + " + ".join(style.number(float(p)) for p in parts) + ")"
                if parts.size > 1 else "")
    total, bias = style.number(f["sum_of_products"], 4), style.number(f["bias"], 3)
    result = style.number(f["output"], 4)
    return (f"sum of the products{channels} {total}  +  bias {bias}  =  "
            f"{style.number(f['before_activation'], 4)}  →  output {result}  "
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
    """What to see."""
    f, patch = data.facts, data.arrays["patch"].shape
    return (f"The first convolution ({f['layer']}) of {f['model']} on {patch[0]}×{patch[1]} real "
            f"pixels of a {f['label']} image (the paper's Figure 1). Pixels times weights add up "
            f"to {style.number(f['sum_of_products'], 4)}, with the bias "
            f"{style.number(f['before_activation'], 4)}; the file's own output at that place is "
            f"{style.number(f['output'], 4)} ({f['activation']}). Each of the "
            f"{f['filters_total']} filters slid over the image makes one feature map; the red "
            "square marks the worked output.")
