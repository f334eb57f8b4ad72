"""Figure 10: time an image by scheme and processor, FP32 on the device's CPU being 1."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bedside.analyse.base import FigureData
from bedside.report.figures import evidence, style

Row = dict[str, Any]
_RUNTIMES = {"cpu": "LiteRT", "openvino": "OpenVINO", "onnxruntime": "ONNX Runtime",
             "LiteRT.js": "LiteRT.js"}


def _shown(data: FigureData) -> list[Row]:
    return [r for r in data.facts["rows"] if r["ratio"] is not None]


def _where(row: Row) -> str:
    runtime = _RUNTIMES.get(row["runtime"])
    return f"{row['unit']}, {runtime}" if runtime else str(row["unit"])


def draw(data: FigureData) -> Figure:
    """A bar a cell, by device, network and processor; the paper's ratios as red ticks."""
    rows = _shown(data)
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["device"], row["model"]), []).append(row)
    figure = style.new_figure(1.1 + 0.27 * (len(rows) + 1.6 * len(groups)))
    axes = figure.add_subplot()
    y, ticks, labels, paper = 0.0, [], [], False
    for (device, model), own in groups.items():
        axes.annotate(f"{model} on {device}", (0, y), xytext=(4, 0), textcoords="offset points",
                      weight="bold", va="center")
        for row in sorted(own, key=lambda r: ("CPU GPU NPU".find(r["unit"]), r["target"])):
            y += 1
            evidence.bar(axes, y, row["ratio"], style.scheme_colour(row["scheme"]), row)
            axes.annotate(f"{row['ms']:.3g} ms  ×{row['ratio']:.2g}  {evidence.word(row)}",
                          (1.012, y), xycoords=("axes fraction", "data"), va="center",
                          fontsize=7.5, annotation_clip=False)
            printed = (data.facts["paper"].get(row["unit"], {}).get(row["scheme"])
                       if device == data.facts["paper_device"] else None)
            if printed is not None:
                paper = True
                axes.plot([printed] * 2, [y - 0.42, y + 0.42], color=style.MARK, lw=1.8)
            ticks.append(y)
            labels.append(f"{_where(row)}  {style.short_name(row['scheme'])}")
        y += 1.6
    axes.set_yticks(ticks, labels)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(y - 0.9, -0.8)
    axes.set_xlim(0, 1.08 * max([1.0, *(r["ratio"] for r in rows)]))
    axes.set_xlabel("time an image ÷ FP32 of the same network on the CPU of the same device")
    style.grid(axes, "x")
    marks: list[Any] = list(evidence.handles(rows))
    if paper:
        marks.append(Line2D([], [], color=style.MARK, lw=1.8, label="the paper's VGG16, measured"))
    figure.legend(handles=marks, loc="outside upper right", ncols=len(marks))
    return figure


def caption(data: FigureData) -> str:
    """What to see."""
    rows = _shown(data)
    measured = [r for r in rows if r["evidence"] == "measured"]
    said = ""
    if measured:
        best = min(measured, key=lambda r: r["ratio"])
        said = (f"The quickest measured cell against its FP32 is {best['model']} "
                f"{style.scheme_name(best['scheme'])} on {best['target']}: {best['ms']:.3g} ms, "
                f"{best['ratio']:.2f} of the time. ")
    absent = sorted({r["target"] for r in data.facts["rows"] if r["ratio"] is None})
    rest = (f" Not drawn, for want of FP32 on the same device's CPU: {', '.join(absent)}."
            if absent else "")
    return ("Inference time by scheme and processor (the paper's Figure 10). Filled bars were "
            "measured; hatched ones were emulated, simulated or estimated and are in no ranking; "
            "dashed ones come from a profile that no published latency was fitted to. "
            f"{said}The paper found 3.8 times for dynamic range and full integer on its CPU, 8 "
            f"to 9% less on its GPU, and 33 times on its NPU.{rest}")
