"""Differences of validation AUC between the variants of a target, on the same images."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from bedside.core.build import Measurement
from bedside.core.recommendation import Candidate
from bedside.core.types import Case, Estimate, Task
from bedside.metrics import paired_macro
from bedside.metrics.design import clusters_of
from bedside.metrics.inputs import log_odds
from bedside.metrics.paired_auc import paired_auc
from bedside.runfolder import stored
from bedside.runfolder.predictions import Predictions

# AUC of the first variant less that of the second, with its 95% interval.
Differences = Callable[[str, str], Estimate]


def unpaired(candidates: Sequence[Candidate]) -> Differences:
    """Return differences from each variant's own AUC, as if on different images.

    The interval is MOVER's (Zou and Donner 2008, Stat. Med. 27:1693) for independent estimates:
    wider than a paired one, so that it rejects less.
    """
    known = {c.variant: c.auc for c in candidates}

    def difference(new: str, old: str) -> Estimate:
        a, b = known[new], known[old]
        if a.value is None or b.value is None:
            return Estimate(None, reason=a.reason or b.reason)
        value = a.value - b.value
        if None in (a.low, a.high, b.low, b.high):
            return Estimate(value, value, value, min(a.n, b.n))
        assert a.low is not None and a.high is not None and b.low is not None
        assert b.high is not None
        return Estimate(value, value - math.hypot(a.value - a.low, b.high - b.value),
                        value + math.hypot(a.high - a.value, b.value - b.low), min(a.n, b.n))

    return difference


def paired(run: Path, cells: Sequence[Measurement], candidates: Sequence[Candidate]
           ) -> Differences:
    """Return paired differences on the validation images that both variants predicted.

    DeLong's test (over patients Obuchowski's), macro one against rest without a positive class.
    Two variants that share no images of every class fall back to :func:`unpaired`.

    Args:
        run: the run folder.
        cells: the cells of one target.
        candidates: the same as candidates.
    """
    task, cases = stored.task(run), {c.id: c for c in stored.cases(run)}
    found = {m.variant: stored.predictions(run, m.variant, m.target).of("val")
             for m in cells if stored.usable(m)}
    apart, known = unpaired(candidates), dict[tuple[str, str], Estimate]()

    def difference(new: str, old: str) -> Estimate:
        if (new, old) not in known:
            one = None
            if new in found and old in found:
                one = _paired(found[new], found[old], task, cases)
            known[new, old] = apart(new, old) if one is None or one.value is None else one
        return known[new, old]

    return difference


def _paired(new: Predictions, old: Predictions, task: Task, cases: Mapping[str, Case]
            ) -> Estimate | None:
    shared, at, was = np.intersect1d(new.ids.astype(str), old.ids.astype(str),
                                     return_indices=True)
    logits = [p.logits[rows].astype(np.float64) for p, rows in ((new, at), (old, was))]
    if not len(shared) or not all(np.isfinite(x).all() for x in logits):
        return None
    labels = new.labels[at].astype(np.int64)
    groups = [cases[i].group or i if i in cases else i for i in map(str, shared)]
    clusters = clusters_of(groups)
    if task.positive is None or len(task.classes) != 2:
        return paired_macro.auroc(labels, logits[1], logits[0], 0.0, clusters).difference
    k = task.classes.index(task.positive)
    return paired_auc("auroc", (labels == k).astype(np.int64), log_odds(logits[1], k),
                      log_odds(logits[0], k), None, clusters).difference
