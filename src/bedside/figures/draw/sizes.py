"""Sizes of the files, the paper's beside them."""

from __future__ import annotations

from matplotlib.figure import Figure

from bedside.figures import style
from bedside.figures.base import FigureData


def draw(data: FigureData) -> Figure:
    """A group of bars a model, a diamond where the paper prints a size."""
    models = data.facts["models"]
    rows = sum(len(m) + 1 for m in models.values())
    figure = style.new_figure(0.9 + 0.27 * rows)
    axes = figure.add_subplot()
    y = 0.0
    ticks: list[float] = []
    labels: list[str] = []
    paper_shown = False
    for model, schemes in models.items():
        axes.annotate(model, (0, y), xytext=(4, 0), textcoords="offset points",
                      weight="bold", va="center")
        for label, row in schemes.items():
            y += 1
            size = row["size_bytes"] / 1e6
            axes.barh(y, size, height=0.72, color=style.scheme_colour(label))
            note = f"{size:.1f} MB" + (
                f" ({100 * row['share']:.0f}%)" if row["share"] is not None else "")
            if row["paper_mb"] is not None:
                axes.plot(row["paper_mb"], y, "D", ms=5, mfc="white", mec=style.INK, mew=1,
                          label=None if paper_shown else "the paper's Table 2", zorder=3)
                paper_shown = True
                note += f"; the paper {row['paper_mb']:.1f} MB"
            axes.text(1.04 * _largest(data), y, note, va="center", fontsize=8)
            ticks.append(y)
            labels.append(style.scheme_name(label))
        y += 1.3
    axes.set_yticks(ticks, labels)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(y - 0.6, -0.6)
    axes.set_xlim(0, (1.62 if paper_shown else 1.3) * _largest(data))
    axes.set_xlabel("size of the .tflite file (MB, decimal); in brackets: share of FP32")
    style.grid(axes, "x")
    if paper_shown:
        figure.legend(loc="outside upper right")
    return figure


def _largest(data: FigureData) -> float:
    return float(max(max(row["size_bytes"] / 1e6, row["paper_mb"] or 0.0)
               for schemes in data.facts["models"].values() for row in schemes.values()))


def caption(data: FigureData) -> str:
    """What to see."""
    shares: dict[str, list[float]] = {}
    for schemes in data.facts["models"].values():
        for label, row in schemes.items():
            if row["share"] is not None and label != "float32":
                shares.setdefault(label, []).append(100 * (1 - row["share"]))
    found = "; ".join(f"{style.scheme_name(k)} {_span(v)}" for k, v in shares.items())
    said = f"Smaller than FP32 by: {found}. " if found else ""
    return ("Sizes of the files that were made (the sizes of the paper's Table 2). "
            f"{said}The paper's headline is {100 * data.facts['paper_reduction']:.0f}% smaller "
            "for 8-bit models.")


def _span(values: list[float]) -> str:
    low, high = f"{min(values):.0f}", f"{max(values):.0f}"
    return f"{low}%" if low == high else f"{low}–{high}%"
