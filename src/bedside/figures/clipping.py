"""Clipped activations of each integer variant, the bias of its logits, and the cause of both.

Figure 9 of the paper shows full-integer logits shifted towards confidence and attributes this to
calibration. Here each file's ranges are compared with what the float model computes on validation
images, beside the shift of the logits; and the cause is found by intervention: clipping alone,
rounding alone and so on, each a file of its own (:mod:`bedside.figures.causes`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bedside.core.build import Variant
from bedside.core.evidence import OperatingPoint
from bedside.core.text import number, plural
from bedside.core.types import Case
from bedside.estimators.extremes import extremes
from bedside.estimators.histogram import Histogram
from bedside.figures import cause_words, causes, inputs, style
from bedside.figures.base import FigureData, NotAvailable, Reads
from bedside.runfolder import artefact, layout, stored
from bedside.runfolder.predictions import Predictions
from bedside.runtime.graph import Graph
from bedside.schemes.layers import Layer, layers

TITLE = "Cause of the change by INT8, by intervention (the paper's Figure 9)"
READS = Reads(evidence=True, settings=True, version=3)
IMAGES = 96
# Variants whose causes are tested: each costs six times the images.
TESTED = 2
LARGEST = OperatingPoint("the largest logit", 0)
_Z95 = 1.959964

_MARKS = "os^Dv<>P*X"
# Percent: intervals of few images reach far beyond what the axis is about.
_WIDEST = 1000


def compute(run: Path, model: str) -> FigureData:
    """Compute clipped shares and logit bias.

    Facts: ``layers`` (names), ``variants`` by scheme: ``clipped`` (a share per layer) and bias.
    ``shift``: mean change of the margin between positive and other logit; ``confidence``: mean
    change of its size; each with a 95% interval of the mean over images. ``causes`` by scheme, of
    plain int8 and of the variant that clips most: :func:`bedside.figures.causes.study`.
    """
    original = inputs.original_of(run, model)
    integer = {k: v for k, v in inputs.quantized_of(run, model).items()
               if "int8" in k and v.calibration is not None and v.parent is None}
    if not integer:
        raise NotAvailable(f"the study holds no integer variant of {model}")
    cases = inputs.validation_sample(run, IMAGES)
    every, seen, ranges = _watch(run, original, cases)
    predictions = inputs.predictions_by_scheme(run, model, "val")
    table: dict[str, Any] = {}
    for label, variant in integer.items():
        limits = _limits(inputs.variant_graph(run, variant))
        clipped = [seen[k].outside(*limits[x.output]) if x.output in limits else None
                   for k, x in enumerate(every)]
        table[label] = {"clipped": clipped, **_bias(predictions, label, original.task)}
    point = _point(run, model)
    return FigureData({}, {
        "model": model, "images": len(cases), "layers": [x.name for x in every],
        "variants": table, "causes": {k: causes.study(run, integer[k], cases, ranges, point)
                                      for k in _tested(table)}})


def _watch(run: Path, original: Variant, cases: list[Case]
           ) -> tuple[tuple[Layer, ...], list[Histogram], dict[str, tuple[float, float]]]:
    """Return layers, histograms of their outputs, and the extremes of every float activation."""
    base = inputs.Runner(run, original)
    graph, every = base.graph, layers(base.graph)
    computed = [*graph.inputs, *(t for o in graph.operations for t in o.outputs)]
    tensors = [i for i in dict.fromkeys(computed) if graph.tensors[i].dtype == "float32"]
    seen = {graph.operations[x.operation].outputs[0]: Histogram() for x in every}
    ends: dict[int, list[float]] = {i: [] for i in tensors}
    with stored.pixel_store(run, original.preprocess) as store:
        for case in cases:
            values = base.tensors(store.tensor(case.id), tensors)
            for index, plane in zip(tensors, values, strict=True):
                ends[index] += extremes(plane.reshape(-1))
                if index in seen:
                    seen[index].update(plane)
    ranges = {graph.tensors[i].name: (min(v), max(v)) for i, v in ends.items()}
    return every, [seen[graph.operations[x.operation].outputs[0]] for x in every], ranges


def _tested(table: dict[str, Any]) -> list[str]:
    """Choose the variants whose causes are tested: the main one, then those that clip most."""
    first = inputs.main_comparison(list(table))
    worst = {k: max((v for v in row["clipped"] if v is not None), default=0.0)
             for k, row in table.items() if k != first}
    return [first, *sorted(worst, key=lambda k: -worst[k])[:TESTED - 1]]


def _point(run: Path, model: str) -> OperatingPoint:
    if not artefact.finished(layout.evidence_dir(run, model), "evidence"):
        return LARGEST
    return stored.operating_points(run, model).locked or LARGEST


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
    before, after = (causes.margins(predictions[k].logits.astype(np.float64), place)
                     for k in (inputs.ORIGINAL, label))
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
    """Draw causes, the clipped share by layer, and bias and confidence with intervals."""
    names, variants = data.facts["layers"], data.facts["variants"]
    tested = {k: c for k, c in data.facts["causes"].items() if c["rows"]}
    low, tall = max(2.8, 0.17 * len(names) + 1.1), 1.9 * len(tested)
    figure = style.new_figure(low + tall)
    if not tested:
        _layers(figure.subplots(1, 2, width_ratios=[1.6, 1]), names, variants)
        return figure
    parts: Any = figure.subfigures(2, 1, height_ratios=[tall, low])
    for axes, (label, found) in zip(parts[0].subplots(len(tested), 1, squeeze=False)[:, 0],
                                    tested.items(), strict=True):
        _causes(axes, label, found)
    _layers(parts[1].subplots(1, 2, width_ratios=[1.6, 1]), names, variants)
    return figure


def _causes(axes: Axes, label: str, found: dict[str, Any]) -> None:
    """Draw each intervention's share of the variant's change, and its decisions and AUC."""
    for k, name in enumerate(causes.NAMES):
        e = found["rows"][name]["share"]
        named = found["cause"] == name
        if e["value"] is None:
            continue
        if e["low"] is not None:
            axes.plot([100 * e["low"], 100 * min(e["high"], _WIDEST / 100)], [k, k], "-",
                      color=style.QUIET)
        axes.plot([100 * e["value"]], [k], "D" if named else "o", ms=5,
                  color=style.WRONG if named else style.scheme_colour(label))
    axes.set_yticks(range(len(causes.NAMES)),
                    [f"{title}: {cause_words.numbers(found['rows'][name])}"
                     for name, title in causes.NAMES.items()], fontsize=7)
    axes.set_ylim(len(causes.NAMES) - 0.5, -0.5)
    axes.set_xscale("symlog", linthresh=1.0)
    axes.set_xlim(-0.1, _WIDEST)
    axes.axvline(100, color=style.QUIET, lw=0.8, ls=":")
    axes.set_title(f"{style.scheme_name(label)}: what each cause does alone")
    axes.set_xlabel("mean squared change of the logits (% of this variant’s)")
    style.grid(axes, "x")


def _layers(both: npt.NDArray[Any], names: list[str], variants: dict[str, Any]) -> None:
    left, right = both
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


def caption(data: FigureData) -> str:
    """State the cause, and whether the logits are biased, with the figure's own numbers."""
    f = data.facts
    found = [f"{style.scheme_name(k)}: {cause_words.sentence(c)}." for k, c in f["causes"].items()]
    parts = [_sentence(style.scheme_name(label), row, f["layers"])
             for label, row in f["variants"].items()]
    how = ("Each intervention is a .tflite of its own, written from this variant's numbers and run "
           "here; decisions and AUC are compared with FP32's on the same images. Shares need not "
           "add up to 100%, because causes interact. "
           if any(c["rows"] for c in f["causes"].values()) else "")
    return " ".join([*found, how + "Clipping by layer and bias:", *parts,
                     "Each file's ranges are compared with the float activations of "
                     f"{plural(f['images'], 'validation image')}."])


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
    return (f"{text}; {bias} {sure} (n = {row['n']}, SD of the margins "
            f"{number(row['margin_spread'], 2)}).")
