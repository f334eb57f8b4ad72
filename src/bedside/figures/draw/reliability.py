"""Reliability diagrams: promised probability against what came true, a panel a scheme."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bedside.figures import style
from bedside.figures.base import FigureData

_COLUMNS = 4


def draw(data: FigureData) -> Figure:
    """Hollow: as the model gives them. Filled with 95% intervals: after the temperature."""
    panels = data.facts["panels"]
    rows = -(-len(panels) // _COLUMNS)
    figure = style.new_figure(2.75 * rows + 0.25)
    every = figure.subplots(rows, _COLUMNS, squeeze=False, sharex=True, sharey=True).ravel()
    for axes, (label, panel) in zip(every, panels.items(), strict=False):
        _panel(axes, label, panel)
    for axes in every[len(panels):]:
        axes.set_visible(False)
    what = data.facts["positive"]
    figure.supxlabel("promised probability" + (f" of {what}" if what else " of the class called"),
                     fontsize=8.5)
    figure.supylabel("share that came true", fontsize=8.5)
    return figure


def _panel(axes: Axes, label: str, panel: dict[str, Any]) -> None:
    colour = style.scheme_colour(label)
    axes.plot([0, 1], [0, 1], "--", color=style.QUIET, lw=0.9)
    raw = [(b["mean"], b["observed"]["value"]) for b in panel["raw"] if b["observed"]["n"]]
    axes.plot([x for x, _ in raw], [y for _, y in raw], "o", ms=5, mfc="white", color=colour)
    if panel["temperature"] is not None:
        known = [b for b in panel["bins"] if b["observed"]["n"]]
        for b in known:
            axes.plot([b["mean"]] * 2, [b["observed"]["low"], b["observed"]["high"]], "-",
                      color=colour, lw=1, alpha=0.6)
        axes.plot([b["mean"] for b in known], [b["observed"]["value"] for b in known], "o-", ms=4,
                  color=colour)
    axes.set_title(style.short_name(label))
    axes.text(0.03, 0.97, _numbers(panel), transform=axes.transAxes, va="top", fontsize=7.5)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.3)
    axes.set_xticks([0, 0.5, 1], ["0", "½", "1"])
    axes.set_yticks([0, 0.5, 1], ["0", "½", "1"])
    style.grid(axes, "both")


def _numbers(panel: dict[str, Any]) -> str:
    before, after = panel["scores"]["ece"]["value"], panel["calibrated"].get("ece")
    if after is None:
        return f"ECE {style.number(before, 2)}\nno temperature"
    return (f"ECE {style.number(before, 2)} → {style.number(after['value'], 2)}\n"
            f"temperature {style.number(panel['temperature'], 3)}")


def caption(data: FigureData) -> str:
    """What to see."""
    f = data.facts
    n = sum(b["observed"]["n"] for b in next(iter(f["panels"].values()))["raw"])
    text = (f"Probabilities of {f['model']} on {style.plural(n, 'test image')}, {f['target']}, in "
            "ten bins: on the dashed line promises come true. Hollow points are as the file gives "
            "them, filled ones with 95% intervals after the temperature, which is chosen on "
            "validation images for each variant. ECE is the mean distance from the line")
    none = [style.short_name(k) for k, p in f["panels"].items() if p["temperature"] is None]
    return text + (f"; no temperature exists for {', '.join(none)}." if none else ".")
