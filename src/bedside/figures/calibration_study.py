"""What ``bedside calibrate --study`` found, for its figure."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from bedside.core import codec
from bedside.figures.base import FigureData, NotAvailable
from bedside.runfolder import artefact

COLUMNS = ("size", "auroc_to_largest", "logit_shift", "range_change", "auroc", "flips_to_largest")


def compute(run: Path, model: str) -> FigureData:
    """Arrays: the columns of ``cells.csv``; facts: what the study concluded."""
    folder = run / "calibration" / model / "study"
    if not artefact.finished(folder, "calibration study"):
        raise NotAvailable("no calibration study has been run (bedside calibrate RUN --study)")
    rows = list(csv.DictReader(io.StringIO(codec.read_text(folder / "cells.csv"))))
    facts = codec.parse_json(codec.read_text(folder / "study.json"), str(folder / "study.json"))
    arrays = {c: np.array([float(r[c]) for r in rows]) for c in COLUMNS}
    for name in ("estimator", "choice"):
        arrays[name] = np.array([r[name] for r in rows])
    return FigureData(arrays, dict(facts) if isinstance(facts, dict) else {})
