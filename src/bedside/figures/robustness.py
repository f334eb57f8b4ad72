"""Robustness: the loss of full-integer variants on degraded images, compared with float32's.

On validation images, because test images are read only once, to confirm a choice. At most
``evidence.robustness_images`` images, stratified by class, and three integer variants; the cost is
images × 16 inferences of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from bedside.core import codec
from bedside.core.build import Variant
from bedside.core.evidence import OperatingPoint
from bedside.core.text import plural
from bedside.core.types import Case, Task
from bedside.figures import inputs, style
from bedside.figures.base import FigureData, NotAvailable, Reads
from bedside.figures.corrupt import Corruption, corrupt, table
from bedside.metrics import robustness
from bedside.metrics.design import clusters_of
from bedside.metrics.inputs import Floats, log_odds
from bedside.metrics.probability import decide
from bedside.metrics.stats import share
from bedside.runfolder import stored
from bedside.runtime.litert import LOGITS, LiteRTModel
from bedside.runtime.preprocess import normalise

TITLE = "Degraded images: does INT8 lose more?"
READS = Reads(settings=True, version=4)
VARIANTS = 3
RESAMPLES = 1000
LARGEST = OperatingPoint("the largest logit", 0)

NAMES = {"speckle": "speckle", "gain": "gain", "blur": "blur", "jpeg": "JPEG quality",
         "rotation": "rotation"}
WORDS = {"shown": "non-inferior", "not shown": "inconclusive", "worse": "inferior"}


def compute(run: Path, model: str) -> FigureData:
    """Degrade validation images and test each integer variant's loss against float32's.

    Facts: ``kinds`` (kind, strengths, unit, what), ``schemes``, ``metric``, ``n``, ``values`` by
    scheme (``clean`` and by kind an Estimate per strength), ``overall`` (scheme, the paired test of
    losses averaged over every kind and strength, ``answer``, ``p`` adjusted over the schemes,
    ``needed`` images), ``tests`` (kind, scheme, the same of one kind, ``p`` adjusted over all of
    them), ``disagree`` by scheme (decisions that differ from float32's: ``clean``, and by kind a
    proportion per strength).

    Raises:
        NotAvailable: switched off, no integer variant, no validation image, or a class missing.
    """
    config = stored.study(run).evidence
    if config.robustness_images == 0:
        raise NotAvailable("switched off (evidence.robustness_images is 0 in study.toml)")
    base = inputs.original_of(run, model)
    integer = {k: v for k, v in inputs.quantized_of(run, model).items()
               if k.startswith(inputs.INTEGER)}
    if not integer:
        raise NotAvailable(f"the study holds no {inputs.INTEGER} variant of {model}")
    every = {inputs.ORIGINAL: base, **dict(list(integer.items())[:VARIANTS])}
    cases = inputs.validation_sample(run, config.robustness_images)
    kinds, task = table(), stored.task(run)
    logits = _logits(run, every, cases, kinds)
    return _judged(model, list(every), cases, kinds, task, logits, config.auc_margin, config.seed)


def _logits(run: Path, every: dict[str, Variant], cases: list[Case],
            kinds: tuple[Corruption, ...]) -> dict[str, Floats]:
    """Return logits by scheme (1 + strengths of all kinds, n, K): clean first, then by kind."""
    models = {k: LiteRTModel(inputs.variant_path(run, v)) for k, v in every.items()}
    steps = [(c.kind, s) for c in kinds for s in c.strengths]
    found: dict[str, list[list[Any]]] = {k: [] for k in every}
    with stored.pixel_store(run, every[inputs.ORIGINAL].preprocess) as store:
        for case in cases:
            pixels = store.pixels(case.id)
            versions = [pixels, *(corrupt(pixels, k, s, case.id) for k, s in steps)]
            tensors = [normalise(p, store.preprocess, case.id)[None] for p in versions]
            for label, model in models.items():
                found[label].append([model.run(t)[LOGITS][0] for t in tensors])
    return {k: np.asarray(v, np.float64).transpose(1, 0, 2) for k, v in found.items()}


def _judged(model: str, schemes: list[str], cases: list[Case], kinds: tuple[Corruption, ...],
            task: Task, logits: dict[str, Floats], margin: float, seed: int) -> FigureData:
    positive = inputs.positive_index(task)
    labels = np.asarray([task.classes.index(c.label) for c in cases], np.int64)
    rows = len(logits[schemes[0]])
    every = np.concatenate([logits[k] for k in schemes])
    called = np.stack([decide(x, None, None, LARGEST) for x in every])
    scores = (np.stack([log_odds(x, positive) for x in every]) if positive is not None
              else np.zeros(called.shape))
    labels01 = (labels == (positive if positive is not None else 0)).astype(np.int64)
    metric = "auroc" if positive is not None else "accuracy"
    groups = [c.group or c.id for c in cases]
    drawn = robustness.draw(labels01, scores, called == labels, groups, metric, RESAMPLES, seed)
    if isinstance(drawn, str):
        raise NotAvailable(drawn)
    places, at = {}, 1
    for kind in kinds:
        places[kind.kind] = list(range(at, at + len(kind.strengths)))
        at += len(kind.strengths)

    def of(scheme: int, kind: str | None) -> list[int]:
        own = range(1, rows) if kind is None else places[kind]
        return [scheme * rows + r for r in own]

    def judged(wanted: Sequence[tuple[str | None, int]]) -> list[dict[str, Any]]:
        tests = [robustness.paired_loss(drawn, (0, of(0, kind)), (k * rows, of(k, kind)), margin)
                 for kind, k in wanted]
        return [{"scheme": schemes[k], "answer": a, "p": p, "test": codec.encode(t),
                 "needed": None if a != "not shown" else robustness.needed(t, len(tests)),
                 **({} if kind is None else {"kind": kind})}
                for (kind, k), t, (a, p) in zip(wanted, tests, robustness.judge(tests),
                                                strict=True)]

    def differ(scheme: int, row: int) -> Any:
        other = called[scheme * rows + row] != called[row]
        return codec.encode(share(other, clusters_of(groups), "no images"))

    return FigureData({}, {
        "model": model, "schemes": schemes, "metric": metric, "n": len(cases),
        "positives": int(labels01.sum()) if positive is not None else None, "margin": margin,
        "kinds": [codec.encode(k) for k in kinds],
        "values": {label: {"clean": codec.encode(robustness.value(drawn, k * rows))} | {
            kind.kind: [codec.encode(robustness.value(drawn, r)) for r in of(k, kind.kind)]
            for kind in kinds} for k, label in enumerate(schemes)},
        # One primary test per variant; the tests by kind are adjusted for their number.
        "overall": judged([(None, k) for k in range(1, len(schemes))]),
        "tests": judged([(kind.kind, k) for k in range(1, len(schemes)) for kind in kinds]),
        "disagree": {schemes[k]: {"clean": differ(k, 0)} | {
            kind: [differ(k, r) for r in rows_] for kind, rows_ in places.items()}
            for k in range(1, len(schemes))}})


# ------------------------------------------------------------------ drawing


def draw(data: FigureData) -> Figure:
    """Draw values with 95% intervals; the leftmost of each panel is the clean image."""
    f = data.facts
    figure = style.new_figure(3.0)
    every = figure.subplots(1, len(f["kinds"]), sharey=True, squeeze=False)[0]
    for axes, kind in zip(every, f["kinds"], strict=True):
        count = len(f["schemes"])
        for k, label in enumerate(f["schemes"]):
            shift = 0.16 * (k - (count - 1) / 2)
            own = [f["values"][label]["clean"], *f["values"][label][kind["kind"]]]
            x = [p + shift for p in range(len(own))]
            for place, e in zip(x, own, strict=True):
                axes.plot([place] * 2, [e["low"], e["high"]], "-", lw=1, alpha=0.5,
                          color=style.scheme_colour(label))
            axes.plot(x, [e["value"] for e in own], "oos^"[k % 4] + "-", ms=4,
                      color=style.scheme_colour(label),
                      mfc=None if k == 0 else "white", label=style.short_name(label))
        axes.set_xticks(range(len(kind["strengths"]) + 1), ["clean", *(
            _strength(s, kind) for s in kind["strengths"])], fontsize=7)
        axes.set_title(NAMES.get(kind["kind"], kind["kind"]))
        style.grid(axes)
    every[0].set_ylabel("AUC" if f["metric"] == "auroc" else "accuracy")
    figure.legend(*every[0].get_legend_handles_labels(), loc="outside lower center",
                  ncols=len(f["schemes"]))
    return figure


def _strength(value: float, kind: dict[str, Any]) -> str:
    sign = "+" if kind["kind"] == "gain" and value > 0 else ""
    return f"{sign}{value:g}".replace("-", "−") + str(kind["unit"]).replace(" ", "\u202f")


def caption(data: FigureData) -> str:
    """State whether the integer variant loses more than float32."""
    f = data.facts
    what = "AUC" if f["metric"] == "auroc" else "accuracy"
    groups: dict[str, list[str]] = {}
    for t in f["tests"]:
        word = WORDS[t["answer"]]
        groups.setdefault(word, []).append(
            f"{NAMES.get(t['kind'], t['kind'])} ({style.short_name(t['scheme'])})")
    told = "; ".join(f"{w}: {', '.join(v)}" for w, v in groups.items())
    whole = " ".join(_overall(t, f["metric"]) for t in f["overall"])
    return (f"Loss against FP32’s, over all kinds and strengths: {whole} By kind, adjusted "
            f"together after Holm: {told}. {what} of {f['model']} on "
            f"{plural(f['n'], 'degraded validation image')}, with 95% intervals; test images are "
            "not used. “Inconclusive” means that these images neither prove a larger loss nor "
            f"exclude one of {f['margin']:g}.")


def _overall(test: dict[str, Any], metric: str) -> str:
    """Return the overall result with its interval and, where inconclusive, the number needed."""
    d, scale = test["test"]["difference"], 1 if metric == "auroc" else 100
    name, word = style.short_name(test["scheme"]), WORDS[test["answer"]]
    if d["value"] is None:
        return f"{name}: {test['test']['reason']}."
    value, low, high = (f"{scale * d[k]:+.3f}".replace("-", "−") for k in ("value", "low", "high"))
    unit = "" if scale == 1 else " points"
    more = (f"; about {test['needed']:,} images would settle it" if test["needed"] else "")
    return f"{name}: {word}, {value}{unit} [{low}, {high}] relative to FP32’s own loss{more}."
