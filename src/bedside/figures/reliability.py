"""Calibration curves: predicted probability against observed frequency, a panel per scheme."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bedside.core import codec
from bedside.core.text import number, plural, signed
from bedside.figures import inputs, style
from bedside.figures.base import VERSION, FigureData, NotAvailable, Reads
from bedside.metrics import calibration
from bedside.runfolder import artefact, layout, stored

TITLE = "Are the probabilities calibrated?"
READS = Reads(evidence=True, version=VERSION + 1)

_COLUMNS = 4


def compute(run: Path, model: str) -> FigureData:
    """Read every variant's bins, curve and scores from the stage ``evidence``.

    Facts: ``panels`` by scheme, of the test images: ``bins`` and ``calibration`` of the
    probabilities that ship, ``raw`` bins without a temperature, ``scores`` without and
    ``calibrated`` with the ``temperature`` that ships, ``words`` on what intervals exclude. One
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
        if label is None or p.calibration is None or not any(b.observed.n for b in p.bins):
            continue
        target = target or p.target
        if p.target != target:
            continue
        panels[label] = {
            "bins": codec.encode(p.bins), "raw": codec.encode(p.raw_bins),
            "scores": codec.encode(p.scores), "calibrated": codec.encode(p.calibrated),
            "temperature": p.temperature, "calibration": codec.encode(p.calibration),
            "words": calibration.words(p.calibration)}
    if not panels:
        raise NotAvailable(f"no test image of {model} was predicted")
    return FigureData({}, {"model": model, "target": target, "positive": points.positive,
                           "panels": panels})


# ------------------------------------------------------------------ drawing


def draw(data: FigureData) -> Figure:
    """Draw the smooth curve and its band, filled points as they ship, hollow ones as logits say."""
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
    points = panel["calibration"]["curve"]
    if points:
        x = [p["predicted"] for p in points]
        axes.fill_between(x, [p["low"] for p in points], [p["high"] for p in points],
                          color=colour, alpha=0.18, lw=0)
        axes.plot(x, [p["observed"] for p in points], "-", color=colour)
    if panel["temperature"] is not None:
        raw = [(b["mean"], b["observed"]["value"]) for b in panel["raw"] if b["observed"]["n"]]
        axes.plot([x for x, _ in raw], [y for _, y in raw], "o", ms=4, mfc="white", color=colour,
                  alpha=0.6)
    known = [b for b in panel["bins"] if b["observed"]["n"]]
    for b in known:
        axes.plot([b["mean"]] * 2, [b["observed"]["low"], b["observed"]["high"]], "-",
                  color=colour, lw=0.8, alpha=0.5)
    axes.plot([b["mean"] for b in known], [b["observed"]["value"] for b in known], "o", ms=4,
              color=colour)
    axes.set_title(style.short_name(label))
    axes.text(0.03, 0.98, _numbers(panel), transform=axes.transAxes, va="top", fontsize=7)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.42)
    axes.set_xticks([0, 0.5, 1], ["0", "½", "1"])
    axes.set_yticks([0, 0.5, 1], ["0", "½", "1"])
    style.grid(axes, "both")


def _coefficient(name: str, found: dict[str, Any]) -> str:
    if found["value"] is None:
        return f"{name} {number(None)}"
    low, high = (signed(f"{found[k]:.2f}") for k in ("low", "high"))
    return f"{name} {signed(format(found['value'], '.2f'))} [{low}, {high}]"


def _numbers(panel: dict[str, Any]) -> str:
    found = panel["calibration"]
    said = panel["words"].replace(" and ", "\nand ")
    return "\n".join([_coefficient("slope", found["slope"]),
                      _coefficient("intercept", found["intercept"]), said])


def caption(data: FigureData) -> str:
    """State the result, with the figure's own numbers."""
    f = data.facts
    panels = f["panels"]
    n = sum(b["observed"]["n"] for b in next(iter(panels.values()))["raw"])
    wrong = [f"{style.short_name(k)} ({p['words']})" for k, p in panels.items()
             if p["calibration"]["findings"]]
    found = (f"Miscalibrated beyond chance: {', '.join(wrong)}" if wrong else
             "No miscalibration was found, which does not prove that there is none")
    shared = {p["temperature"] for p in panels.values()}
    warm = ("without a temperature, because none exists" if shared == {None} else
            f"at the temperature that ships, {number(shared.pop(), 3)}" if len(shared) == 1 else
            "each at its own temperature")
    missing = sorted({p["calibration"]["curve_reason"] for p in panels.values()
                      if p["calibration"]["curve_reason"]})
    without = f" No smooth curve where {missing[0]}." if missing else ""
    return (f"{found}: probabilities of {f['model']} on {plural(n, 'test image')}, {f['target']}, "
            f"{warm}. Lines with pointwise 95% bands are smooth calibration curves (restricted "
            "cubic splines), filled points ten bins with 95% intervals, hollow points the same "
            "without a temperature; the dashed line is perfect calibration. Slope (1 is right) and "
            f"intercept (0 is right) have 95% intervals.{without}")
