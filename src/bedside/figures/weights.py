"""Figure 8: the weight distribution of the last convolution, original and integer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bedside.core.text import number, plural
from bedside.figures import inputs, style
from bedside.figures.base import FigureData, Reads

TITLE = "Weight distribution (the paper's Figure 8)"
READS = Reads()
# A third of the integers −127 … 127: bins of about three steps. Finer ones would show the
# beat between bins and steps as if it were the weights' shape.
BINS = 85


def compute(run: Path, model: str) -> FigureData:
    """Count the weights of the last convolution.

    Arrays: ``edges`` (BINS + 1,); ``original``, ``quantized`` (BINS,) counts of real values;
    ``codes`` (256,) counts of the integers −128 … 127 where they are integers; ``channel_original``
    and ``channel_quantized``, the real values of one output channel.
    """
    variant = inputs.original_of(run, model)
    quantized = inputs.quantized_of(run, model)
    shown = inputs.main_comparison(list(quantized))
    base = inputs.variant_graph(run, variant)
    position = inputs.last_conv(base, variant.last_conv, len(variant.task.classes))
    conv = base.convolutions()[position]
    real = inputs.real_weights(base, conv)
    limit = float(np.abs(real).max()) or 1.0
    edges = np.linspace(-limit, limit, BINS + 1)
    arrays: dict[str, npt.NDArray[Any]] = {"edges": edges, "original": _counts(real, edges)}
    facts = {inputs.ORIGINAL: {"dtype": "float32", **describe(real, real)}}
    for label, other in quantized.items():
        graph = inputs.variant_graph(run, other)
        counterpart = inputs.same_layer(base, graph, position)
        stored = inputs.stored_weights(graph, counterpart)
        values = inputs.real_weights(graph, counterpart)
        facts[label] = {"dtype": stored.dtype, **describe(real, values)}
        codes = graph.constant(stored)
        if stored.quantization is not None and codes is not None:
            facts[label] |= {"distinct_codes": int(np.unique(codes).size),
                             "scales": int(stored.quantization.scales.size)}
        if label == shown:
            axis = stored.quantization.axis if stored.quantization is not None else 0
            channel = _median_channel(np.moveaxis(real, axis, 0))
            arrays |= {"quantized": _counts(values, edges),
                       "channel_original": np.moveaxis(real, axis, 0)[channel].reshape(-1),
                       "channel_quantized": np.moveaxis(values, axis, 0)[channel].reshape(-1)}
            if codes is not None and codes.dtype == np.int8:
                arrays["codes"] = np.bincount(codes.reshape(-1).astype(np.int64) + 128,
                                              minlength=256)
    return FigureData(arrays, {"model": model, "layer": base.layer(conv), "shown": shown,
                               "shape": real.shape, "channel": channel, "schemes": facts})


def _counts(values: npt.NDArray[Any], edges: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    # Rounding may carry the largest weight just past the original's own limit.
    inside = np.clip(values, edges[0], edges[-1])
    return np.histogram(inside, edges)[0].astype(np.int64)


def _median_channel(channels: npt.NDArray[Any]) -> int:
    peaks = np.abs(channels.reshape(channels.shape[0], -1)).max(axis=1)
    return int(np.argsort(peaks, kind="stable")[peaks.size // 2])


def describe(real: npt.NDArray[Any], values: npt.NDArray[Any]) -> dict[str, Any]:
    """Return spread, density and error of one scheme's weights against the original's."""
    distinct = int(np.unique(values).size)
    return {"values": int(values.size), "distinct": distinct,
            "values_per_distinct": values.size / distinct,
            "low": float(values.min()), "high": float(values.max()),
            "mean": float(values.mean()), "std": float(values.std()),
            "zeros": int(np.count_nonzero(values == 0)),
            "max_abs_difference": float(np.abs(values - real).max()),
            "sqnr_db": inputs.sqnr_db(real, values)}


# ------------------------------------------------------------------ drawing


def draw(data: FigureData) -> Figure:
    """Draw weights before and after over all channels, the integers, and one channel close up."""
    f, a = data.facts, data.arrays
    shown = f["shown"]
    first, second = style.scheme_colour("float32"), style.scheme_colour(shown)
    figure = style.new_figure(4.9)
    grid = figure.subplots(2, 2)
    edges = a["edges"]
    top = 1.05 * max(float(a["original"].max()), float(a["quantized"].max()))
    for axes, counts, colour, label in ((grid[0, 0], a["original"], first, "float32"),
                                        (grid[0, 1], a["quantized"], second, shown)):
        row = f["schemes"][label]
        axes.stairs(counts, edges, fill=True, color=colour, alpha=0.75)
        axes.set_ylim(0, top)
        axes.set_title(f"{style.scheme_name(label)}, all {row['values']:,} weights\n"
                       f"{row['distinct']:,} distinct values", loc="left")
        axes.set_xlabel("weight (real value)")
        axes.set_ylabel("weights in a bin")
        axes.yaxis.set_major_formatter("{x:,.0f}")
        style.grid(axes)
    _codes(grid[1, 0], data, second)
    _close(grid[1, 1], data, first, second)
    return figure


def _codes(axes: Axes, data: FigureData, colour: str) -> None:
    if "codes" not in data.arrays:
        style.bare(axes)
        axes.text(0.5, 0.5, f"{style.scheme_name(data.facts['shown'])} stores no integers",
                  ha="center", color=style.QUIET, transform=axes.transAxes)
        return
    codes = data.arrays["codes"]
    row = data.facts["schemes"][data.facts["shown"]]
    axes.bar(np.arange(-128, 128), codes, width=1.0, color=colour, alpha=0.75, lw=0)
    axes.set_xlim(-132, 132)
    axes.set_xticks([-127, -64, 0, 64, 127], ["−127", "−64", "0", "64", "127"])
    axes.set_title(f"The integers in the file: {row['distinct_codes']} used, "
                   f"{plural(row['scales'], 'scale')}")
    axes.set_xlabel("weight (integer)")
    axes.set_ylabel("weights")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    style.grid(axes)


def _close(axes: Axes, data: FigureData, first: str, second: str) -> None:
    """Draw the middle of one channel: every weight a tick, before and after."""
    before, after = data.arrays["channel_original"], data.arrays["channel_quantized"]
    reach = float(np.quantile(np.abs(before), 0.12 if before.size > 800 else 0.3)) or 1.0
    for values, y, colour, label in ((before, 1.0, first, "float32"),
                                     (after, 0.0, second, data.facts["shown"])):
        inside = values[np.abs(values) <= reach]
        unique, counts = np.unique(inside, return_counts=True)
        axes.vlines(unique, y, y + 0.25 + 0.55 * counts / max(int(counts.max(initial=1)), 1),
                    color=colour, lw=1.0)
        axes.annotate(f"{style.short_name(label)}: {inside.size} weights on "
                      f"{plural(unique.size, 'value')}", (0.005, y + 0.83),
                      xycoords=("axes fraction", "data"), va="bottom", fontsize=8)
    axes.set_ylim(-0.05, 2.05)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_title(f"Close up: the middle of channel {data.facts['channel']}")
    axes.set_xlabel("weight (real value)")


def caption(data: FigureData) -> str:
    """State the result, with the figure's own numbers."""
    f = data.facts
    row, base = f["schemes"][f["shown"]], f["schemes"]["float32"]
    noise = ("" if row["sqnr_db"] is None
             else f" The signal-to-quantization-noise ratio is {row['sqnr_db']:.1f} dB.")
    return (f"{base['distinct']:,} distinct weights become {row['distinct']:,}: "
            f"{row['values_per_distinct']:.1f} weights share a value on average instead of "
            f"{base['values_per_distinct']:.1f}, and no weight changes by more than "
            f"{number(row['max_abs_difference'])}.{noise} Weights of the last convolution "
            f"({f['layer']}) of {f['model']} before and after {style.scheme_name(f['shown'])} (the "
            "paper's Figure 8); the distribution's shape is unchanged.")
