"""What share of validation activations each integer variant clips, and the bias of its logits.

Figure 9 of the paper shows full-integer logits moved towards confidence and blames calibration.
Here the ranges are read from each file, held against what the float model computes on validation
images, and the move of the logits stands beside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bedside.estimators.histogram import Histogram
from bedside.figures import inputs
from bedside.figures.base import FigureData, NotAvailable
from bedside.runfolder import layout
from bedside.runfolder.predictions import Predictions
from bedside.runtime.graph import Graph
from bedside.schemes.layers import layers

IMAGES = 64
_Z95 = 1.959964


def compute(run: Path, model: str) -> FigureData:
    """Facts: ``layers`` (names), ``variants`` by scheme: ``clipped`` (a share a layer) and bias.

    ``shift``: mean change of the margin between positive and other logit; ``confidence``: mean
    change of its size; each with a 95% interval of the mean over images.
    """
    original = inputs.original_of(run, model)
    integer = {k: v for k, v in inputs.quantized_of(run, model).items()
               if "int8" in k and v.calibration is not None and v.parent is None}
    if not integer:
        raise NotAvailable(f"the study holds no integer variant of {model}")
    base = inputs.Runner(run, original)
    cases = sorted((c for c in layout.cases(run) if c.split == "val"), key=lambda c: c.id)
    if not cases:
        raise NotAvailable("the study has no validation image")
    every = layers(base.graph)
    tensors = [base.graph.operations[x.operation].outputs[0] for x in every]
    seen = [Histogram() for _ in tensors]
    with layout.pixel_store(run, original.preprocess) as store:
        for case in cases[:IMAGES]:
            for watcher, values in zip(seen, base.tensors(store.tensor(case.id), tensors),
                                       strict=True):
                watcher.update(values)
    predictions = inputs.predictions_by_scheme(run, model, "val")
    table: dict[str, Any] = {}
    for label, variant in integer.items():
        limits = _limits(inputs.variant_graph(run, variant))
        clipped = [seen[k].outside(*limits[x.output]) if x.output in limits else None
                   for k, x in enumerate(every)]
        table[label] = {"clipped": clipped, **_bias(predictions, label, original.task)}
    return FigureData({}, {"model": model, "images": min(IMAGES, len(cases)),
                           "layers": [x.name for x in every], "variants": table})


def _limits(graph: Graph) -> dict[str, tuple[float, float]]:
    """Real (low, high) that each integer activation of a file can hold, by tensor name."""
    found = {}
    for tensor in graph.tensors:
        if tensor.quantization is not None and not tensor.buffer and tensor.dtype in (
                "int8", "int16"):
            scale, zero = float(tensor.quantization.scales[0]), int(
                tensor.quantization.zero_points[0])
            ends = np.iinfo(tensor.dtype)
            # Half a step beyond the last code still rounds to it.
            found[tensor.name] = ((ends.min - 0.5 - zero) * scale, (ends.max + 0.5 - zero) * scale)
    return found


def _bias(predictions: dict[str, Predictions], label: str, task: Any) -> dict[str, Any]:
    if label not in predictions:
        return {}
    place = task.classes.index(task.positive) if task.positive else len(task.classes) - 1

    def margins(rows: Predictions) -> Any:
        others = np.delete(rows.logits, place, axis=1).max(axis=1)
        return rows.logits[:, place].astype(np.float64) - others

    before, after = margins(predictions[inputs.ORIGINAL]), margins(predictions[label])
    found: dict[str, Any] = {"n": int(before.size), "margin_spread": float(before.std())}
    for name, change in (("shift", after - before), ("confidence", abs(after) - abs(before))):
        half = (_Z95 * float(change.std(ddof=1) / np.sqrt(change.size))
                if change.size > 1 else None)
        found[name] = float(change.mean())
        found[f"{name}_low"] = found[name] - half if half is not None else None
        found[f"{name}_high"] = found[name] + half if half is not None else None
    return found
