"""Figure 7: feature maps and filters of the first and last convolution."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bedside.figures import style
from bedside.figures.base import FigureData

_COLUMNS = 4
_HEIGHT = 7.9


def draw(data: FigureData) -> Figure:
    """Left the first, right the last convolution; maps above, filters below; original over
    quantized, the largest differences in red boxes.
    """
    figure = style.new_figure(_HEIGHT, layout=None)
    for side, name in enumerate(("first", "last")):
        _block(figure, data, name, 0.045 + 0.495 * side)
    shown = style.short_name(data.facts["shown"])
    for y, label in ((0.845, "FP32"), (0.63, shown), (0.375, "FP32"), (0.16, shown)):
        for left in (0.032, 0.527):
            figure.text(left, y, label, rotation=90, ha="center", va="center", fontsize=8.5,
                        weight="bold", color=style.scheme_colour(
                            "float32" if label == "FP32" else data.facts["shown"]))
    return figure


def _block(figure: Figure, data: FigureData, name: str, left: float) -> None:
    facts = data.facts["layers"][name]
    row = facts["schemes"][data.facts["shown"]]
    shape = "×".join(str(v) for v in facts["shape"])
    figure.text(left, 0.972, f"{name.capitalize()} convolution", fontsize=10, weight="bold")
    figure.text(left + 0.175, 0.972, f"{style.layer_name(facts['layer'], 24)}, {shape}",
                fontsize=8, color=style.QUIET)
    figure.text(left, 0.951, f"feature maps: SQNR {_db(row['maps_sqnr_db'])}, largest difference "
                f"{style.number(row['maps_max_abs_difference'], 2)}", fontsize=8)
    figure.text(left, 0.482, f"filters: SQNR {_db(row['filters_sqnr_db'])}, largest difference "
                f"{style.number(row['filters_max_abs_difference'], 2)}", fontsize=8)
    for what, tops in (("maps", (0.942, 0.727)), ("filters", (0.472, 0.257))):
        before = data.arrays[f"{name}:{what}:original"]
        after = data.arrays[f"{name}:{what}:quantized"]
        marked = facts[f"marked_{what}"]
        for values, top in ((before, tops[0]), (after, tops[1])):
            _grid(figure, values, before, marked, what, left, top)


def _grid(figure: Figure, values: npt.NDArray[Any], original: npt.NDArray[Any],
          marked: list[int], what: str, left: float, top: float) -> None:
    """One row pair of pictures as a single image: small in the SVG, and aligned."""
    rows = -(-values.shape[0] // _COLUMNS)
    width = 0.44
    height = width / _COLUMNS * rows * style.WIDTH_IN / _HEIGHT * 0.83
    axes = figure.add_axes((left, top - height, width, height))
    picture, cell = _mosaic(values, original, what)
    colours = "gray" if what == "maps" else "RdBu_r"
    axes.imshow(picture, cmap=colours, vmin=0, vmax=1, aspect="auto")
    style.bare(axes)
    for i in marked:
        y, x = divmod(i, _COLUMNS)
        axes.add_patch(Rectangle((x * cell[1] - 0.5, y * cell[0] - 0.5), cell[1] - cell[2],
                                 cell[0] - cell[2], fill=False, ec=style.MARK, lw=1.6,
                                 clip_on=False))


def _mosaic(values: npt.NDArray[Any], original: npt.NDArray[Any], what: str
            ) -> tuple[npt.NDArray[np.float64], tuple[int, int, int]]:
    """Pictures side by side, each on its original's range; (height, width, gap) of a cell."""
    scale = max(1, round(48 / values.shape[1])) if what == "filters" or values.shape[1] < 24 else 1
    gap = max(1, values.shape[1] * scale // 24)
    height, width = values.shape[1] * scale + gap, values.shape[2] * scale + gap
    rows = -(-values.shape[0] // _COLUMNS)
    # A map that is nearly flat stays nearly one shade; its noise is not stretched.
    smallest = 0.1 * float(original.max() - original.min())
    picture = np.full((rows * height - gap, _COLUMNS * width - gap), np.nan)
    for i, plane in enumerate(values):
        low, high = float(original[i].min()), float(original[i].max())
        if what == "filters":
            high = max(abs(low), abs(high), smallest / 2)
            low = -high
        unit = np.clip((plane - low) / max(high - low, smallest, 1e-12), 0, 1)
        y, x = divmod(i, _COLUMNS)
        picture[y * height:y * height + plane.shape[0] * scale,
                x * width:x * width + plane.shape[1] * scale] = np.kron(
                    unit, np.ones((scale, scale)))
    return picture, (height, width, gap)


def _db(value: float | None) -> str:
    return "∞ (equal)" if value is None else f"{value:.1f} dB"


def caption(data: FigureData) -> str:
    """What to see."""
    f = data.facts
    first, last = (f["layers"][n]["schemes"][f["shown"]] for n in ("first", "last"))
    others = "; ".join(
        f"{style.scheme_name(k)} {_db(f['layers']['first']['schemes'][k]['maps_sqnr_db'])} and "
        f"{_db(v['maps_sqnr_db'])}"
        for k, v in f["layers"]["last"]["schemes"].items() if k != f["shown"])
    return (f"Feature maps (above) and filters (below) of the first and the last convolution of "
            f"{f['model']}, FP32 over {style.scheme_name(f['shown'])} (the paper's Figure 7); red "
            f"boxes mark the largest differences. The maps' signal-to-quantization-noise ratio "
            f"falls from {_db(first['maps_sqnr_db'])} in the first layer to "
            f"{_db(last['maps_sqnr_db'])} in the last, measured over "
            f"{style.plural(f['images'], 'image')}"
            f"{f' (first and last, {others})' if others else ''}.")
