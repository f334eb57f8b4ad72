"""Figure 9: the logits of every test image, the original's against each scheme's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bedside.core.text import number, plural
from bedside.figures import inputs, style
from bedside.figures.base import FigureData, NotAvailable, Reads
from bedside.runfolder import stored

TITLE = "Point clouds of logits (the paper's Figure 9)"
READS = Reads()

_MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*")
# From here on points are drawn as pixels, not as shapes, to keep the SVG small.
_RASTER = 1200
_PER_ROW = 3


def compute(run: Path, model: str) -> FigureData:
    """Collect the logits of the test images.

    Arrays: ``labels`` (n,) and ``logits:<scheme>`` (n, K) float64.

    Raises:
        NotAvailable: no prediction of the original or of any quantized variant.
    """
    split = "test"
    try:
        found = inputs.predictions_by_scheme(run, model, split)
    except NotAvailable:
        split = "val"
        found = inputs.predictions_by_scheme(run, model, split)
    base = found.pop(inputs.ORIGINAL)
    if not found:
        raise NotAvailable(f"no quantized variant of {model} has predictions on the CPU")
    arrays: dict[str, npt.NDArray[Any]] = {
        "labels": base.labels, f"logits:{inputs.ORIGINAL}": base.logits}
    facts = {}
    for label, rows in found.items():
        arrays[f"logits:{label}"] = rows.logits
        facts[label] = compare(base.logits, rows.logits, base.labels)
    right = int(np.count_nonzero(base.logits.argmax(axis=1) == base.labels))
    return FigureData(arrays, {
        "model": model, "split": split, "n": int(base.labels.size),
        "classes": stored.task(run).classes, "original_right": right, "schemes": facts})


def confidence(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the lead of the predicted class: largest minus second-largest logit."""
    ranked = np.sort(logits.astype(np.float64), axis=1)
    lead: npt.NDArray[np.float64] = ranked[:, -1] - ranked[:, -2]
    return lead


def compare(original: npt.NDArray[np.float64], other: npt.NDArray[np.float64],
            labels: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Return error, bias and changed decisions of one scheme.

    ``rmse`` over all logits; ``bias`` is the mean signed change of :func:`confidence` (positive:
    the quantized model is more confident, as the paper finds for full integer).
    """
    difference = other.astype(np.float64) - original.astype(np.float64)
    shift = confidence(other) - confidence(original)
    before, after = original.argmax(axis=1), other.argmax(axis=1)
    return {"rmse": float(np.sqrt(np.mean(difference ** 2))),
            "max_abs_difference": float(np.abs(difference).max()),
            "bias": float(shift.mean()),
            "bias_standard_error": (float(shift.std(ddof=1) / np.sqrt(shift.size))
                                    if shift.size > 1 else None),
            "flips": int(np.count_nonzero(before != after)),
            "right": int(np.count_nonzero(after == labels)),
            "right_to_wrong": int(np.count_nonzero((before == labels) & (after != labels))),
            "wrong_to_right": int(np.count_nonzero((before != labels) & (after == labels)))}


# ------------------------------------------------------------------ drawing


def draw(data: FigureData) -> Figure:
    """Draw a square panel per scheme, all with the same axes."""
    labels = list(data.facts["schemes"])
    columns = min(len(labels), _PER_ROW)
    rows = -(-len(labels) // _PER_ROW)
    side = 3.05
    figure = style.new_figure(rows * (side + 0.32) + 0.45)
    grid = figure.subplots(rows, max(columns, 2), squeeze=False, sharex=True, sharey=True)
    original = data.arrays["logits:float32"]
    every = np.concatenate([original, *(data.arrays[f"logits:{k}"] for k in labels)])
    low, high = float(every.min()), float(every.max())
    margin = 0.05 * max(high - low, 1e-6)
    for axes, label in zip(grid.flat, labels, strict=False):
        axes.plot((low - margin, high + margin), (low - margin, high + margin), lw=0.9,
                  color=style.QUIET, zorder=1)
        _panel(axes, data, label)
        axes.set_xlim(low - margin, high + margin)
        axes.set_ylim(low - margin, high + margin)
        axes.set_aspect("equal")
        axes.set_xlabel("logit of FP32")
        axes.set_ylabel(f"logit of {style.short_name(label)}")
        style.grid(axes, "both")
    for axes in grid.flat[len(labels):]:
        axes.set_visible(False)
    figure.legend(handles=_legend(data.facts["classes"]), loc="outside lower center",
                  ncols=min(6, 3 + len(data.facts["classes"])))
    return figure


def _panel(axes: Axes, data: FigureData, label: str) -> None:
    original, other = data.arrays["logits:float32"], data.arrays[f"logits:{label}"]
    truth = data.arrays["labels"]
    right = other.argmax(axis=1) == truth
    flipped = other.argmax(axis=1) != original.argmax(axis=1)
    raster = original.size > _RASTER
    for k in range(original.shape[1]):
        for wanted, colour in ((True, style.RIGHT), (False, style.WRONG)):
            rows = right == wanted
            axes.scatter(original[rows, k], other[rows, k], s=15, marker=_MARKERS[k % 8],
                         color=colour, alpha=0.6, linewidths=0, rasterized=raster, zorder=2)
        axes.scatter(original[flipped, k], other[flipped, k], s=60, facecolors="none",
                     edgecolors=style.INK, linewidths=0.9, zorder=3)
    row = data.facts["schemes"][label]
    axes.set_title(style.scheme_name(label), weight="bold", color=style.INK)
    axes.text(0.03, 0.97, _facts_text(row), transform=axes.transAxes, va="top", fontsize=8,
              linespacing=1.4, bbox={"fc": "white", "ec": "none", "alpha": 0.8, "pad": 1.5})


def _facts_text(row: dict[str, Any]) -> str:
    bias = number(row["bias"], 2)
    sign = "+" if row["bias"] > 0 else ""
    return (f"RMSE {number(row['rmse'], 2)}\nbias {sign}{bias}\n"
            f"decisions changed {row['flips']}")


def _legend(classes: list[str]) -> list[Line2D]:
    def handle(**look: Any) -> Line2D:
        return Line2D([], [], ls="none", **look)

    found = [handle(marker=_MARKERS[k % 8], color=style.QUIET, label=f"logit of {name}", ms=5)
             for k, name in enumerate(classes)]
    found += [handle(marker="o", color=style.RIGHT, label="right", ms=5),
              handle(marker="o", color=style.WRONG, label="wrong", ms=5),
              handle(marker="o", mfc="none", mec=style.INK, label="decision changed", ms=7)]
    return found


def caption(data: FigureData) -> str:
    """State the result, with the figure's own numbers."""
    f = data.facts
    parts = []
    for label, row in f["schemes"].items():
        clear = (row["bias_standard_error"] is not None
                 and abs(row["bias"]) > 1.96 * row["bias_standard_error"])
        drift = ("no clear bias" if not clear
                 else "more confident than FP32" if row["bias"] > 0
                 else "less confident than FP32")
        parts.append(f"{style.scheme_name(label)} RMSE {number(row['rmse'], 2)}, {drift}, "
                     f"{plural(row['flips'], 'decision')} changed")
    images = {"test": "test", "val": "validation"}.get(f["split"], f["split"])
    return (f"{'; '.join(parts)}. Logits of {f['model']} for "
            f"{plural(f['n'], images + ' image')}, FP32's on the x axis and each scheme's on the "
            "y axis (the paper's Figure 9); on the line nothing changes. Bias is "
            "the mean change of confidence, the predicted class's lead in logits; the paper found "
            "half precision unchanged, dynamic range scattered and full integer biased to higher "
            "confidence.")
