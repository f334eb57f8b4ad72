"""Results of the study's repeats: one dot a unit, beside the study's own value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bedside.core.repeats import Repeats, Spread
from bedside.core.repeats_text import DRAWS, MAIN
from bedside.figures import style
from bedside.figures.base import FigureData, NotAvailable, Reads
from bedside.runfolder import stored

TITLE = "The study as a distribution: other seeds, splits and calibration images"
READS = Reads(whole_study=True)

_COLOURS = {"seed": "#0072B2", "split": "#D55E00", "calibration": "#009E73"}
_SENSITIVITY = ("sensitivity", "macro_sensitivity")


def compute(run: Path, model: str) -> FigureData:
    """Read the spreads of AUC, and of the changes of AUC and sensitivity from float32.

    Facts: ``panels``, each with a ``title`` and ``rows`` of ``name``, ``draw``, ``values`` and
    ``study``.

    Raises:
        NotAvailable: the study has not been repeated.
    """
    del model
    found = stored.repeats(run)
    if found is None or not found.spreads:
        raise NotAvailable("the study has not been repeated (bedside run … --repeats 5)")
    panels = [_panel(found, "AUC on test images", "value", MAIN),
              _panel(found, "AUC less float32's", "difference", MAIN),
              _panel(found, "sensitivity less float32's", "difference", _SENSITIVITY)]
    return FigureData(facts={"panels": [p for p in panels if p["rows"]],
                             "repeats": found.repeats, "folds": found.folds})


def _panel(found: Repeats, title: str, quantity: str, metrics: tuple[str, ...]) -> dict[str, Any]:
    def wanted(s: Spread) -> bool:
        # A float32 network is not calibrated: other images change nothing.
        return (s.quantity == quantity and s.metric in metrics
                and not (s.draw == "calibration" and (quantity == "value" or not any(s.values))))

    rows = [{"name": f"{s.variant}@{s.target}", "draw": s.draw, "values": list(s.values),
             "study": s.study} for s in found.spreads if wanted(s)]
    return {"title": title, "rows": rows, "difference": quantity == "difference"}


# ------------------------------------------------------------------ drawing


def draw(data: FigureData) -> Figure:
    """Draw one row a cell and draw, a dot a unit, a bar for the study's own value."""
    panels = data.facts["panels"]
    heights = [max(len(p["rows"]), 2) for p in panels]
    figure = style.new_figure(0.9 + 0.2 * sum(heights) + 0.55 * len(panels))
    every = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, panel in zip(every, panels, strict=True):
        _draw_panel(axes, panel)
    drawn = [d for d in DRAWS if any(r["draw"] == d for p in panels for r in p["rows"])]
    handles = [every[0].plot([], [], "o", color=_COLOURS[d], ms=5, label=f"another {DRAWS[d]}")[0]
               for d in drawn]
    handles.append(every[0].plot([], [], "|", color=style.INK, ms=9, mew=2,
                                 label="this study")[0])
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def _draw_panel(axes: Axes, panel: dict[str, Any]) -> None:
    names = list(dict.fromkeys(r["name"] for r in panel["rows"]))
    rows = sorted(panel["rows"], key=lambda r: (names.index(r["name"]), r["draw"] == "calibration",
                                                r["draw"] == "split"))
    for y, row in enumerate(rows):
        values = np.array(row["values"])
        axes.plot([values.min(), values.max()], [y, y], color=_COLOURS[row["draw"]], lw=0.8,
                  alpha=0.5)
        axes.plot(values, np.full(len(values), y), "o", color=_COLOURS[row["draw"]], ms=4.5,
                  alpha=0.75, mec="white", mew=0.5)
        if row["study"] is not None:
            axes.plot(row["study"], y, "|", color=style.INK, ms=10, mew=2)
    if panel["difference"]:
        axes.axvline(0, color=style.QUIET, lw=0.8, ls="--")
    places = [[y for y, r in enumerate(rows) if r["name"] == name] for name in names]
    axes.set_yticks([float(np.mean(p)) for p in places], names)
    for place in places[1:]:
        axes.axhline(place[0] - 0.5, color=style.FAINT, lw=0.6)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_title(panel["title"])
    style.grid(axes, "x")


def caption(data: FigureData) -> str:
    """State the number of units and the widest spread of AUC."""
    rows = data.facts["panels"][0]["rows"]
    widest = max(rows, key=lambda r: max(r["values"]) - min(r["values"]))
    how = (f"{data.facts['folds']}-fold cross-validations" if data.facts["folds"]
           else "single splits")
    return (f"AUC varies most over another {DRAWS[widest['draw']]}: {widest['name']} from "
            f"{min(widest['values']):.3f} to {max(widest['values']):.3f}. Each dot is one repeat "
            "in which only that was drawn again "
            f"({data.facts['repeats']} of each; splits as {how}), the bar this study.")
