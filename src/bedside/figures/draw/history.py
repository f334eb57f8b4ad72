"""Figure 6: loss, accuracy and AUC of each epoch."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bedside.figures import style
from bedside.figures.base import FigureData


def draw(data: FigureData) -> Figure:
    """Losses on the left; validation accuracy and AUC on the right."""
    figure = style.new_figure(2.9)
    losses, scores = figure.subplots(1, 2)
    epochs = data.arrays["epoch"]
    marker = "o" if epochs.size <= 30 else None
    for name, label, colour in (("train_loss", "training", style.scheme_colour("float32")),
                                ("val_loss", "validation", style.scheme_colour("int8"))):
        losses.plot(epochs, data.arrays[name], label=label, color=colour, marker=marker, ms=3)
    losses.set_title("Loss")
    losses.set_ylim(bottom=0)
    for name, label, colour in (("val_accuracy", "accuracy", style.scheme_colour("dynamic")),
                                ("val_auroc", "AUC", style.scheme_colour("int8"))):
        scores.plot(epochs, data.arrays[name], label=label, color=colour, marker=marker, ms=3)
    scores.set_title("Validation accuracy and AUC")
    paper = data.facts["paper_accuracy"]
    scores.axhline(paper, color=style.PAPER, lw=1, ls=(0, (4, 3)),
                   label="the paper's VGG16 accuracy (87%)")
    best = data.facts["best_epoch"]
    scores.axvline(best, color=style.FAINT, lw=5, zorder=0, label=f"best epoch ({best})")
    low = np.nanmin([np.nanmin(data.arrays[n]) if np.isfinite(data.arrays[n]).any() else 1.0
                     for n in ("val_accuracy", "val_auroc")])
    scores.set_ylim(min(0.45, float(low) - 0.05), 1.02)
    for axes in (losses, scores):
        _epochs(axes, epochs.size)
    return figure


def _epochs(axes: Axes, count: int) -> None:
    axes.set_xlabel("epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]
    if count == 1:
        axes.set_xlim(0.5, 1.5)
    style.grid(axes)
    axes.legend(loc="best")


def caption(data: FigureData) -> str:
    """What to see."""
    f = data.facts
    best = (f"Validation AUC is highest, {f['best_auroc']:.3f}, in epoch {f['best_epoch']}"
            if f["best_auroc"] is not None else "Validation AUC is undefined")
    accuracy = (f", where accuracy is {100 * f['best_accuracy']:.1f}%"
                if f["best_accuracy"] is not None else "")
    return (f"Training of {f['model']} over {style.plural(f['epochs'], 'epoch')} "
            f"(the paper's Figure 6). {best}{accuracy}. The paper reports "
            f"{100 * f['paper_accuracy']:.0f}% validation accuracy for its VGG16 at "
            f"{f['paper_iterations']} iterations, on its own data.")
