"""Shares of clipped activations by layer, and how far the logits moved."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from bedside.figures import style
from bedside.figures.base import FigureData

_MARKS = "os^Dv<>P*X"


def draw(data: FigureData) -> Figure:
    """Left: clipped share by layer and variant. Right: bias and confidence with intervals."""
    names, variants = data.facts["layers"], data.facts["variants"]
    figure = style.new_figure(max(2.8, 0.17 * len(names) + 1.1))
    left, right = figure.subplots(1, 2, width_ratios=[1.6, 1])
    places = range(len(names))
    for k, (label, row) in enumerate(variants.items()):
        known = [(p, 100 * v) for p, v in zip(places, row["clipped"], strict=True)
                 if v is not None]
        left.plot([v for _, v in known], [p for p, _ in known], _MARKS[k % len(_MARKS)], ms=3.5,
                  mfc="none" if k else None, color=style.scheme_colour(label),
                  label=style.short_name(label))
    left.set_xscale("symlog", linthresh=1e-3)
    left.set_xlim(left=-1e-4)
    left.set_yticks(list(places), [style.layer_name(n, 34) for n in names], fontsize=7)
    left.set_ylim(len(names) - 0.4, -0.6)
    left.set_xlabel("clipped activations (% of all, validation)")
    style.grid(left, "x")
    ticks = []
    for k, (label, row) in enumerate(variants.items()):
        for offset, name, mark in ((-0.15, "shift", "o"), (0.15, "confidence", "D")):
            if row.get(f"{name}_low") is not None:
                right.plot([row[f"{name}_low"], row[f"{name}_high"]], [k + offset] * 2, "-",
                           color=style.QUIET)
                right.plot([row[name]], [k + offset], mark, ms=5,
                           color=style.scheme_colour(label), mfc="white" if mark == "D" else None)
        ticks.append(style.short_name(label))
    right.axvline(0, color=style.QUIET, lw=0.8)
    right.set_yticks(range(len(ticks)), ticks)
    right.set_ylim(len(ticks) - 0.4, -0.6)
    right.set_xlabel("change against FP32 (logits): ● bias, ◇ confidence")
    style.grid(right, "x")
    return figure


def caption(data: FigureData) -> str:
    """What to see: whether there is a bias, and where it comes from."""
    parts = [f"Ranges as they stand in each file, held against the float activations of "
             f"{style.plural(data.facts['images'], 'validation image')}."]
    for label, row in data.facts["variants"].items():
        parts.append(_sentence(style.scheme_name(label), row, data.facts["layers"]))
    return " ".join(parts)


def _sentence(name: str, row: dict[str, Any], layers: list[str]) -> str:
    known = [(v, layers[k]) for k, v in enumerate(row["clipped"]) if v is not None]
    share, layer = max(known, default=(0.0, ""))
    text = f"{name}: most clipped is {layer} ({style.number(100 * share, 2)}%)" if share else (
        f"{name}: nothing is clipped")
    if row.get("confidence_low") is None:
        return f"{text}."
    bias = "no bias is seen" if row["shift_low"] <= 0 <= row["shift_high"] else (
        f"the margin moves by {style.number(row['shift'], 2)} on average")
    if row["confidence_low"] > 0:
        sure = "and towards confidence"
    elif row["confidence_high"] < 0:
        sure = "and away from confidence"
    else:
        sure = "with no move towards confidence"
    source = ""
    if not row["shift_low"] <= 0 <= row["shift_high"] or row["confidence_low"] > 0:
        source = ("; so little is clipped that rounding is the likelier cause" if share < 1e-3
                  else f"; clipping in {layer} may be the cause")
    return (f"{text}; {bias} {sure}{source} (n = {row['n']}, spread of the margins "
            f"{style.number(row['margin_spread'], 2)}).")
