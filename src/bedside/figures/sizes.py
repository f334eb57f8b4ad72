"""Sizes of every file, with those of the paper's Table 2."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from bedside.figures import bars, inputs, style
from bedside.figures.base import FigureData, NotAvailable, Reads
from bedside.runfolder import stored

TITLE = "Model sizes (from the paper's Table 2)"
READS = Reads(whole_study=True)
# Table 2 of the paper, as printed there (MB), by network and scheme.
PAPER_MB: dict[str, dict[str, float]] = {
    "vgg16": {"float32": 74.1, "dynamic": 18.6, "float16": 37.0, "int8": 18.6},
    "googlenet": {"float32": 61.7, "dynamic": 15.6, "float16": 30.9, "int8": 15.6},
    "resnet34": {"float32": 85.1, "dynamic": 21.5, "float16": 42.6, "int8": 21.5},
}
PAPER_REDUCTION = 0.75


def compute(run: Path, model: str) -> FigureData:
    """Collect file sizes.

    Facts: ``models``, by model and scheme: bytes, share of the original, the paper's MB.
    """
    del model
    table = {}
    for name in sorted({v.model for v in stored.variants(run)}):
        found = inputs.variants_of(run, name)
        base = found.get(inputs.ORIGINAL)
        paper = PAPER_MB.get(network_name(run, name), {})
        table[name] = {label: {
            "size_bytes": v.size_bytes,
            "share": v.size_bytes / base.size_bytes if base is not None else None,
            "paper_mb": paper.get(label)} for label, v in found.items()}
    if not table:
        raise NotAvailable("the study holds no variant")
    return FigureData({}, {"models": table, "paper_reduction": PAPER_REDUCTION})


def network_name(run: Path, model: str) -> str:
    """Return the network of a model's id."""
    return next((s.name for s in stored.model_specs(run) if s.id == model), model)


# ------------------------------------------------------------------ drawing


def draw(data: FigureData) -> Figure:
    """Draw a group of bars per model, and a diamond where the paper prints a size."""
    models = data.facts["models"]
    rows = sum(len(m) + 1 for m in models.values())
    figure = style.new_figure(0.9 + 0.27 * rows)
    axes = figure.add_subplot()
    y = 0.0
    ticks: list[float] = []
    labels: list[str] = []
    paper_shown = False
    for model, schemes in models.items():
        bars.heading(axes, y, model)
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
    bars.finish(axes, ticks, labels, (y - 0.6, -0.6))
    axes.set_xlim(0, (1.62 if paper_shown else 1.3) * _largest(data))
    axes.set_xlabel("size of the .tflite file (MB, decimal); in brackets: share of FP32")
    if paper_shown:
        figure.legend(loc="outside upper right")
    return figure


def _largest(data: FigureData) -> float:
    return float(max(max(row["size_bytes"] / 1e6, row["paper_mb"] or 0.0)
               for schemes in data.facts["models"].values() for row in schemes.values()))


def caption(data: FigureData) -> str:
    """State the result, with the figure's own numbers."""
    shares: dict[str, list[float]] = {}
    for schemes in data.facts["models"].values():
        for label, row in schemes.items():
            if row["share"] is not None and label != "float32":
                shares.setdefault(label, []).append(100 * (1 - row["share"]))
    gains = "; ".join(f"{style.scheme_name(k)} {_span(v)}" for k, v in shares.items())
    said = f"Smaller than FP32 by: {gains}. " if gains else ""
    return (f"{said}Sizes of this study's files (compare the paper's Table 2). The paper's "
            f"headline is {100 * data.facts['paper_reduction']:.0f}% smaller for 8-bit models.")


def _span(values: list[float]) -> str:
    low, high = f"{min(values):.0f}", f"{max(values):.0f}"
    return f"{low}%" if low == high else f"{low}–{high}%"
