"""Figure 8: how the last convolution's weights are distributed, original and integer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bedside.figures import inputs
from bedside.figures.base import FigureData

# A third of the integers −127 … 127: bins of about three steps. Finer ones would show the
# beat between bins and steps as if it were the weights' shape.
BINS = 85


def compute(run: Path, model: str) -> FigureData:
    """Arrays: ``edges`` (BINS + 1,); ``original``, ``quantized`` (BINS,) counts of real values;
    ``codes`` (256,) counts of the integers −128 … 127 where they are integers;
    ``channel_original`` and ``channel_quantized``, the real values of one output channel.
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
        twin = inputs.same_layer(base, graph, position)
        stored = inputs.stored_weights(graph, twin)
        values = inputs.real_weights(graph, twin)
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
    """Spread, density and error of one scheme's weights against the original's."""
    distinct = int(np.unique(values).size)
    return {"values": int(values.size), "distinct": distinct,
            "values_per_distinct": values.size / distinct,
            "low": float(values.min()), "high": float(values.max()),
            "mean": float(values.mean()), "std": float(values.std()),
            "zeros": int(np.count_nonzero(values == 0)),
            "max_abs_difference": float(np.abs(values - real).max()),
            "sqnr_db": inputs.sqnr_db(real, values)}
