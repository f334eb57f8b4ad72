"""The calibration study: AUC, bias and ranges by number of calibration images."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from bedside.core import codec
from bedside.core.text import plural
from bedside.figures import style
from bedside.figures.base import FigureData, NotAvailable, Reads
from bedside.runfolder import artefact, layout

TITLE = "Size of the calibration set"
READS = Reads()
COLUMNS = ("size", "auroc_to_largest", "logit_shift", "range_change", "auroc", "flips_to_largest")

_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#000000")
_LINES = ("-", "--", ":", "-.")
_PANELS = (("auroc_to_largest", 100.0, "AUC against the largest set (points)"),
           ("logit_shift", 1.0, "bias of the margin (logits)"),
           ("range_change", 100.0, "change of the ranges (%)"))


def compute(run: Path, model: str) -> FigureData:
    """Read the study's cells and conclusions.

    Arrays: the columns of ``cells.csv``. Facts: the contents of ``study.json``.
    """
    folder = layout.calibration_study_dir(run, model)
    if not artefact.finished(folder, "calibration study"):
        raise NotAvailable("no calibration study has been run (bedside calibrate RUN --study)")
    rows = list(csv.DictReader(io.StringIO(codec.read_text(folder / "cells.csv"))))
    facts = artefact.read_document(folder / "study.json")
    arrays = {c: np.array([float(r[c]) for r in rows]) for c in COLUMNS}
    for name in ("estimator", "choice"):
        arrays[name] = np.array([r[name] for r in rows])
    return FigureData(arrays, dict(facts) if isinstance(facts, dict) else {})


# ------------------------------------------------------------------ drawing


def draw(data: FigureData) -> Figure:
    """Draw three panels over the number of images: means over seeds, with bands of extremes."""
    figure = style.new_figure(3.4)
    panels = figure.subplots(1, 3)
    names = list(dict.fromkeys(data.arrays["estimator"].tolist()))
    choices = list(dict.fromkeys(data.arrays["choice"].tolist()))
    sizes = np.unique(data.arrays["size"])
    for axes, (column, factor, title) in zip(panels, _PANELS, strict=True):
        for i, name in enumerate(names):
            for j, choice in enumerate(choices):
                mine = (data.arrays["estimator"] == name) & (data.arrays["choice"] == choice)
                parts = [factor * data.arrays[column][mine & (data.arrays["size"] == s)]
                         for s in sizes]
                colour = _COLOURS[i % len(_COLOURS)]
                axes.plot(sizes, [p.mean() for p in parts], _LINES[j % len(_LINES)], color=colour,
                          label=f"{name}, {choice}")
                axes.fill_between(sizes, [p.min() for p in parts], [p.max() for p in parts],
                                  color=colour, alpha=0.08, lw=0)
        axes.set_xscale("log", base=2)
        axes.set_xticks(sizes, [f"{s:.0f}" for s in sizes])
        axes.minorticks_off()
        axes.set_xlabel("calibration images")
        axes.set_title(title)
        style.grid(axes)
    panels[0].axhspan(-0.2, 0.2, color=style.FAINT, alpha=0.5, lw=0)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def caption(data: FigureData) -> str:
    """State the smallest calibration set that is sufficient."""
    smallest = data.facts["smallest"]
    # The largest set equals itself, which is no result.
    enough = [f for f in smallest if f["size"] is not None and f["size"] < f["largest"]]
    text = (f"Each line is one estimator and selection of images: the mean over "
            f"{plural(data.facts['plan']['seeds'], 'seed')}, the band showing the extremes; "
            f"{plural(data.facts['images'], 'validation image')}.")
    if not enough:
        return (f"No set smaller than the largest ({smallest[0]['largest']} images) stays "
                f"within 0.2 AUC points and one changed label of it for every seed. {text}")
    best = min(enough, key=lambda f: f["size"])
    return (f"{best['size']} of {best['largest']} images suffice with {best['estimator']}, "
            f"{best['choice']}: within 0.2 AUC points (grey) and one changed label of the largest "
            f"set for every seed. {text}")
