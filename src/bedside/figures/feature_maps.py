"""Figure 7: feature maps and filters of two convolutions, before and after quantization."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bedside.core.build import Variant
from bedside.core.text import number, plural
from bedside.figures import input_images, inputs, style
from bedside.figures.base import FigureData, NotAvailable, Reads
from bedside.figures.input_images import shrink
from bedside.figures.inputs import Real, Runner
from bedside.runfolder import stored
from bedside.runtime.graph import Operation

TITLE = "Feature maps and filters (the paper's Figure 7)"
READS = Reads()
CHANNELS = 8
MARKED = 2
IMAGES = 4
MAP_PX = 56
TILE = 8

_COLUMNS = 4
_HEIGHT = 7.9


@dataclass(frozen=True, slots=True)
class _Layer:
    """One convolution of the original: its position, operation and filters."""

    position: int
    conv: Operation
    weights: Real


def compute(run: Path, model: str) -> FigureData:
    """Compute feature maps, filters and their errors.

    Arrays, for ``first`` and ``last``: ``<layer>:maps:<which>`` (n, h, w) and
    ``<layer>:filters:<which>`` (n, a, b), ``which`` being ``original`` or ``quantized``.

    Facts: the channels shown and marked, and for every scheme each layer's error of maps (over a
    few images) and of filters: SQNR in dB and largest absolute difference.
    """
    variant = inputs.original_of(run, model)
    quantized = inputs.quantized_of(run, model)
    shown = inputs.main_comparison(list(quantized))
    base = inputs.variant_graph(run, variant)
    positions = {"first": inputs.first_conv(base),
                 "last": inputs.last_conv(base, variant.last_conv, len(variant.task.classes))}
    layers = {n: _Layer(p, base.convolutions()[p],
                        inputs.filters(base, base.convolutions()[p]))
              for n, p in positions.items()}
    images, case = _images(run, variant)
    before = _maps(run, variant, [layer.conv for layer in layers.values()], images)
    arrays: dict[str, npt.NDArray[Any]] = {}
    facts: dict[str, Any] = {n: {"layer": base.layer(layer.conv), "shape": before[i].shape[1:],
                                 "filter_shape": layer.weights.shape, "schemes": {}}
                             for i, (n, layer) in enumerate(layers.items())}
    for label, other in quantized.items():
        graph = inputs.variant_graph(run, other)
        matches = [inputs.same_layer(base, graph, layer.position) for layer in layers.values()]
        after = _maps(run, other, matches, images)
        for i, (name, layer) in enumerate(layers.items()):
            weights = inputs.filters(graph, matches[i])
            facts[name]["schemes"][label] = {
                **_errors("maps", before[i], after[i]),
                **_errors("filters", layer.weights, weights)}
            if label == shown:
                arrays |= _tiles(name, before[i], after[i], layer, weights, facts[name])
    return FigureData(arrays, {"model": model, "shown": shown, "case": case,
                               "images": len(images), "layers": facts})


def _images(run: Path, variant: Variant) -> tuple[list[Real], str]:
    """Load the image shown first, then the others that the errors are measured on."""
    with stored.pixel_store(run, variant.preprocess) as store:
        shown = input_images.exemplar(run, store)
        rest = [c for c in input_images.shown_cases(run, store) if c.id != shown.id][:IMAGES - 1]
        return [store.tensor(c.id) for c in (shown, *rest)], shown.id


def _maps(run: Path, variant: Variant, convs: list[Operation], images: list[Real]) -> list[Real]:
    """Compute the outputs of convolutions over images: a list of (images, h, w, channels)."""
    runner = Runner(run, variant)
    outputs = [runner.tensors(x, [c.outputs[0] for c in convs]) for x in images]
    return [np.concatenate([o[i] for o in outputs]) for i in range(len(convs))]


def _errors(what: str, before: Real, after: Real) -> dict[str, float | None]:
    if before.shape != after.shape:
        raise NotAvailable(f"the {what} change their shape under quantization")
    return {f"{what}_sqnr_db": inputs.sqnr_db(before, after),
            f"{what}_max_abs_difference": float(np.abs(before - after).max()),
            f"{what}_low": float(before.min()), f"{what}_high": float(before.max())}


def _tiles(name: str, before: Real, after: Real, layer: _Layer, weights: Real,
              facts: dict[str, Any]) -> dict[str, npt.NDArray[Any]]:
    map_error = np.abs(before[0] - after[0]).max(axis=(0, 1))
    filters = layer.weights
    filter_error = np.abs(filters - weights).reshape(filters.shape[0], -1).max(axis=1)
    channels = choose_channels(before[0].std(axis=(0, 1)), map_error, filter_error)
    tiles = [filter_tile(filters[c], weights[c]) for c in channels]
    facts |= {"channels": channels,
              "marked_maps": _largest(map_error, channels),
              "marked_filters": _largest(filter_error, channels),
              "map_errors": [float(map_error[c]) for c in channels],
              "filter_errors": [float(filter_error[c]) for c in channels],
              "tile": "input channels" if filters.shape[1] * filters.shape[2] == 1 else "kernel"}
    return {f"{name}:maps:original": shrink(np.moveaxis(before[0][..., channels], 2, 0), MAP_PX),
            f"{name}:maps:quantized": shrink(np.moveaxis(after[0][..., channels], 2, 0), MAP_PX),
            f"{name}:filters:original": np.stack([t[0] for t in tiles]),
            f"{name}:filters:quantized": np.stack([t[1] for t in tiles])}


def choose_channels(strength: npt.NDArray[Any], map_error: npt.NDArray[Any],
                    filter_error: npt.NDArray[Any]) -> list[int]:
    """Choose the channels with the largest differences, then the most active."""
    ranked = [*np.argsort(-map_error, kind="stable")[:MARKED].tolist(),
              *np.argsort(-filter_error, kind="stable")[:MARKED].tolist(),
              *np.argsort(-strength, kind="stable").tolist()]
    return list(dict.fromkeys(ranked))[:CHANNELS]


def _largest(errors: npt.NDArray[Any], channels: list[int]) -> list[int]:
    """Return the positions within ``channels`` of the largest nonzero errors."""
    order = sorted(range(len(channels)), key=lambda i: -float(errors[channels[i]]))
    return sorted(i for i in order[:MARKED] if errors[channels[i]] > 0)


def filter_tile(before: Real, after: Real) -> tuple[Real, Real]:
    """Return a 2-D slice of one filter (kh, kw, in), the same for both models.

    A spatial kernel shows the input channel with the largest weight; a 1×1 filter shows its largest
    input channels' weights as a square, in the channels' order.
    """
    if before.shape[0] * before.shape[1] > 1:
        channel = int(np.abs(before).max(axis=(0, 1)).argmax())
        return before[:, :, channel], after[:, :, channel]
    side = min(TILE, int(np.sqrt(before.shape[2])))
    kept = np.sort(np.argsort(-np.abs(before[0, 0]), kind="stable")[:side * side])
    return before[0, 0, kept].reshape(side, side), after[0, 0, kept].reshape(side, side)


# ------------------------------------------------------------------ drawing


def draw(data: FigureData) -> Figure:
    """Draw the first convolution left and the last right, maps above and filters below.

    The original stands over the quantized model; red boxes mark the largest differences.
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
                f"{number(row['maps_max_abs_difference'], 2)}", fontsize=8)
    figure.text(left, 0.482, f"filters: SQNR {_db(row['filters_sqnr_db'])}, largest difference "
                f"{number(row['filters_max_abs_difference'], 2)}", fontsize=8)
    for what, tops in (("maps", (0.942, 0.727)), ("filters", (0.472, 0.257))):
        before = data.arrays[f"{name}:{what}:original"]
        after = data.arrays[f"{name}:{what}:quantized"]
        marked = facts[f"marked_{what}"]
        for values, top in ((before, tops[0]), (after, tops[1])):
            _grid(figure, values, before, marked, what, left, top)


def _grid(figure: Figure, values: npt.NDArray[Any], original: npt.NDArray[Any],
          marked: list[int], what: str, left: float, top: float) -> None:
    """Draw one pair of rows as a single image, which keeps the SVG small and the tiles aligned."""
    rows = -(-values.shape[0] // _COLUMNS)
    width = 0.44
    height = width / _COLUMNS * rows * style.WIDTH_IN / _HEIGHT * 0.83
    axes = figure.add_axes((left, top - height, width, height))
    mosaic, cell = _mosaic(values, original, what)
    colours = "gray" if what == "maps" else "RdBu_r"
    axes.imshow(mosaic, cmap=colours, vmin=0, vmax=1, aspect="auto")
    style.bare(axes)
    for i in marked:
        y, x = divmod(i, _COLUMNS)
        axes.add_patch(Rectangle((x * cell[1] - 0.5, y * cell[0] - 0.5), cell[1] - cell[2],
                                 cell[0] - cell[2], fill=False, ec=style.MARK, lw=1.6,
                                 clip_on=False))


def _mosaic(values: npt.NDArray[Any], original: npt.NDArray[Any], what: str
            ) -> tuple[npt.NDArray[np.float64], tuple[int, int, int]]:
    """Place tiles side by side, each on its original's range; (height, width, gap) of a cell."""
    scale = max(1, round(48 / values.shape[1])) if what == "filters" or values.shape[1] < 24 else 1
    gap = max(1, values.shape[1] * scale // 24)
    height, width = values.shape[1] * scale + gap, values.shape[2] * scale + gap
    rows = -(-values.shape[0] // _COLUMNS)
    # A map that is nearly flat stays nearly one shade; its noise is not stretched.
    smallest = 0.1 * float(original.max() - original.min())
    mosaic = np.full((rows * height - gap, _COLUMNS * width - gap), np.nan)
    for i, plane in enumerate(values):
        low, high = float(original[i].min()), float(original[i].max())
        if what == "filters":
            high = max(abs(low), abs(high), smallest / 2)
            low = -high
        unit = np.clip((plane - low) / max(high - low, smallest, 1e-12), 0, 1)
        y, x = divmod(i, _COLUMNS)
        mosaic[y * height:y * height + plane.shape[0] * scale,
                x * width:x * width + plane.shape[1] * scale] = np.kron(
                    unit, np.ones((scale, scale)))
    return mosaic, (height, width, gap)


def _db(value: float | None) -> str:
    return "∞ (equal)" if value is None else f"{value:.1f} dB"


def caption(data: FigureData) -> str:
    """State the result, with the figure's own numbers."""
    f = data.facts
    first, last = (f["layers"][n]["schemes"][f["shown"]] for n in ("first", "last"))
    others = "; ".join(
        f"{style.scheme_name(k)} {_db(f['layers']['first']['schemes'][k]['maps_sqnr_db'])} and "
        f"{_db(v['maps_sqnr_db'])}"
        for k, v in f["layers"]["last"]["schemes"].items() if k != f["shown"])
    return ("The maps' signal-to-quantization-noise ratio goes from "
            f"{_db(first['maps_sqnr_db'])} in the first layer to {_db(last['maps_sqnr_db'])} in "
            f"the last, measured over {plural(f['images'], 'image')}"
            f"{f' (first and last, {others})' if others else ''}. Feature maps (above) and filters "
            f"(below) of the first and the last convolution of {f['model']}, FP32 over "
            f"{style.scheme_name(f['shown'])} (the paper's Figure 7); red boxes mark the largest "
            "differences.")
