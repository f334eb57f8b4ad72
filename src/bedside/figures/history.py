"""Figure 6: loss, accuracy and AUC of each epoch."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import numpy as np

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.figures.base import FigureData, NotAvailable
from bedside.runfolder import layout

COLUMNS = ("epoch", "train_loss", "val_loss", "val_accuracy", "val_auroc", "learning_rate")
PAPER_ACCURACY = 0.87
PAPER_ITERATIONS = 320

Column = np.ndarray[tuple[int], np.dtype[np.float64]]


def compute(run: Path, model: str) -> FigureData:
    """Arrays: one a column of ``history.csv``, (epochs,) float64, NaN where the cell is empty.

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
    """The row whose weights training kept: highest AUC, the lower loss where AUCs are equal.

    An AUC that is undefined (validation lacks a class) counts as 0, so that the loss decides.
    """
    scores = zip(np.nan_to_num(auroc, nan=0.0).tolist(), (-loss).tolist(), strict=True)
    ranked = [(area, fit if math.isfinite(fit) else -math.inf) for area, fit in scores]
    return max(range(len(ranked)), key=ranked.__getitem__)


def read_history(path: Path) -> dict[str, Column]:
    """The known columns of ``history.csv``; a missing column is all NaN.

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
