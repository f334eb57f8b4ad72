"""Figure 10, CPU part: time an image against FP32 on the same CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bedside.figures import style
from bedside.figures.base import FigureData

_POINTS = 60


def draw(data: FigureData) -> Figure:
    """A bar of the median a model and scheme, raw samples over it, the paper's ratio beside."""
    models = data.facts["models"]
    paper = data.facts["paper"]["cpu"]
    rows = sum(len(m) + 1 for m in models.values())
    figure = style.new_figure(0.9 + 0.29 * rows)
    axes = figure.add_subplot()
    limit = 1.25 * _widest(data)
    y = 0.0
    ticks: list[float] = []
    labels: list[str] = []
    for model, schemes in models.items():
        axes.annotate(model, (0, y), xytext=(4, 0), textcoords="offset points",
                      weight="bold", va="center")
        unit = _unit(schemes)
        for label, row in schemes.items():
            y += 1
            ms = data.arrays[f"ms:{model}:{label}"] / unit
            axes.barh(y, row["median_ms"] / unit, height=0.7, color=style.scheme_colour(label),
                      alpha=0.75)
            shown = ms[np.linspace(0, ms.size - 1, min(ms.size, _POINTS)).astype(int)]
            wobble = np.random.default_rng(0).uniform(-0.22, 0.22, shown.size)
            axes.plot(shown, y + wobble, "o", ms=1.8, mfc=style.INK, mec="none", alpha=0.45)
            beyond = int(np.count_nonzero(ms > limit))
            note = _note(row) + (f" ({beyond} of {ms.size} beyond)" if beyond else "")
            axes.annotate(note, (1.012, y), xycoords=("axes fraction", "data"), va="center",
                          fontsize=8, annotation_clip=False)
            if label in paper:
                for colour, width in (("white", 3.2), (style.MARK, 1.6)):
                    axes.plot([paper[label]] * 2, [y - 0.42, y + 0.42], color=colour, lw=width,
                              solid_capstyle="butt")
            ticks.append(y)
            labels.append(style.scheme_name(label))
        y += 1.3
    axes.set_yticks(ticks, labels)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(y - 0.6, -0.6)
    axes.set_xlim(0, limit)
    axes.set_xlabel("time an image ÷ median of the same network's FP32 on this CPU "
                    "(dots: raw samples)")
    style.grid(axes, "x")
    if any(label in paper for schemes in models.values() for label in schemes):
        mark = Line2D([], [], color=style.MARK, lw=1.6,
                      label="the paper's VGG16 on a Snapdragon 865 CPU")
        figure.legend(handles=[mark], loc="outside upper right")
    return figure


def _unit(schemes: dict[str, Any]) -> float:
    """Milliseconds that are 1 on the axis: FP32's median, else the first scheme's."""
    row = schemes.get("float32") or next(iter(schemes.values()))
    return float(row["median_ms"])


def _widest(data: FigureData) -> float:
    """How far the axis must reach: every median and most samples, not the last outlier."""
    reach = [1.0]
    for schemes in data.facts["models"].values():
        for row in schemes.values():
            spread = min(row["p95_ms"], 2 * row["median_ms"])
            reach.append(spread / _unit(schemes))
    return max(reach)


def _note(row: dict[str, Any]) -> str:
    digits = 1 if row["median_ms"] >= 10 else 2
    text = f"{row['median_ms']:.{digits}f} ms"
    if row["ratio"] is not None and row["ratio"] != 1.0:
        text += f"  ×{row['ratio']:.2f} [{row['ratio_low']:.2f}, {row['ratio_high']:.2f}]"
    return text


def caption(data: FigureData) -> str:
    """What to see."""
    f = data.facts
    rows = [(m, s, r) for m, t in f["models"].items() for s, r in t.items()
            if r["ratio"] is not None and s != "float32"]
    fastest = min(rows, key=lambda x: x[2]["ratio"], default=None)
    said = ""
    if fastest is not None:
        model, label, row = fastest
        said = (f"The quickest against its FP32 is {model} {style.scheme_name(label)}: "
                f"{row['median_ms']:.1f} ms, {row['ratio']:.2f} of FP32's time "
                f"(95% interval {row['ratio_low']:.2f} to {row['ratio_high']:.2f}). ")
    machine = f["machine"].get("processor", "this machine")
    threads = ", ".join(str(t) for t in f["threads"])
    return (f"Median time an image on {machine}"
            f"{f', {threads} threads' if threads else ''} (the CPU part of the paper's Figure "
            f"10), batch 1, FP32 being 1. {said}The paper found 3.8 times faster for dynamic "
            "range and full integer and no gain for half precision on its Arm CPU; which scheme "
            "is quickest depends on the processor.")
