"""Reliability diagrams: predicted probability against observed frequency, a panel per scheme."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bedside.core import codec
from bedside.core.text import number, plural
from bedside.figures import inputs, style
from bedside.figures.base import FigureData, NotAvailable, Reads
from bedside.runfolder import artefact, layout, stored

TITLE = "Are the probabilities calibrated?"
READS = Reads(evidence=True)

_COLUMNS = 4


def compute(run: Path, model: str) -> FigureData:
    """Read every variant's bins and scores from the stage ``evidence``.

    Facts: ``panels`` by scheme, of the test images: ``bins`` after temperature, ``raw`` before it,
    ``scores`` and ``calibrated`` (Brier score and calibration error), ``temperature``. One
    target's, this CPU's where it was measured.

    Raises:
        NotAvailable: the stage ``evidence`` has not run, or no test image was predicted.
    """
    if not artefact.finished(layout.evidence_dir(run, model), "evidence"):
        raise NotAvailable("the paired tests have not been computed (bedside report RUN does it)")
    points, found = stored.operating_points(run, model), stored.statistics(run, model)
    schemes = {v.id: label for label, v in inputs.variants_of(run, model).items()}
    panels: dict[str, Any] = {}
    target = None
    ranked = sorted(found.probabilities, key=lambda p: (
        not inputs.is_cpu(p.target), p.target, inputs.scheme_order(schemes.get(p.variant, ""))))
    for p in ranked:
        label = schemes.get(p.variant)
        if label is None or not any(b.observed.n for b in p.bins):
            continue
        target = target or p.target
        if p.target != target:
            continue
        own = points.cells[layout.cell_name(p.variant, p.target)]
        panels[label] = {
            "bins": codec.encode(p.bins), "raw": codec.encode(p.raw_bins),
            "scores": codec.encode(p.scores), "calibrated": codec.encode(p.calibrated),
            "temperature": own.temperature, "temperature_reason": own.temperature_reason}
    if not panels:
        raise NotAvailable(f"no test image of {model} was predicted")
    return FigureData({}, {"model": model, "target": target, "positive": points.positive,
                           "panels": panels})


# ------------------------------------------------------------------ drawing


def draw(data: FigureData) -> Figure:
    """Draw hollow points before and filled points with 95% intervals after temperature scaling."""
    panels = data.facts["panels"]
    rows = -(-len(panels) // _COLUMNS)
    figure = style.new_figure(2.75 * rows + 0.25)
    every = figure.subplots(rows, _COLUMNS, squeeze=False, sharex=True, sharey=True).ravel()
    for axes, (label, panel) in zip(every, panels.items(), strict=False):
        _panel(axes, label, panel)
    for axes in every[len(panels):]:
        axes.set_visible(False)
    what = data.facts["positive"]
    figure.supxlabel(f"predicted probability of {what or 'the predicted class'}", fontsize=8.5)
    figure.supylabel("observed frequency", fontsize=8.5)
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
        return f"ECE {number(before, 2)}\nno temperature"
    return (f"ECE {number(before, 2)} → {number(after['value'], 2)}\n"
            f"temperature {number(panel['temperature'], 3)}")


def caption(data: FigureData) -> str:
    """State the result, with the figure's own numbers."""
    f = data.facts
    n = sum(b["observed"]["n"] for b in next(iter(f["panels"].values()))["raw"])
    text = (f"Probabilities of {f['model']} on {plural(n, 'test image')}, {f['target']}, in "
            "ten bins; the dashed line is perfect calibration. Hollow points are the model's own "
            "probabilities; filled points, with 95% intervals, are after temperature scaling, "
            "fitted on validation images for each variant. ECE is the mean distance from the line")
    none = [style.short_name(k) for k, p in f["panels"].items() if p["temperature"] is None]
    return text + (f"; no temperature exists for {', '.join(none)}." if none else ".")
