"""Figure 10, CPU part: time an image against FP32 on the same CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from bedside.analyse.base import FigureData
from bedside.report.figures import style

_POINTS = 60


def draw(data: FigureData) -> Figure:
    """A bar of the median a model and scheme, raw samples over it, the paper's ratio beside."""
    models = data.facts["models"]
    paper = data.facts["paper"]["cpu"]
    rows = sum(len(m) + 1 for m in models.values())
    figure = style.new_figure(0.9 + 0.29 * rows)
    axes = figure.add_subplot()
    y = 0.0
    ticks: list[float] = []
    labels: list[str] = []
    ends = [1.0]
    for model, schemes in models.items():
        axes.annotate(model, (0, y), xytext=(4, 0), textcoords="offset points",
                      weight="bold", va="center")
        base = schemes.get("float32", {}).get("median_ms")
        unit = base or next(iter(schemes.values()))["median_ms"]
        for label, row in schemes.items():
            y += 1
            ms = data.arrays[f"ms:{model}:{label}"] / unit
            axes.barh(y, row["median_ms"] / unit, height=0.7, color=style.scheme_colour(label),
                      alpha=0.75)
            shown = ms[np.linspace(0, ms.size - 1, min(ms.size, _POINTS)).astype(int)]
            wobble = np.random.default_rng(0).uniform(-0.22, 0.22, shown.size)
            axes.plot(shown, y + wobble, "o", ms=1.8, mfc=style.INK, mec="none", alpha=0.45)
            end = float(np.percentile(ms, 98))
            ends.append(end)
            axes.annotate(_note(row), (end, y), xytext=(8, 0), textcoords="offset points",
                          va="center", fontsize=8)
            if label in paper:
                axes.plot([paper[label]] * 2, [y - 0.42, y + 0.42], color="white", lw=3.2,
                          solid_capstyle="butt")
                axes.plot([paper[label]] * 2, [y - 0.42, y + 0.42], color=style.MARK, lw=1.6,
                          solid_capstyle="butt",
                          label="the paper's VGG16 on a Snapdragon 865 CPU"
                          if label == "int8" and len(ticks) < 5 else None)
            ticks.append(y)
            labels.append(style.scheme_name(label))
        y += 1.3
    axes.set_yticks(ticks, labels)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(y - 0.6, -0.6)
    axes.set_xlim(0, 1.42 * float(np.percentile(ends, 95)))
    axes.set_xlabel("time an image ÷ median of the same network's FP32 on this CPU "
                    "(dots: raw samples)")
    style.grid(axes, "x")
    figure.legend(loc="outside upper right", ncols=1)
    return figure


def _note(row: dict[str, Any]) -> str:
    text = f"{row['median_ms']:.1f} ms"
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
