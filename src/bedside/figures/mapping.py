"""Figure 3: how this model's own real numbers map to 8-bit integers.

The paper's formulas (1) and (4) hold together only as ``q = round(R / S) + Z`` and
``R = S · (q − Z)`` (Jacob et al. 2018, Section 2.1); weights use ``S = max|R| / 127``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bedside.core.build import Variant
from bedside.figures import inputs, pictures
from bedside.figures.base import FigureData, NotAvailable
from bedside.runfolder import layout
from bedside.runtime.graph import Graph, Tensor

IMAGES = 8
BINS = 120
GOLDEN_RANGE = (-0.5, 1.5)


def asymmetric(low: float, high: float, bits: int = 8) -> tuple[float, int]:
    """Scale and zero point of activations: ``S = (β − α) / (2^b − 1)``, paper's eq. (2).

    The clipping range [α, β] is widened to hold zero, which must be exact (Section 3.2.1).

    Raises:
        ValueError: the range is empty.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    if high == low:
        raise ValueError("an empty range has no scale")
    scale = float((high - low) / (2 ** bits - 1))
    lowest, highest = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    zero_point = int(np.clip(np.rint(lowest - low / scale), lowest, highest))
    return scale, zero_point


def symmetric(largest: float, bits: int = 8) -> float:
    """Scale of weights: ``S = max|R| / (2^(b−1) − 1)``, the zero point being 0.

    Raises:
        ValueError: the weights are all zero.
    """
    if largest <= 0:
        raise ValueError("weights that are all zero have no scale")
    return float(largest / (2 ** (bits - 1) - 1))


def quantize(real: npt.NDArray[Any], scale: float, zero_point: int, low: int = -128,
             high: int = 127) -> npt.NDArray[np.int64]:
    """``clip(round(R / S) + Z, low, high)``."""
    steps = np.rint(np.asarray(real, np.float64) / scale) + zero_point
    codes: npt.NDArray[np.int64] = np.clip(steps, low, high).astype(np.int64)
    return codes


def dequantize(codes: npt.NDArray[Any], scale: float, zero_point: int
               ) -> npt.NDArray[np.float64]:
    """``S · (q − Z)``."""
    return scale * (np.asarray(codes, np.float64) - zero_point)


def compute(run: Path, model: str) -> FigureData:
    """Arrays: ``weights``, ``weight_codes`` of one channel; ``activation_counts`` (BINS,) and
    ``activation_edges`` (BINS + 1,) of one tensor over a few images; ``activation_samples``.

    Raises:
        NotAvailable: no full-integer variant.
    """
    variant = _integer_variant(run, model)
    original = inputs.original_of(run, model)
    before, after = inputs.variant_graph(run, original), inputs.variant_graph(run, variant)
    weights, codes, weight_facts = _weights(before, after, original)
    tensor = choose_activation(after)
    arrays, activation_facts = _activations(run, original, before, after, tensor)
    golden_scale, golden_zero = asymmetric(*GOLDEN_RANGE)
    return FigureData(
        {"weights": weights, "weight_codes": codes, **arrays},
        {"model": model, "scheme": inputs.scheme_label(variant), "weights": weight_facts,
         "activations": activation_facts,
         "golden": {"range": GOLDEN_RANGE, "scale": golden_scale, "zero_point": golden_zero}})


def _integer_variant(run: Path, model: str) -> Variant:
    found = inputs.quantized_of(run, model)
    label = inputs.main_comparison(list(found))
    if not label.startswith(inputs.INTEGER):
        raise NotAvailable("the study holds no full-integer variant, so no activation has a "
                           "stored range")
    return found[label]


def _weights(before: Graph, after: Graph, original: Variant
             ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int8], dict[str, Any]]:
    position = inputs.last_conv(before, original.last_conv, len(original.task.classes))
    conv, other = before.convolutions()[position], inputs.same_layer(before, after, position)
    stored = inputs.stored_weights(after, other)
    codes = after.constant(stored)
    if codes is None or stored.quantization is None:
        raise NotAvailable(f"{after.layer(other)} is not quantized")
    axis = stored.quantization.axis
    real = np.moveaxis(inputs.real_weights(before, conv), axis, 0)
    channels = real.reshape(real.shape[0], -1)
    peaks = np.abs(channels).max(axis=1)
    channel = int(np.argsort(peaks, kind="stable")[peaks.size // 2])
    mine = np.moveaxis(codes, axis, 0).reshape(codes.shape[axis], -1)[channel]
    scales = stored.quantization.scales
    # One scale for all channels where the scheme quantizes per tensor.
    per_channel = scales.size > 1
    scale = float(scales[channel if per_channel else 0])
    largest = float(peaks[channel] if per_channel else peaks.max())
    formula = symmetric(largest)
    again = quantize(channels[channel], formula, 0, -127, 127)
    return channels[channel], mine.astype(np.int8), {
        "layer": before.layer(conv), "channel": channel, "channels": int(scales.size),
        "per_channel": per_channel, "low": float(channels[channel].min()),
        "high": float(channels[channel].max()), "largest": largest, "scale": scale,
        "zero_point": int(stored.quantization.zero_points[channel if per_channel else 0]),
        "scale_by_formula": formula, "scale_relative_error": abs(scale - formula) / formula,
        "codes_low": int(mine.min()), "codes_high": int(mine.max()), "values": int(mine.size),
        "codes_differing_from_formula": int(np.count_nonzero(again != mine)),
        "largest_rounding_error": float(np.abs(
            channels[channel] - dequantize(mine, scale, 0)).max()),
        "scales_low": float(scales.min()), "scales_high": float(scales.max())}


def choose_activation(graph: Graph) -> Tensor:
    """The int8 tensor whose range is most plainly asymmetric about an inner zero.

    Best is a zero point inside (−128, 127) and far from 0, of a large tensor; networks that
    rectify everything only have Z = −128, and then the first activation is taken.
    """
    made = {t for o in graph.operations for t in o.outputs}
    found = [graph.tensors[t] for t in sorted(made)
             if graph.tensors[t].dtype == "int8" and graph.tensors[t].quantization is not None]
    if not found:
        raise NotAvailable("no activation is stored as int8")

    def score(tensor: Tensor) -> tuple[bool, bool, float]:
        assert tensor.quantization is not None
        zero = int(tensor.quantization.zero_points[0])
        # The paper's example has Z = −64: a quarter of the range below zero.
        return -128 < zero < 127, len(tensor.shape) == 4, -abs(zero + 64)

    return max(found, key=score)


def _activations(run: Path, original: Variant, before: Graph, after: Graph, tensor: Tensor
                 ) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    twin = _twin(before, after, tensor)
    runner = inputs.Runner(run, original)
    with layout.pixel_store(run, original.preprocess) as store:
        cases = pictures.shown_cases(run, store)[:IMAGES]
        values = np.concatenate([runner.tensors(store.tensor(c.id), [twin])[0].reshape(-1)
                                 for c in cases])
    assert tensor.quantization is not None
    scale = float(tensor.quantization.scales[0])
    zero = int(tensor.quantization.zero_points[0])
    low, high = (float(v) for v in dequantize(np.array([-128, 127]), scale, zero))
    edges = np.linspace(min(low, float(values.min())), max(high, float(values.max())), BINS + 1)
    counts, _ = np.histogram(values, edges)
    formula_scale, formula_zero = asymmetric(low, high)
    clipped = int(np.count_nonzero((values < low - scale / 2) | (values > high + scale / 2)))
    inside = values[(values >= low) & (values <= high)]
    rounding = np.abs(inside - dequantize(quantize(inside, scale, zero), scale, zero))
    samples = np.quantile(values, [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0])
    return ({"activation_counts": counts, "activation_edges": edges,
             "activation_samples": samples},
            {"layer": before.tensors[twin].layer, "shape": tensor.shape, "scale": scale,
             "zero_point": zero, "low": low, "high": high, "observed_low": float(values.min()),
             "observed_high": float(values.max()), "scale_by_formula": formula_scale,
             "zero_point_by_formula": formula_zero, "values": int(values.size),
             "images": len(cases), "clipped": clipped,
             "largest_rounding_error": float(rounding.max()) if rounding.size else 0.0})


def _twin(before: Graph, after: Graph, tensor: Tensor) -> int:
    """The original's tensor of the same meaning.

    Layers keep their order through quantization, so the n-th output of an operation kind is
    that kind's n-th in the original.
    """
    maker = after.producer(tensor.index)
    if maker is not None and maker.op == "QUANTIZE":
        source = after.producer(maker.inputs[0])
        if source is None:
            return before.inputs[0]
        maker = source
    if maker is None:
        return before.inputs[0]
    nth = [o.index for o in after.operations if o.op == maker.op].index(maker.index)
    same = [o for o in before.operations if o.op == maker.op]
    if nth >= len(same):
        raise NotAvailable(f"{tensor.layer} has no counterpart in the original file")
    return same[nth].outputs[maker.outputs.index(tensor.index)
                            if tensor.index in maker.outputs else 0]
