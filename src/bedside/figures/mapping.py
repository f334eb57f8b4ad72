"""Figure 3: the mapping of this model's real values to 8-bit integers.

The paper's formulas (1) and (4) are consistent only as ``q = round(R / S) + Z`` and ``R = S · (q −
Z)`` (Jacob et al. 2018, Section 2.1); weights use ``S = max|R| / 127``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bedside.core.build import Variant
from bedside.core.text import magnitude, number, plural, signed
from bedside.figures import input_images, inputs, style
from bedside.figures.base import FigureData, NotAvailable, Reads
from bedside.runfolder import stored
from bedside.runtime.graph import Graph, Tensor

TITLE = "Quantization mapping (the paper's Figure 3)"
READS = Reads()
IMAGES = 8
BINS = 120
GOLDEN_RANGE = (-0.5, 1.5)

_LINES = 15


def asymmetric(low: float, high: float, bits: int = 8) -> tuple[float, int]:
    """Return scale and zero point of activations: ``S = (β − α) / (2^b − 1)``, the paper's eq. (2).

    The clipping range [α, β] is widened to include zero, which must be exact (Section 3.2.1).

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
    """Return the scale of weights: ``S = max|R| / (2^(b−1) − 1)``, the zero point being 0.

    Raises:
        ValueError: the weights are all zero.
    """
    if largest <= 0:
        raise ValueError("weights that are all zero have no scale")
    return float(largest / (2 ** (bits - 1) - 1))


def quantize(real: npt.NDArray[Any], scale: float, zero_point: int, low: int = -128,
             high: int = 127) -> npt.NDArray[np.int64]:
    """Return ``clip(round(R / S) + Z, low, high)``."""
    steps = np.rint(np.asarray(real, np.float64) / scale) + zero_point
    codes: npt.NDArray[np.int64] = np.clip(steps, low, high).astype(np.int64)
    return codes


def dequantize(codes: npt.NDArray[Any], scale: float, zero_point: int) -> npt.NDArray[np.float64]:
    """Return ``S · (q − Z)``."""
    return scale * (np.asarray(codes, np.float64) - zero_point)


def compute(run: Path, model: str) -> FigureData:
    """Compute the mapping of one channel's weights and one activation tensor.

    Arrays: ``weights``, ``weight_codes`` of one channel; ``activation_counts`` (BINS,) and
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
    saved = inputs.stored_weights(after, other)
    codes = after.constant(saved)
    if codes is None or saved.quantization is None:
        raise NotAvailable(f"{after.layer(other)} is not quantized")
    axis = saved.quantization.axis
    real = np.moveaxis(inputs.real_weights(before, conv), axis, 0)
    channels = real.reshape(real.shape[0], -1)
    peaks = np.abs(channels).max(axis=1)
    channel = int(np.argsort(peaks, kind="stable")[peaks.size // 2])
    mine = np.moveaxis(codes, axis, 0).reshape(codes.shape[axis], -1)[channel]
    scales = saved.quantization.scales
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
        "zero_point": int(saved.quantization.zero_points[channel if per_channel else 0]),
        "scale_by_formula": formula, "scale_relative_error": abs(scale - formula) / formula,
        "codes_low": int(mine.min()), "codes_high": int(mine.max()), "values": int(mine.size),
        "codes_differing_from_formula": int(np.count_nonzero(again != mine)),
        "largest_rounding_error": float(np.abs(
            channels[channel] - dequantize(mine, scale, 0)).max()),
        "scales_low": float(scales.min()), "scales_high": float(scales.max())}


def choose_activation(graph: Graph) -> Tensor:
    """Choose the int8 tensor whose range is most clearly asymmetric about an inner zero.

    Preferred is a zero point inside (−128, 127) and far from 0, of a large tensor; a network with
    only rectified activations has Z = −128 throughout, and then the first activation is taken.
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
    counterpart = _counterpart(before, after, tensor)
    runner = inputs.Runner(run, original)
    with stored.pixel_store(run, original.preprocess) as store:
        cases = input_images.shown_cases(run, store)[:IMAGES]
        values = np.concatenate([runner.tensors(store.tensor(c.id), [counterpart])[0].reshape(-1)
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
            {"layer": before.tensors[counterpart].layer, "shape": tensor.shape, "scale": scale,
             "zero_point": zero, "low": low, "high": high, "observed_low": float(values.min()),
             "observed_high": float(values.max()), "scale_by_formula": formula_scale,
             "zero_point_by_formula": formula_zero, "values": int(values.size),
             "images": len(cases), "clipped": clipped,
             "largest_rounding_error": float(rounding.max()) if rounding.size else 0.0})


def _counterpart(before: Graph, after: Graph, tensor: Tensor) -> int:
    """Return the original's tensor of the same meaning.

    Layers keep their order through quantization, so the n-th output of an operation kind is that
    kind's n-th in the original.
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


# ------------------------------------------------------------------ drawing


def draw(data: FigureData) -> Figure:
    """Draw symmetric weights above and asymmetric activations below, as in the paper."""
    figure = style.new_figure(6.3, layout=None)
    upper = figure.add_axes((0.03, 0.53, 0.62, 0.42))
    lower = figure.add_axes((0.03, 0.03, 0.62, 0.42))
    w, a = data.facts["weights"], data.facts["activations"]
    values = data.arrays["weights"]
    counts, edges = np.histogram(values, 61, (-w["largest"], w["largest"]))
    _panel(upper, counts, edges, (-w["largest"], w["largest"]), w["scale"], 0, (-127, 127),
           style.scheme_colour("int8"), (float(values.min()), float(values.max())))
    _panel(lower, data.arrays["activation_counts"], data.arrays["activation_edges"],
           (a["low"], a["high"]), a["scale"], a["zero_point"], (-128, 127),
           style.scheme_colour("dynamic"), (a["observed_low"], a["observed_high"]))
    upper.set_title("Weights: symmetric", fontsize=10, weight="bold")
    lower.set_title("Activations: asymmetric", fontsize=10, weight="bold")
    figure.text(0.67, 0.925, _weight_text(w), va="top", fontsize=8.5, linespacing=1.55)
    figure.text(0.67, 0.425, _activation_text(a, data.facts["golden"]), va="top", fontsize=8.5,
                linespacing=1.55)
    return figure


def _panel(axes: Axes, counts: npt.NDArray[Any], edges: npt.NDArray[Any],
           clip: tuple[float, float], scale: float, zero: int, codes: tuple[int, int],
           colour: str, observed: tuple[float, float]) -> None:
    """Draw a histogram over a line of real values, connected to a line of integers."""
    low, high = min(clip[0], observed[0]), max(clip[1], observed[1])
    margin = 0.04 * (high - low)
    axes.set_xlim(low - margin, high + margin)
    axes.set_ylim(-1.42, 1.16)
    style.bare(axes)
    tall = counts / max(float(counts.max()), 1.0)
    # Half the values may be rectified zeros; the square root keeps the others visible.
    axes.bar(edges[:-1], np.sqrt(tall), width=np.diff(edges), align="edge", color=colour,
             alpha=0.45, lw=0)
    for y in (0.0, -1.0):
        axes.plot(clip, (y, y), color=style.INK, lw=1.2, solid_capstyle="butt")
    # Integers are drawn at fixed positions over their range, so the lines show the shift of zero.
    def place(code: float) -> float:
        share = (code - codes[0]) / (codes[1] - codes[0])
        return clip[0] + share * (clip[1] - clip[0])

    marks = np.unique(np.rint(np.linspace(codes[0], codes[1], _LINES)).astype(int))
    for code in marks:
        real = scale * (code - zero)
        axes.plot((real, place(code)), (0, -1), color=style.FAINT, lw=0.9, zorder=0)
        axes.plot((place(code),) * 2, (-1.04, -0.96), color=style.INK, lw=0.8)
    axes.plot((0, place(zero)), (0, -1), color=style.MARK, lw=1.4)
    for value in sorted({float(clip[0]), 0.0, float(clip[1])}):
        axes.plot((value, value), (-0.04, 0.04), color=style.INK, lw=0.8)
        axes.annotate(number(value), (value, 0), xytext=(0, -4),
                      textcoords="offset points", ha=_side(value, clip), va="top", fontsize=8.5,
                      bbox={"fc": "white", "ec": "none", "pad": 0.8, "alpha": 0.9})
    for code in (codes[0], zero, codes[1]):
        if code != zero and abs(place(code) - place(zero)) < 0.06 * (clip[1] - clip[0]):
            continue
        name = f"Z = {code}" if code == zero else str(code)
        axes.annotate(name.replace("-", "−"), (place(code), -1), xytext=(0, -7),
                      textcoords="offset points", ha=_side(place(code), clip), va="top",
                      fontsize=8.5, weight="bold" if code == zero else "normal",
                      color=style.MARK if code == zero else style.INK)
    for beyond, edge, code in ((observed[0], clip[0], codes[0]), (observed[1], clip[1], codes[1])):
        if (beyond < edge - scale / 2) if code == codes[0] else (beyond > edge + scale / 2):
            axes.plot((beyond, place(code)), (0, -1), color=style.WRONG, lw=1.1, ls=(0, (3, 2)))
            axes.annotate("clipped", (beyond, 0), xytext=(0, 5), textcoords="offset points",
                          ha="left" if code == codes[0] else "right", fontsize=8,
                          color=style.WRONG)
    axes.text(clip[0], 1.06, "real values R (bar height: √ of their number)", fontsize=8,
              color=style.QUIET, va="bottom")
    axes.text(clip[0], -1.4, "integers q", fontsize=8, color=style.QUIET)


def _side(value: float, clip: tuple[float, float]) -> str:
    share = (value - clip[0]) / (clip[1] - clip[0])
    return "left" if share < 0.03 else "right" if share > 0.97 else "center"


def _weight_text(w: dict[str, Any]) -> str:
    n = number
    where = (f"channel {w['channel']} of {w['channels']}" if w["per_channel"]
             else "one scale for the tensor")
    return (f"{style.layer_name(w['layer'])}\n{where}\n"
            f"max|R| = {n(w['largest'], 4)}\n"
            f"S = max|R| / 127 = {n(w['scale_by_formula'], 4)}\n"
            f"in the file: S = {n(w['scale'], 4)}, Z = {w['zero_point']}\n"
            f"q = round(R / S), {str(w['codes_low']).replace('-', '−')} … {w['codes_high']}\n"
            f"integers equal to the file's: "
            f"{w['values'] - w['codes_differing_from_formula']} of {w['values']}\n"
            f"largest error {n(w['largest_rounding_error'])} (S/2 = {n(w['scale'] / 2)})")


def _activation_text(a: dict[str, Any], golden: dict[str, Any]) -> str:
    n = number
    minus = str(a["zero_point"]).replace("-", "−")
    return (f"{style.layer_name(a['layer'])}\n"
            f"α = {n(a['low'], 4)}, β = {n(a['high'], 4)}\n"
            f"S = (β − α) / 255 = {n(a['scale_by_formula'], 4)}\n"
            f"Z = round(−128 − α / S) = {str(a['zero_point_by_formula']).replace('-', '−')}\n"
            f"in the file: S = {n(a['scale'], 4)}, Z = {minus}\n"
            f"q = round(R / S) + Z,  R = S · (q − Z)\n"
            f"R = 0 is exact: q = Z\n"
            f"clipped: {a['clipped']} of {magnitude(a['values'])}\n"
            f"check with the paper's [−0.5, 1.5]:\n"
            f"S = {n(golden['scale'], 4)} (2/255), "
            f"Z = {str(golden['zero_point']).replace('-', '−')}")


def caption(data: FigureData) -> str:
    """State the result, with the figure's own numbers."""
    w, a = data.facts["weights"], data.facts["activations"]
    return (f"The mapping of {data.facts['model']}'s real values to 8-bit integers (the paper's "
            f"Figure 3). Weights use the symmetric range [−{number(w['largest'])}, "
            f"{number(w['largest'])}], so that zero is the integer 0; activations use their "
            f"calibrated range [{number(a['low'])}, {number(a['high'])}], and zero is "
            f"exactly the integer Z = {signed(str(a['zero_point']))}. Values outside "
            f"are clipped: {a['clipped']} of {magnitude(a['values'])} over "
            f"{plural(a['images'], 'image')}.")
