"""Layers from input to output: SQNR, and the damage of quantizing each one."""

from __future__ import annotations

from matplotlib.figure import Figure

from bedside.figures import style
from bedside.figures.base import FigureData

_LOW_DB = 20.0


def draw(data: FigureData) -> Figure:
    """A row a layer by name; SQNR left, logit damage right where a search has run."""
    rows = data.facts["layers"]
    figure = style.new_figure(max(2.4, 0.17 * len(rows) + 1.0))
    searched = bool(data.facts["searched"])
    axes = figure.subplots(1, 2 if searched else 1, sharey=True, squeeze=False)[0]
    places = range(len(rows))
    known = [(p, r["sqnr_db"]) for p, r in zip(places, rows, strict=True)
             if r["sqnr_db"] is not None]
    axes[0].barh([p for p, _ in known], [v for _, v in known], height=0.7,
                 color=[style.WRONG if v < _LOW_DB else style.scheme_colour("int8")
                        for _, v in known])
    axes[0].set_xlabel(f"SQNR of the layer’s output (dB); orange below {_LOW_DB:.0f} dB")
    if searched:
        axes[1].plot([r.get("alone_damage") for r in rows], places, "o", ms=4,
                     color=style.scheme_colour("int8"), label="only this layer in INT8")
        axes[1].plot([r.get("all_but_damage") for r in rows], places, "|", ms=7,
                     color=style.INK, label="every other layer in INT8")
        axes[1].set_xlabel("change of the logits (share of their standard deviation)")
        axes[1].set_xlim(left=0)
        figure.legend(loc="outside upper right", ncols=2)
    axes[0].set_yticks(list(places), [style.layer_name(r["layer"], 34) for r in rows], fontsize=7)
    axes[0].set_ylim(len(rows) - 0.4, -0.6)
    for part in axes:
        style.grid(part, "x")
    return figure


def caption(data: FigureData) -> str:
    """What to see."""
    rows = data.facts["layers"]
    known = [r for r in rows if r["sqnr_db"] is not None]
    name = style.scheme_name(data.facts["scheme"])
    text = (f"Signal to quantization noise of every layer of {name} on "
            f"{style.plural(data.facts['images'], 'validation image')}.")
    if known:
        worst = min(known, key=lambda r: r["sqnr_db"])
        text += f" Lowest: {worst['layer']}, {worst['sqnr_db']:.1f} dB."
    if data.facts["searched"]:
        judged = [r for r in rows if "alone_damage" in r]
        top = max(judged, key=lambda r: r["alone_damage"])
        text += (f" Quantized alone, {top['layer']} changes the logits most: by "
                 f"{style.number(top['alone_damage'], 2)} of their standard deviation, "
                 f"{top['alone_flips']} of {top['judged']} validation images change class.")
    else:
        text += " The damage of each layer to the logits: bedside search RUN."
    return text
