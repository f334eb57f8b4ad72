"""Figure 9: the logits of every test image, the original's against each scheme's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bedside.figures import inputs
from bedside.figures.base import FigureData, NotAvailable
from bedside.runfolder import layout


def compute(run: Path, model: str) -> FigureData:
    """Arrays: ``labels`` (n,) and ``logits:<scheme>`` (n, K) float32 of the test images.

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
        "classes": layout.task(run).classes, "original_right": right, "schemes": facts})


def confidence(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """How far the predicted class leads the next: largest minus second-largest logit."""
    ranked = np.sort(logits.astype(np.float64), axis=1)
    lead: npt.NDArray[np.float64] = ranked[:, -1] - ranked[:, -2]
    return lead


def compare(original: npt.NDArray[np.float32], other: npt.NDArray[np.float32],
            labels: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Error, bias and changed decisions of one scheme.

    ``rmse`` over all logits; ``bias`` is the mean signed change of :func:`confidence`
    (positive: the quantized model is surer, as the paper finds for full integer).
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
