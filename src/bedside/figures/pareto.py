"""Validation accuracy against measured latency, with file size, by target."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bedside.core.recommendation import Candidate, Recommendation
from bedside.figures import style
from bedside.figures.base import FigureData, NotAvailable, Reads
from bedside.runfolder import artefact, stored

TITLE = "Accuracy against latency, and size"
READS = Reads(whole_study=True)

MARKERS = "osD^vPX*"
LARGEST_PT2 = 420.0
SMALLEST_PT2 = 26.0


def compute(run: Path, model: str) -> FigureData:
    """Place every variant with a validation AUC and a measured latency.

    Facts: ``targets``, a table each with ``points``, ``others`` and ``metric``. A point holds AUC
    with its interval, median latency with its range, bytes, whether it is Pareto-optimal
    (``front``), whether it is ``chosen`` or ``vetoed``. ``others`` counts the variants without a
    point, by reason.

    Raises:
        NotAvailable: there is no recommendation yet, or nothing was measured.
    """
    del model
    if not artefact.finished(run, "recommend"):
        raise NotAvailable("there is no recommendation yet; bedside recommend makes one")
    targets: dict[str, Any] = {}
    for found in stored.recommendations(run).recommendations:
        points = [_point(c, found) for c in found.candidates if _placed(c)]
        if points:
            targets[found.target] = {"points": _with_front(points), "others": _others(found),
                                     "metric": found.candidates[0].metric}
    if not targets:
        raise NotAvailable("no variant has both a validation AUC and a measured latency")
    return FigureData(facts={"targets": targets})


def _placed(c: Candidate) -> bool:
    return (c.status == "ok" and c.auc.value is not None and c.latency_ms is not None
            and c.latency_evidence == "measured")


def _point(c: Candidate, found: Recommendation) -> dict[str, Any]:
    assert c.latency_ms is not None
    return {"variant": c.variant, "model": c.model, "scheme": c.scheme, "auc": c.auc.value,
            "auc_low": c.auc.low, "auc_high": c.auc.high, "n": c.auc.n,
            "ms": c.latency_ms.median, "ms_low": c.latency_ms.low, "ms_high": c.latency_ms.high,
            "size_bytes": c.size_bytes, "chosen": c.variant == found.chosen,
            "vetoed": c.variant == found.vetoed}


def _with_front(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mark the Pareto-optimal points: none is faster without a lower AUC, or the reverse."""
    def beaten(p: dict[str, Any]) -> bool:
        return any(q["ms"] <= p["ms"] and q["auc"] >= p["auc"]
                   and (q["ms"], q["auc"]) != (p["ms"], p["auc"]) for q in points)

    return [{**p, "front": not beaten(p)} for p in points]


def _others(found: Recommendation) -> dict[str, int]:
    count: dict[str, int] = {}
    for c in found.candidates:
        if _placed(c):
            continue
        why = (c.status if c.status != "ok" else "no validation AUC" if c.auc.value is None
               else f"latency {c.latency_evidence}" if c.latency_ms is not None
               else "no latency")
        count[why] = count.get(why, 0) + 1
    return dict(sorted(count.items()))


# ------------------------------------------------------------------ drawing


def draw(data: FigureData) -> Figure:
    """Draw latency to the right (logarithmic) and validation AUC upwards, intervals as crosses."""
    targets: dict[str, Any] = data.facts["targets"]
    figure = style.new_figure(0.5 + 3.0 * len(targets))
    every = [p for t in targets.values() for p in t["points"]]
    models = list(dict.fromkeys(p["model"] for p in every))
    largest = max(p["size_bytes"] for p in every)
    panels = figure.subplots(len(targets), 1, squeeze=False)[:, 0]
    for axes, (target, table) in zip(panels, targets.items(), strict=True):
        _panel(axes, target, table, models, largest)
    figure.legend(handles=_handles(every, models), loc="outside right upper")
    return figure


def _panel(axes: Axes, target: str, table: dict[str, Any], models: list[str], largest: int) -> None:
    points = table["points"]
    front = sorted((p for p in points if p["front"]), key=lambda p: p["ms"])
    axes.plot([p["ms"] for p in front], [p["auc"] for p in front], color=style.QUIET, lw=1,
              ls="--", zorder=1)
    for p in points:
        colour = style.scheme_colour(p["scheme"])
        low = p["auc"] if p["auc_low"] is None else p["auc_low"]
        high = p["auc"] if p["auc_high"] is None else p["auc_high"]
        axes.plot([p["ms"]] * 2, [low, high], color=colour, lw=0.8, alpha=0.6, zorder=2)
        axes.plot([p["ms_low"], p["ms_high"]], [p["auc"]] * 2, color=colour, lw=0.8, alpha=0.6,
                  zorder=2)
        axes.scatter(p["ms"], p["auc"], s=_area(p["size_bytes"], largest),
                     marker=MARKERS[models.index(p["model"]) % len(MARKERS)],
                     facecolor=colour, edgecolor="white", linewidth=0.8, alpha=0.9, zorder=3)
        if p["chosen"] or p["vetoed"]:
            axes.scatter(p["ms"], p["auc"], s=_area(p["size_bytes"], largest) + 170, marker="o",
                         facecolor="none", edgecolor=style.INK if p["chosen"] else style.MARK,
                         linewidth=1.6, linestyle="-" if p["chosen"] else "--", zorder=4)
    axes.set_xscale("log")
    _ticks(axes, [v for p in points for v in (p["ms_low"], p["ms_high"])])
    axes.set_title(target)
    axes.set_xlabel("measured latency, median ms per image")
    axes.set_ylabel("AUC, validation" if table["metric"] == "auroc" else "macro AUC, validation")
    style.grid(axes, "both")


def _area(size_bytes: int, largest: int) -> float:
    return max(SMALLEST_PT2, LARGEST_PT2 * size_bytes / largest)


def _ticks(axes: Axes, values: list[float]) -> None:
    """Set a few round ticks across the range, with some padding."""
    low, high = min(values) / 1.25, max(values) * 1.25
    axes.set_xlim(low, high)
    steps = [m * 10.0 ** e for e in range(math.floor(math.log10(low)) - 1,
                                          math.ceil(math.log10(high)) + 1)
             for m in (1, 1.5, 2, 3, 5, 7)]
    inside = [v for v in steps if low <= v <= high] or [min(values)]
    shown = inside[::max(1, math.ceil(len(inside) / 8))]
    axes.set_xticks(shown, [f"{v:g}" for v in shown])
    axes.set_xticks([], minor=True)


def _handles(every: list[dict[str, Any]], models: list[str]) -> list[Line2D]:
    def dot(label: str, colour: str, marker: str = "o", **more: Any) -> Line2D:
        return Line2D([], [], ls="none", marker=marker, color=colour, ms=6, label=label, **more)

    found = [dot(style.scheme_name(s), style.scheme_colour(s))
             for s in dict.fromkeys(p["scheme"] for p in every)]
    if len(models) > 1:
        found += [dot(m, style.QUIET, MARKERS[i % len(MARKERS)]) for i, m in enumerate(models)]
    if any(p["chosen"] for p in every):
        found.append(Line2D([], [], ls="none", marker="o", ms=11, mfc="none", mec=style.INK,
                            mew=1.6, label="recommended"))
    if any(p["vetoed"] for p in every):
        found.append(Line2D([], [], ls="none", marker="o", ms=11, mfc="none", mec=style.MARK,
                            mew=1.6, label="vetoed by the test set"))
    found.append(Line2D([], [], color=style.QUIET, lw=1, ls="--", label="Pareto front"))
    return found


def caption(data: FigureData) -> str:
    """State the result, with the figure's own numbers."""
    lines = []
    for target, table in data.facts["targets"].items():
        front = [p["variant"] for p in sorted(table["points"], key=lambda p: p["ms"]) if p["front"]]
        left = "; ".join(f"{n} with {why}" for why, n in table["others"].items())
        lines.append(f"Pareto-optimal on {target}: {', '.join(front)}"
                     + (f" (not placed: {left})" if left else "") + ".")
    return (f"{' '.join(lines)} Each point is a variant: further left is faster, higher is better, "
            "a smaller point is a smaller file. Vertical lines are 95% intervals of the AUC on "
            "validation images, horizontal lines the range of the medians of fresh processes. "
            "Test images are not used.")
