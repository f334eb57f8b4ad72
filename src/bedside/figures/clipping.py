"""Clipped validation activations of each integer variant, and the bias of its logits.

Figure 9 of the paper shows full-integer logits shifted towards confidence and attributes this to
calibration. Here each file's ranges are compared with what the float model computes on validation
images, beside the shift of the logits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from bedside.core.text import number, plural
from bedside.estimators.histogram import Histogram
from bedside.figures import inputs, style
from bedside.figures.base import FigureData, NotAvailable, Reads
from bedside.runfolder import stored
from bedside.runfolder.predictions import Predictions
from bedside.runtime.graph import Graph
from bedside.schemes.layers import layers

TITLE = "Clipped activations by layer, and bias of the logits"
READS = Reads()
IMAGES = 64
_Z95 = 1.959964

_MARKS = "os^Dv<>P*X"


def compute(run: Path, model: str) -> FigureData:
    """Compute clipped shares and logit bias.

    Facts: ``layers`` (names), ``variants`` by scheme: ``clipped`` (a share per layer) and bias.
    ``shift``: mean change of the margin between positive and other logit; ``confidence``: mean
    change of its size; each with a 95% interval of the mean over images.
    """
    original = inputs.original_of(run, model)
    integer = {k: v for k, v in inputs.quantized_of(run, model).items()
               if "int8" in k and v.calibration is not None and v.parent is None}
    if not integer:
        raise NotAvailable(f"the study holds no integer variant of {model}")
    base = inputs.Runner(run, original)
    cases = inputs.validation_cases(run)
    every = layers(base.graph)
    tensors = [base.graph.operations[x.operation].outputs[0] for x in every]
    seen = [Histogram() for _ in tensors]
    with stored.pixel_store(run, original.preprocess) as store:
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
    """Return the real (low, high) that each integer activation can hold, by tensor name."""
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


# ------------------------------------------------------------------ drawing


def draw(data: FigureData) -> Figure:
    """Draw the clipped share by layer and variant, and bias and confidence with intervals."""
    names, variants = data.facts["layers"], data.facts["variants"]
    figure = style.new_figure(max(2.8, 0.17 * len(names) + 1.1))
    left, right = figure.subplots(1, 2, width_ratios=[1.6, 1])
    places = range(len(names))
    for k, (label, row) in enumerate(variants.items()):
        known = [(p, 100 * v) for p, v in zip(places, row["clipped"], strict=True) if v is not None]
        left.plot([v for _, v in known], [p for p, _ in known], _MARKS[k % len(_MARKS)], ms=3.5,
                  mfc="none" if k else None, color=style.scheme_colour(label),
                  label=style.short_name(label))
    left.set_xscale("symlog", linthresh=1e-3)
    left.set_xlim(left=-1e-4)
    left.set_yticks(list(places), [style.layer_name(n, 34) for n in names], fontsize=7)
    left.set_ylim(len(names) - 0.4, -0.6)
    left.set_xlabel("clipped activations (% of all, validation)")
    style.grid(left, "x")
    ticks = []
    for k, (label, row) in enumerate(variants.items()):
        for offset, name, mark in ((-0.15, "shift", "o"), (0.15, "confidence", "D")):
            if row.get(f"{name}_low") is not None:
                right.plot([row[f"{name}_low"], row[f"{name}_high"]], [k + offset] * 2, "-",
                           color=style.QUIET)
                right.plot([row[name]], [k + offset], mark, ms=5,
                           color=style.scheme_colour(label), mfc="white" if mark == "D" else None)
        ticks.append(style.short_name(label))
    right.axvline(0, color=style.QUIET, lw=0.8)
    right.set_yticks(range(len(ticks)), ticks)
    right.set_ylim(len(ticks) - 0.4, -0.6)
    right.set_xlabel("change against FP32 (logits): ● bias, ◇ confidence")
    style.grid(right, "x")
    return figure


def caption(data: FigureData) -> str:
    """State whether the logits are biased, and whether clipping explains it."""
    parts = [_sentence(style.scheme_name(label), row, data.facts["layers"])
             for label, row in data.facts["variants"].items()]
    return " ".join([*parts, "Each file's ranges are compared with the float activations of "
                     f"{plural(data.facts['images'], 'validation image')}."])


def _sentence(name: str, row: dict[str, Any], layers: list[str]) -> str:
    known = [(v, layers[k]) for k, v in enumerate(row["clipped"]) if v is not None]
    share, layer = max(known, default=(0.0, ""))
    text = f"{name}: most clipped is {layer} ({number(100 * share, 2)}%)" if share else (
        f"{name}: nothing is clipped")
    if row.get("confidence_low") is None:
        return f"{text}."
    bias = "no bias was detected" if row["shift_low"] <= 0 <= row["shift_high"] else (
        f"the margin shifts by {number(row['shift'], 2)} on average")
    if row["confidence_low"] > 0:
        sure = "and confidence rises"
    elif row["confidence_high"] < 0:
        sure = "and confidence falls"
    else:
        sure = "and no change of confidence"
    source = ""
    if not row["shift_low"] <= 0 <= row["shift_high"] or row["confidence_low"] > 0:
        source = ("; clipping is rare, so rounding is the likelier cause" if share < 1e-3
                  else f"; clipping in {layer} may be the cause")
    return (f"{text}; {bias} {sure}{source} (n = {row['n']}, SD of the margins "
            f"{number(row['margin_spread'], 2)}).")
