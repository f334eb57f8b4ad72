"""Robustness: does a full-integer variant lose more than float32 when images get worse?

On validation images, for the test images are read once, to confirm a choice. Bounded: at most
``evidence.robustness_images`` images, stratified by class, and three integer variants; the cost
is images × 16 inferences of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bedside.core import codec
from bedside.core.build import Variant
from bedside.core.evidence import OperatingPoint
from bedside.core.types import Case, Task
from bedside.figures import inputs
from bedside.figures.base import FigureData, NotAvailable
from bedside.figures.corrupt import Corruption, corrupt, table
from bedside.metrics import robustness
from bedside.metrics.design import clusters_of
from bedside.metrics.inputs import Floats, log_odds
from bedside.metrics.probability import decide
from bedside.metrics.stats import share
from bedside.runfolder import layout
from bedside.runtime.litert import LOGITS, LiteRTModel
from bedside.runtime.preprocess import normalise

VARIANTS = 3
RESAMPLES = 1000
LARGEST = OperatingPoint("the largest logit", 0)


def compute(run: Path, model: str) -> FigureData:
    """Facts: ``kinds`` (kind, strengths, unit, what), ``schemes``, ``metric``, ``n``, ``values``
    by scheme (``clean`` and by kind an Estimate a strength), ``overall`` (scheme, the paired test
    of falls averaged over every kind and strength, ``answer``, ``p`` adjusted over the schemes,
    ``needed`` images), ``tests`` (kind, scheme, the same of one kind, ``p`` adjusted over all of
    them), ``disagree`` by scheme (decisions that differ from float32's: ``clean``, and by kind a
    proportion a strength).

    Raises:
        NotAvailable: switched off, no integer variant, no validation image, or a class missing.
    """
    config = layout.study(run).evidence
    if config.robustness_images == 0:
        raise NotAvailable("switched off (evidence.robustness_images is 0 in study.toml)")
    base = inputs.original_of(run, model)
    integer = {k: v for k, v in inputs.quantized_of(run, model).items()
               if k.startswith(inputs.INTEGER)}
    if not integer:
        raise NotAvailable(f"the study holds no {inputs.INTEGER} variant of {model}")
    every = {inputs.ORIGINAL: base, **dict(list(integer.items())[:VARIANTS])}
    cases = _sample(run, config.robustness_images)
    if not cases:
        raise NotAvailable("the study has no validation image")
    kinds, task = table(), layout.task(run)
    logits = _logits(run, every, cases, kinds)
    return _judged(model, list(every), cases, kinds, task, logits, config.auc_margin,
                   config.seed)


def _sample(run: Path, count: int) -> list[Case]:
    """At most ``count`` validation images, as many of each class as there are in all."""
    cases = sorted((c for c in layout.cases(run) if c.split == "val"), key=lambda c: c.id)
    if len(cases) <= count:
        return cases
    ranked = []
    for label in dict.fromkeys(c.label for c in cases):
        mine = [c for c in cases if c.label == label]
        ranked += [((i + 0.5) / len(mine), c.id, c) for i, c in enumerate(mine)]
    return [c for _, _, c in sorted(ranked, key=lambda r: r[:2])[:count]]


def _logits(run: Path, every: dict[str, Variant], cases: list[Case],
            kinds: tuple[Corruption, ...]) -> dict[str, Floats]:
    """By scheme (1 + strengths of all kinds, n, K): clean first, then kind after kind."""
    models = {k: LiteRTModel(inputs.variant_path(run, v)) for k, v in every.items()}
    steps = [(c.kind, s) for c in kinds for s in c.strengths]
    found: dict[str, list[list[Any]]] = {k: [] for k in every}
    with layout.pixel_store(run, every[inputs.ORIGINAL].preprocess) as store:
        for case in cases:
            pixels = store.pixels(case.id)
            worse = [pixels, *(corrupt(pixels, k, s, case.id) for k, s in steps)]
            tensors = [normalise(p, store.preprocess, case.id)[None] for p in worse]
            for label, model in models.items():
                found[label].append([model.run(t)[LOGITS][0] for t in tensors])
    return {k: np.asarray(v, np.float64).transpose(1, 0, 2) for k, v in found.items()}


def _judged(model: str, schemes: list[str], cases: list[Case], kinds: tuple[Corruption, ...],
            task: Task, logits: dict[str, Floats], margin: float, seed: int) -> FigureData:
    positive = (task.classes.index(task.positive)
                if task.positive is not None and len(task.classes) == 2 else None)
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
        tests = [robustness.falls(drawn, (0, of(0, kind)), (k * rows, of(k, kind)), margin)
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
        # The question is asked once a variant; by kind it is asked many times, and pays for it.
        "overall": judged([(None, k) for k in range(1, len(schemes))]),
        "tests": judged([(kind.kind, k) for k in range(1, len(schemes)) for kind in kinds]),
        "disagree": {schemes[k]: {"clean": differ(k, 0)} | {
            kind: [differ(k, r) for r in rows_] for kind, rows_ in places.items()}
            for k in range(1, len(schemes))}})
