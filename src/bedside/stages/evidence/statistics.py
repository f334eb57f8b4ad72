"""One cell at a time: probabilities, subgroups, usefulness, and what withholding a class does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from bedside.core.evidence import OperatingPoint, OperatingPoints
from bedside.core.statistics import Abstained, NetBenefit, Statistics, Stratum, Usefulness
from bedside.core.study import EvidenceConfig
from bedside.core.types import Case, Task
from bedside.metrics import abstention, compare, probability, strata, subgroups, usefulness
from bedside.metrics.design import clusters_of
from bedside.metrics.inputs import log_odds
from bedside.metrics.quality import benefit_at_threshold, quality
from bedside.runfolder import layout
from bedside.stages.evidence.cells import (
    Cell,
    group_of,
    matched,
    positive_index,
    reference,
    side,
)


def statistics(cells: Sequence[Cell], points: OperatingPoints, cases: Mapping[str, Case],
               task: Task, config: EvidenceConfig) -> Statistics:
    """Describe every cell by itself on test images, and within groups against its reference."""
    positive = positive_index(task)
    found, groups, worst = [], [], []
    missing: dict[str, str] = {}
    for cell in cells:
        test = cell.predictions.of("test")
        own, m = points.cells[cell.name], cell.measurement
        locked = points.locked or own
        logits = test.logits.astype(np.float64)
        clusters = clusters_of([group_of(cases, str(i)) for i in test.ids])
        benefit, why = _benefit(cells, cell, locked, cases, positive, config)
        found.append(replace(
            quality(side(cell, "test", locked), positive, locked, own, config, clusters),
            variant=m.variant, target=m.target, split="test", net_benefit=benefit,
            net_benefit_reason=why))
        if positive is None or not len(logits):
            continue
        scores = log_odds(logits, positive)
        called = probability.decide(logits, scores, positive, locked) == positive
        known = [cases[str(i)] for i in test.ids if str(i) in cases]
        if len(known) != len(test.ids):
            continue
        columns, missing = subgroups.columns(
            known, {c.id: c.device for c in known if c.device is not None})
        labels01 = (test.labels == positive).astype(np.int64)
        for column, names in columns.items():
            rows, low = subgroups.describe(labels01, scores, called.astype(np.int64), column,
                                           names, m.variant, m.target, clusters)
            groups += rows
            worst += low
    silent = (_abstained(c, points, cases, positive) for c in cells)
    return Statistics(
        1, tuple(found), tuple(groups), tuple(worst), missing,
        tuple(_usefulness(c, points, cases, positive, task) for c in cells),
        tuple(a for a in silent if a is not None),
        tuple(s for c in cells for s in _strata(c, cells, points, cases, positive, config)))


def _usefulness(cell: Cell, points: OperatingPoints, cases: Mapping[str, Case],
                positive: int | None, task: Task) -> Usefulness:
    def answers(split: str) -> usefulness.Answers:
        part = side(cell, split, points.locked or points.cells[cell.name])
        called = probability.decide(part.logits, compare.scores_of(part.logits, positive), positive,
                                    part.point)
        return usefulness.Answers(part.labels, part.logits, called, clusters_of(
            [group_of(cases, str(i)) for i in part.ids]))

    return usefulness.of(cell.measurement.variant, cell.measurement.target, answers("test"),
                         answers("val"), positive, task.classes)


def _strata(cell: Cell, cells: Sequence[Cell], points: OperatingPoints,
            cases: Mapping[str, Case], positive: int | None, config: EvidenceConfig
            ) -> tuple[Stratum, ...]:
    """Hold one variant against float32 within every group of the test images."""
    m = cell.measurement
    base = reference([c.measurement for c in cells], m.target)
    if base is None or positive is None or base == m:
        return ()
    name = layout.cell_name(base.variant, base.target)
    point = points.locked or points.cells[name]
    old, new, _ = matched(side(next(c for c in cells if c.name == name), "test", point),
                          side(cell, "test", point))
    known = [cases[str(i)] for i in old.ids if str(i) in cases]
    if not len(old.ids) or len(known) != len(old.ids):
        return ()
    columns, _ = subgroups.columns(known, {c.id: c.device for c in known if c.device is not None})
    before, after = (probability.decide(s.logits, compare.scores_of(s.logits, positive), positive,
                                        point) == positive for s in (old, new))
    clusters = clusters_of([group_of(cases, str(i)) for i in old.ids])
    return strata.strata((old.labels == positive).astype(np.int64), before, after, columns,
                         m.variant, m.target, clusters, config.seed)


def _abstained(cell: Cell, points: OperatingPoints, cases: Mapping[str, Case],
               positive: int | None) -> Abstained | None:
    own = points.cells[cell.name]
    part = side(cell, "test", points.locked or own)
    if own.abstention is None or not len(part.labels) or not np.isfinite(part.logits).all():
        return None
    called = probability.decide(part.logits, compare.scores_of(part.logits, positive), positive,
                                part.point)
    silent = abstention.withheld(probability.probabilities(part.logits, part.point.temperature),
                                 positive, own.abstention)
    return abstention.on_test(cell.measurement.variant, cell.measurement.target, part.labels,
                              called, silent, positive,
                              clusters_of([group_of(cases, str(i)) for i in part.ids]))



def _benefit(cells: Sequence[Cell], cell: Cell, point: OperatingPoint, cases: Mapping[str, Case],
             positive: int | None, config: EvidenceConfig) -> tuple[NetBenefit | None, str | None]:
    """Return a cell's net benefit beside its reference's, on the test images of both."""
    base = reference([c.measurement for c in cells], cell.measurement.target)
    if base is None:
        return None, "the study has no float32 variant of this model to compare with"
    name = layout.cell_name(base.variant, base.target)
    other = next(c for c in cells if c.name == name)
    old, new, _ = matched(side(other, "test", point), side(cell, "test", point))
    return benefit_at_threshold(old, new, positive, [group_of(cases, str(i)) for i in old.ids],
                                config, name == cell.name)
