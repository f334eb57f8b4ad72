"""Figure 10: time an image by scheme and processor, FP32 on the device's CPU being 1."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bedside.figures import bars, style
from bedside.figures.base import FigureData

Row = dict[str, Any]
_UNITS = ("CPU", "GPU", "NPU")


def _shown(data: FigureData) -> list[Row]:
    return [r for r in data.facts["rows"] if r["ratio"] is not None]


def _where(row: Row) -> str:
    runtime = bars.RUNTIMES.get(row["runtime"])
    return f"{row['unit']}, {runtime}" if runtime else str(row["unit"])


def _rank(row: Row) -> tuple[int, str, tuple[int, str]]:
    unit = _UNITS.index(row["unit"]) if row["unit"] in _UNITS else len(_UNITS)
    return (unit, row["target"], bars.scheme_rank(row["scheme"]))


def _times(ratio: float) -> str:
    return f"×{ratio:.2g}" if ratio < 99.5 else f"×{ratio:.0f}"


def draw(data: FigureData) -> Figure:
    """A bar a cell, by device, network and processor; the paper's ratios as red ticks.

    Bars begin at 1, FP32 on the device's CPU, and run to the left where a cell is faster. The
    axis is logarithmic: a software GPU takes hundreds of times as long, and what is measured must
    stay readable beside it.
    """
    rows = _shown(data)
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["device"], row["model"]), []).append(row)
    figure = style.new_figure(1.1 + 0.27 * (len(rows) + 1.6 * len(groups)))
    axes = figure.add_subplot()
    axes.set_xscale("log")
    ratios = [1.0, *(r["ratio"] for r in rows)]
    if any(r["device"] == data.facts["paper_device"] for r in rows):
        ratios += [v for unit in data.facts["paper"].values() for v in unit.values()]
    low, high = 0.7 * min(ratios), 1.4 * max(ratios)
    axes.axvline(1.0, color=style.INK, lw=1.0)
    y, ticks, labels, paper = 0.0, [], [], False
    for (device, model), own in groups.items():
        axes.annotate(f"{model} on {device}", (low, y), xytext=(4, 0), textcoords="offset points",
                      weight="bold", va="center", bbox={"fc": "white", "ec": "none", "pad": 1})
        for row in sorted(own, key=_rank):
            y += 1
            flat = 0.97 < row["ratio"] < 1.03  # FP32 itself: a bar that can be seen
            bars.bar(axes, y, 1.03 if flat else row["ratio"],
                         style.scheme_colour(row["scheme"]), row, 0.97 if flat else 1.0)
            axes.annotate(f"{row['ms']:.3g} ms  {_times(row['ratio'])}  {bars.word(row)}",
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
    axes.set_xlim(low, high)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("time an image ÷ FP32 of the same network on the CPU of the same device\n"
                    "(logarithmic; left of the line is faster)")
    style.grid(axes, "x")
    marks: list[Any] = list(bars.handles(rows))
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
