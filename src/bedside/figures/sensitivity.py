"""Sensitivity of each layer to INT8: its SQNR, and the effect on the logits of quantizing it.

The SQNR is computed here on a few validation images; the effect on the logits, one layer at a time
and all but one, is read from ``bedside search`` where it has run.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from bedside.core import codec
from bedside.core.text import number, plural
from bedside.figures import inputs, style
from bedside.figures.base import FigureData, NotAvailable, Reads
from bedside.figures.noise import IMAGES, layer_sqnr
from bedside.runfolder import artefact, layout

TITLE = "Sensitivity of each layer to INT8"
READS = Reads()

_LOW_DB = 20.0


def compute(run: Path, model: str) -> FigureData:
    """Compute the SQNR by layer and read the search's results.

    Facts: ``layers``, a row per layer with ``sqnr_db`` and, where searched, its damage.
    ``alone_damage``: root mean square change of the logits over their standard deviation with only
    this layer in int8; ``all_but_damage``: with every other layer in int8.
    """
    original = inputs.original_of(run, model)
    found = inputs.quantized_of(run, model)
    label = next((k for k in found if k == inputs.INTEGER), None) or next(
        (k for k in found if k.startswith(inputs.INTEGER)), None)
    if label is None:
        raise NotAvailable(f"the study holds no {inputs.INTEGER} variant of {model}")
    cases = inputs.validation_cases(run)
    noise = layer_sqnr(run, original, found[label], [c.id for c in cases[:IMAGES]])
    damage = _searched(run, model)
    rows = [{"layer": x.name, "op": x.op, "weights": x.weights, "sqnr_db": db,
             **damage.get(x.name, {})} for x, db in noise]
    if not rows:
        raise NotAvailable("no layer of the quantized file has the name of the original's")
    return FigureData({}, {"model": model, "scheme": label, "images": min(IMAGES, len(cases)),
                           "searched": bool(damage), "layers": rows})


def _searched(run: Path, model: str) -> dict[str, dict[str, Any]]:
    folder = layout.search_dir(run, model)
    if not artefact.finished(folder, "search"):
        return {}
    rows = csv.DictReader(io.StringIO(codec.read_text(folder / "layers.csv")))
    return {r["layer"]: {"alone_damage": float(r["alone_damage"]),
                         "alone_shift": float(r["alone_shift"]),
                         "alone_flips": int(r["alone_flips"]),
                         "all_but_damage": float(r["all_but_damage"]),
                         "all_but_flips": int(r["all_but_flips"]),
                         "judged": int(r["images"])} for r in rows}


# ------------------------------------------------------------------ drawing


def draw(data: FigureData) -> Figure:
    """Draw a row per layer: SQNR left, effect on the logits right where a search has run."""
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
        axes[1].set_xlabel("change of the logits (fraction of their standard deviation)")
        axes[1].set_xlim(left=0)
        figure.legend(loc="outside upper right", ncols=2)
    axes[0].set_yticks(list(places), [style.layer_name(r["layer"], 34) for r in rows], fontsize=7)
    axes[0].set_ylim(len(rows) - 0.4, -0.6)
    for part in axes:
        style.grid(part, "x")
    return figure


def caption(data: FigureData) -> str:
    """State the result, with the figure's own numbers."""
    rows = data.facts["layers"]
    known = [r for r in rows if r["sqnr_db"] is not None]
    name = style.scheme_name(data.facts["scheme"])
    text = (f"Signal-to-quantization-noise ratio of every layer of {name} on "
            f"{plural(data.facts['images'], 'validation image')}.")
    if known:
        worst = min(known, key=lambda r: r["sqnr_db"])
        text = f"Lowest: {worst['layer']}, {worst['sqnr_db']:.1f} dB. {text}"
    if data.facts["searched"]:
        judged = [r for r in rows if "alone_damage" in r]
        top = max(judged, key=lambda r: r["alone_damage"])
        text += (f" Quantized alone, {top['layer']} changes the logits most: by "
                 f"{number(top['alone_damage'], 2)} of their standard deviation, "
                 f"{top['alone_flips']} of {top['judged']} validation images change class.")
    else:
        text += " Run “bedside search RUN” for each layer's effect on the logits."
    return text
