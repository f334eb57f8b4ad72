"""Figure 3: real numbers to integers, with this model's own ranges."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bedside.figures import style
from bedside.figures.base import FigureData

_LINES = 15


def draw(data: FigureData) -> Figure:
    """Symmetric weights above, asymmetric activations below, as the paper has them."""
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
    """A histogram over a line of real values, lines down to a line of integers."""
    low, high = min(clip[0], observed[0]), max(clip[1], observed[1])
    margin = 0.04 * (high - low)
    axes.set_xlim(low - margin, high + margin)
    axes.set_ylim(-1.42, 1.16)
    style.bare(axes)
    tall = counts / max(float(counts.max()), 1.0)
    # Half the values may be one number (a rectified zero); the root keeps the rest visible.
    axes.bar(edges[:-1], np.sqrt(tall), width=np.diff(edges), align="edge", color=colour,
             alpha=0.45, lw=0)
    for y in (0.0, -1.0):
        axes.plot(clip, (y, y), color=style.INK, lw=1.2, solid_capstyle="butt")
    # Integers are drawn at fixed places, as far apart as their range: the mapping bends zero.
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
        axes.annotate(style.number(value), (value, 0), xytext=(0, -4),
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
    for beyond, edge, code in ((observed[0], clip[0], codes[0]),
                               (observed[1], clip[1], codes[1])):
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
    n = style.number
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
    n = style.number
    minus = str(a["zero_point"]).replace("-", "−")
    return (f"{style.layer_name(a['layer'])}\n"
            f"α = {n(a['low'], 4)}, β = {n(a['high'], 4)}\n"
            f"S = (β − α) / 255 = {n(a['scale_by_formula'], 4)}\n"
            f"Z = round(−128 − α / S) = {str(a['zero_point_by_formula']).replace('-', '−')}\n"
            f"in the file: S = {n(a['scale'], 4)}, Z = {minus}\n"
            f"q = round(R / S) + Z,  R = S · (q − Z)\n"
            f"R = 0 is exact: q = Z\n"
            f"clipped: {a['clipped']} of {style.count(a['values'])}\n"
            f"check with the paper's [−0.5, 1.5]:\n"
            f"S = {n(golden['scale'], 4)} (2/255), "
            f"Z = {str(golden['zero_point']).replace('-', '−')}")


def caption(data: FigureData) -> str:
    """What to see."""
    w, a = data.facts["weights"], data.facts["activations"]
    return (f"How {data.facts['model']}'s own numbers become 8-bit integers (the paper's Figure "
            f"3). Weights use a range equal on both sides, [−{style.number(w['largest'])}, "
            f"{style.number(w['largest'])}], so that zero is the integer 0; activations use their "
            f"calibrated range [{style.number(a['low'])}, {style.number(a['high'])}], and zero is "
            f"exactly the integer Z = {str(a['zero_point']).replace('-', '−')}. Values outside "
            f"are clipped: {a['clipped']} of {style.count(a['values'])} over "
            f"{style.plural(a['images'], 'image')}.")
