"""Figure 6: loss, accuracy and AUC by epoch."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.text import plural
from bedside.figures import style
from bedside.figures.base import FigureData, NotAvailable, Reads
from bedside.runfolder import layout

TITLE = "Training history (the paper's Figure 6)"
READS = Reads()
COLUMNS = ("epoch", "train_loss", "val_loss", "val_accuracy", "val_auroc", "learning_rate")
PAPER_ACCURACY = 0.87
PAPER_ITERATIONS = 320

Column = np.ndarray[tuple[int], np.dtype[np.float64]]


def compute(run: Path, model: str) -> FigureData:
    """Read the training history.

    Arrays: one per column of ``history.csv``, (epochs,) float64, NaN where the cell is empty.

    Raises:
        NotAvailable: the model was trained elsewhere, or its history is empty.
    """
    path = layout.model_dir(run, model) / layout.HISTORY
    if not path.is_file():
        raise NotAvailable(f"{model} was trained elsewhere, so there is no training history")
    columns = read_history(path)
    epochs = columns["epoch"]
    if not epochs.size:
        raise NotAvailable(f"the training history of {model} is empty")
    auroc = columns["val_auroc"]
    best = best_row(auroc, columns["val_loss"])
    return FigureData(
        {name: columns[name] for name in COLUMNS},
        {"model": model, "epochs": int(epochs.size), "best_epoch": int(epochs[best]),
         "best_auroc": _or_none(auroc[best]),
         "best_accuracy": _or_none(columns["val_accuracy"][best]),
         "last_train_loss": _or_none(columns["train_loss"][-1]),
         "last_val_loss": _or_none(columns["val_loss"][-1]),
         "paper_accuracy": PAPER_ACCURACY, "paper_iterations": PAPER_ITERATIONS})


def best_row(auroc: Column, loss: Column) -> int:
    """Return the row whose weights training kept: the highest AUC, then the lower loss.

    An AUC that is undefined (validation lacks a class) counts as 0, so that the loss decides.
    """
    scores = zip(np.nan_to_num(auroc, nan=0.0).tolist(), (-loss).tolist(), strict=True)
    ranked = [(area, fit if math.isfinite(fit) else -math.inf) for area, fit in scores]
    return max(range(len(ranked)), key=ranked.__getitem__)


def read_history(path: Path) -> dict[str, Column]:
    """Read the known columns of ``history.csv``; a missing column is all NaN.

    Raises:
        BadInput: no column ``epoch``, or a cell that is not a number.
    """
    rows = list(csv.DictReader(io.StringIO(codec.read_text(path))))
    if rows and "epoch" not in rows[0]:
        raise BadInput("no column 'epoch'", where=path, remedy="Run the training again.")
    try:
        return {name: np.asarray([float(r.get(name) or "nan") for r in rows], dtype=np.float64)
                for name in COLUMNS}
    except ValueError as error:
        raise BadInput(f"a cell is not a number ({error})", where=path,
                       remedy="Run the training again.") from None


def _or_none(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


# ------------------------------------------------------------------ drawing


def draw(data: FigureData) -> Figure:
    """Draw the losses left, validation accuracy and AUC right."""
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
    """State the result, with the figure's own numbers."""
    f = data.facts
    best = (f"Validation AUC peaks at {f['best_auroc']:.3f} in epoch {f['best_epoch']}"
            if f["best_auroc"] is not None else "Validation AUC is undefined")
    accuracy = (f", where accuracy is {100 * f['best_accuracy']:.1f}%"
                if f["best_accuracy"] is not None else "")
    return (f"{best}{accuracy}. Training of {f['model']} over {plural(f['epochs'], 'epoch')} "
            "(the paper's Figure 6). The paper reports "
            f"{100 * f['paper_accuracy']:.0f}% validation accuracy for its VGG16 at "
            f"{f['paper_iterations']} iterations, on its own data.")
