"""Figure 7: feature maps and filters of the first and last convolution, before and after."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bedside.core.build import Variant
from bedside.figures import inputs, pictures
from bedside.figures.base import FigureData, NotAvailable
from bedside.figures.first_conv import shrink
from bedside.figures.inputs import Real, Runner
from bedside.runfolder import layout
from bedside.runtime.graph import Operation

CHANNELS = 8
MARKED = 2
IMAGES = 4
MAP_PX = 56
TILE = 8


@dataclass(frozen=True, slots=True)
class _Layer:
    """One convolution in the original: its position, operation and filters."""

    position: int
    conv: Operation
    weights: Real


def compute(run: Path, model: str) -> FigureData:
    """Arrays, for ``first`` and ``last``: ``<layer>:maps:<which>`` (n, h, w) and
    ``<layer>:filters:<which>`` (n, a, b), ``which`` being ``original`` or ``quantized``.

    Facts: the channels shown and marked, and for every scheme each layer's error of maps
    (over a few images) and of filters: SQNR in dB and largest absolute difference.
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
        twins = [inputs.same_layer(base, graph, layer.position) for layer in layers.values()]
        after = _maps(run, other, twins, images)
        for i, (name, layer) in enumerate(layers.items()):
            weights = inputs.filters(graph, twins[i])
            facts[name]["schemes"][label] = {
                **_errors("maps", before[i], after[i]),
                **_errors("filters", layer.weights, weights)}
            if label == shown:
                arrays |= _pictures(name, before[i], after[i], layer, weights, facts[name])
    return FigureData(arrays, {"model": model, "shown": shown, "case": case,
                               "images": len(images), "layers": facts})


def _images(run: Path, variant: Variant) -> tuple[list[Real], str]:
    """The shown image first, then others for the measure."""
    with layout.pixel_store(run, variant.preprocess) as store:
        shown = pictures.exemplar(run, store)
        rest = [c for c in pictures.shown_cases(run, store) if c.id != shown.id][:IMAGES - 1]
        return [store.tensor(c.id) for c in (shown, *rest)], shown.id


def _maps(run: Path, variant: Variant, convs: list[Operation], images: list[Real]) -> list[Real]:
    """Outputs of convolutions over images: a list of (images, h, w, channels)."""
    runner = Runner(run, variant)
    outputs = [runner.tensors(x, [c.outputs[0] for c in convs]) for x in images]
    return [np.concatenate([o[i] for o in outputs]) for i in range(len(convs))]


def _errors(what: str, before: Real, after: Real) -> dict[str, float | None]:
    if before.shape != after.shape:
        raise NotAvailable(f"the {what} change their shape under quantization")
    return {f"{what}_sqnr_db": inputs.sqnr_db(before, after),
            f"{what}_max_abs_difference": float(np.abs(before - after).max()),
            f"{what}_low": float(before.min()), f"{what}_high": float(before.max())}


def _pictures(name: str, before: Real, after: Real, layer: _Layer, weights: Real,
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
    """The channels with the largest differences, filled up with the most active."""
    ranked = [*np.argsort(-map_error, kind="stable")[:MARKED].tolist(),
              *np.argsort(-filter_error, kind="stable")[:MARKED].tolist(),
              *np.argsort(-strength, kind="stable").tolist()]
    return list(dict.fromkeys(ranked))[:CHANNELS]


def _largest(errors: npt.NDArray[Any], channels: list[int]) -> list[int]:
    """Positions within ``channels`` of the largest errors that are not zero."""
    order = sorted(range(len(channels)), key=lambda i: -float(errors[channels[i]]))
    return sorted(i for i in order[:MARKED] if errors[channels[i]] > 0)


def filter_tile(before: Real, after: Real) -> tuple[Real, Real]:
    """A picture of one filter (kh, kw, in), the same cut of both.

    A spatial kernel shows the input channel with the largest weight; a 1×1 filter shows its
    largest input channels' weights as a square, in the channels' order.
    """
    if before.shape[0] * before.shape[1] > 1:
        channel = int(np.abs(before).max(axis=(0, 1)).argmax())
        return before[:, :, channel], after[:, :, channel]
    side = min(TILE, int(np.sqrt(before.shape[2])))
    kept = np.sort(np.argsort(-np.abs(before[0, 0]), kind="stable")[:side * side])
    return before[0, 0, kept].reshape(side, side), after[0, 0, kept].reshape(side, side)
