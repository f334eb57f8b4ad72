"""Stage ``evidence``: operating points, calibration, subgroups and every paired test.

Reads the predictions of every cell; ``RUN/evidence/<model>/`` holds each model's numbers and
``RUN/evidence/all/`` the answers after Holm's adjustment over the whole study.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bedside.core import codec
from bedside.core.build import Measurement
from bedside.core.evidence import (
    Abstained,
    Comparison,
    Comparisons,
    NetBenefit,
    OperatingPoint,
    OperatingPoints,
    Statistics,
    Stratum,
    Usefulness,
)
from bedside.core.progress import Progress
from bedside.core.study import EvidenceConfig
from bedside.core.types import Abstention, Case, Task
from bedside.metrics import (
    abstention,
    compare,
    probability,
    strata,
    subgroups,
    usefulness,
)
from bedside.metrics.compare import Side
from bedside.metrics.design import clusters_of
from bedside.metrics.inputs import Labels, log_odds
from bedside.metrics.quality import benefit_at_threshold, quality
from bedside.runfolder import artefact, layout, protocol, stored
from bedside.runfolder.predictions import Predictions

STAGE = "evidence"
VERSION = 7
ALL_MODELS = layout.ALL_MODELS
SPLITS = ("val", "test")


@dataclass(frozen=True, slots=True)
class Cell:
    """A measured cell with its predictions."""

    measurement: Measurement
    predictions: Predictions

    @property
    def name(self) -> str:
        """``<variant>@<target>``."""
        return layout.cell_name(self.measurement.variant, self.measurement.target)


def evidence(run: Path, config: EvidenceConfig, progress: Progress | None = None) -> None:
    """Compute every model's statistics and the study's answers; finished ones are left.

    Raises:
        BadInput: predictions do not read.
    """
    measured = [m for m in stored.measurements(run) if stored.usable(m)]
    models = list(dict.fromkeys(m.model for m in measured))
    cases = {c.id: c for c in stored.cases(run)}
    task = stored.task(run)
    made = [_model(run, model, [m for m in measured if m.model == model], cases, task, config)
            for model in models if _tell(progress, models, model)]
    _answers(run, models, artefact.stage_key(STAGE, VERSION, made))
    if progress is not None:
        progress(STAGE, len(models) + 1, len(models) + 1)


def _tell(progress: Progress | None, models: Sequence[str], model: str) -> bool:
    if progress is not None:
        progress(STAGE, models.index(model), len(models) + 1)
    return True


def _answers(run: Path, models: Sequence[str], key: str) -> None:
    folder = layout.evidence_dir(run, ALL_MODELS)
    if artefact.intact(folder, STAGE, key):
        return
    every = [c for m in models for c in codec.read_json(
        Comparisons, artefact.checked(layout.evidence_dir(run, m), STAGE, layout.COMPARISONS)
    ).comparisons]
    done: list[Comparison] = []
    for split in SPLITS:
        done += compare.answers([c for c in every if c.split == split])
    with artefact.writing(folder, STAGE, key) as scratch:
        artefact.write_text(scratch / layout.COMPARISONS,
                            codec.to_json(Comparisons(comparisons=tuple(done))))


# ------------------------------------------------------------------ one model


def _model(run: Path, model: str, measured: Sequence[Measurement], cases: Mapping[str, Case],
           task: Task, config: EvidenceConfig) -> str:
    """Publish one model's folder; returns its key."""
    folder = layout.evidence_dir(run, model)
    key = model_key(run, model, measured, cases, task, config)
    if artefact.intact(folder, STAGE, key):
        return key
    cells = [Cell(m, stored.predictions(run, m.variant, m.target)) for m in measured]
    hashes = _hashes(run, measured)
    # Before the answers are computed, so that an interrupted reading has its line too.
    protocol.opened(run, STAGE, model, max((len(c.predictions.of("test").ids) for c in cells),
                                           default=0), hashes)
    positive = positive_index(task)
    points = replace(operating_points(model, cells, task, config,
                                      {i: c.group or i for i, c in cases.items()}),
                     predictions=hashes)
    found = [c for split in SPLITS for c in comparisons(cells, points, split, cases, positive,
                                                        config)]
    with artefact.writing(folder, STAGE, key) as scratch:
        artefact.write_text(scratch / layout.OPERATING_POINT, codec.to_json(points))
        artefact.write_text(scratch / layout.COMPARISONS,
                            codec.to_json(Comparisons(comparisons=tuple(found))))
        artefact.write_text(scratch / layout.STATISTICS, codec.to_json(
            replace(statistics(cells, points, cases, positive, config), strata=tuple(
                s for c in cells for s in _strata(c, cells, points, cases, positive, config)),
                usefulness=tuple(
                _usefulness(c, points, cases, positive, task) for c in cells), abstained=tuple(
                    a for c in cells if (a := _abstained(c, points, cases, positive))))))
    return key


def model_key(run: Path, model: str, measured: Sequence[Measurement],
              cases: Mapping[str, Case], task: Task, config: EvidenceConfig) -> str:
    """Return the key of a model's evidence, which changes where a cell was measured since."""
    about = [[c.id, c.group, c.age, c.size_mm, c.device] for c in cases.values()]
    return artefact.stage_key(STAGE, VERSION, model, _hashes(run, measured), about, task, config)


def _hashes(run: Path, measured: Sequence[Measurement]) -> dict[str, str]:
    return {layout.cell_name(m.variant, m.target): stored.predictions_sha256(run, m)
            for m in measured}


def positive_index(task: Task) -> int | None:
    """Return the index of the positive class of a two-class task, else None."""
    if task.positive is None or len(task.classes) != 2:
        return None
    return task.classes.index(task.positive)


def operating_points(model: str, cells: Sequence[Cell], task: Task, config: EvidenceConfig,
                     groups: Mapping[str, str] | None = None) -> OperatingPoints:
    """Choose threshold and temperature of every cell on validation; lock the reference's.

    ``groups``: the patient or group of each case, by id.
    """
    groups = groups or {}
    positive = positive_index(task)
    points = {}
    for cell in cells:
        val = cell.predictions.of("val")
        logits = val.logits.astype(np.float64)
        scores = compare.scores_of(logits, positive) if len(logits) else None
        points[cell.name] = probability.operating_point(val.labels, logits, positive, scores,
                                                        config)
    base = reference([c.measurement for c in cells])
    name = None if base is None else layout.cell_name(base.variant, base.target)
    locked = points[name] if name is not None else None
    bands = {c.name: replace(points[c.name], abstention=_band(
        c, locked or points[c.name], groups, positive, config)) for c in cells}
    return OperatingPoints(1, model, task.positive, name,
                           bands[name] if name is not None else None, bands)


def _band(cell: Cell, point: OperatingPoint, groups: Mapping[str, str], positive: int | None,
          config: EvidenceConfig) -> Abstention | None:
    """Find where a cell gives no class, at the threshold and temperature that ship."""
    val = cell.predictions.of("val")
    logits = val.logits.astype(np.float64)
    if not len(logits) or not np.isfinite(logits).all():
        return None
    threshold = point.threshold_calibrated if point.temperature else point.threshold
    return abstention.band(
        val.labels, probability.probabilities(logits, point.temperature), positive, threshold,
        config, clusters_of([groups.get(str(i), str(i)) for i in val.ids]))


def reference(measured: Sequence[Measurement], target: str = "cpu") -> Measurement | None:
    """Return the float32 cell that a model's variants on ``target`` are compared with."""
    return stored.baseline(measured, target)


def side(cell: Cell, split: str, point: OperatingPoint) -> Side:
    """Return one split of a cell, deciding at an operating point."""
    part = cell.predictions.of(split)
    return Side(part.ids, part.labels, part.logits.astype(np.float64), point)


def comparisons(cells: Sequence[Cell], points: OperatingPoints, split: str,
                cases: Mapping[str, Case], positive: int | None, config: EvidenceConfig
                ) -> list[Comparison]:
    """Compare every variant of a model with its float32 model at the locked threshold."""
    every = [c.measurement for c in cells]
    by_name = {c.name: c for c in cells}
    seen: dict[tuple[bytes, str], str] = {}
    found = []
    for cell in cells:
        base = reference(every, cell.measurement.target)
        name = None if base is None else layout.cell_name(base.variant, base.target)
        if name == cell.name:
            continue
        m = cell.measurement
        if name is None:
            found.append(Comparison(m.variant, m.target, "", split, 0, reason=(
                "the study has no float32 variant of this model to compare with")))
            continue
        point = points.locked or points.cells[name]
        old, new, only = matched(side(by_name[name], split, point), side(cell, split, point))
        groups = [_group(cases, str(i)) for i in old.ids]
        one = compare.compare(old, new, positive, groups, config)
        twin = seen.setdefault((new.logits.tobytes(), name), cell.name)
        found.append(replace(one, variant=m.variant, target=m.target, against=name, split=split,
                             only_old=only[0], only_new=only[1],
                             same_as=twin if twin != cell.name else None))
    return found


def _group(cases: Mapping[str, Case], case_id: str) -> str:
    case = cases.get(case_id)
    return case_id if case is None else case.group or case_id


def matched(old: Side, new: Side) -> tuple[Side, Side, tuple[int, int]]:
    """Return both sides on the images they share, in the old one's order, and the rest's counts."""
    place = {str(v): i for i, v in enumerate(new.ids)}
    rows = [(i, place[str(v)]) for i, v in enumerate(old.ids) if str(v) in place
            and new.labels[place[str(v)]] == old.labels[i]]
    at = np.array([r[0] for r in rows], np.int64), np.array([r[1] for r in rows], np.int64)

    def part(s: Side, index: Labels) -> Side:
        return Side(s.ids[index], s.labels[index], s.logits[index], s.point)

    return part(old, at[0]), part(new, at[1]), (len(old.ids) - len(rows), len(new.ids) - len(rows))


# ------------------------------------------------------------------ probabilities and subgroups


def statistics(cells: Sequence[Cell], points: OperatingPoints, cases: Mapping[str, Case],
               positive: int | None, config: EvidenceConfig) -> Statistics:
    """Return metrics at both thresholds, calibration and subgroups of every cell on test images."""
    found, groups, worst = [], [], []
    missing: dict[str, str] = {}
    for cell in cells:
        test = cell.predictions.of("test")
        own, m = points.cells[cell.name], cell.measurement
        locked = points.locked or own
        logits = test.logits.astype(np.float64)
        clusters = clusters_of([_group(cases, str(i)) for i in test.ids])
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
    return Statistics(1, tuple(found), tuple(groups), tuple(worst), missing)


def _usefulness(cell: Cell, points: OperatingPoints, cases: Mapping[str, Case],
                positive: int | None, task: Task) -> Usefulness:
    def answers(split: str) -> usefulness.Answers:
        part = side(cell, split, points.locked or points.cells[cell.name])
        called = probability.decide(part.logits, compare.scores_of(part.logits, positive), positive,
                                    part.point)
        return usefulness.Answers(part.labels, part.logits, called, clusters_of(
            [_group(cases, str(i)) for i in part.ids]))

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
    return strata.strata((old.labels == positive).astype(np.int64), before, after, columns,
                         m.variant, m.target, clusters_of([_group(cases, str(i)) for i in old.ids]),
                         config.seed)


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
                              clusters_of([_group(cases, str(i)) for i in part.ids]))



def _benefit(cells: Sequence[Cell], cell: Cell, point: OperatingPoint, cases: Mapping[str, Case],
             positive: int | None, config: EvidenceConfig) -> tuple[NetBenefit | None, str | None]:
    """Return a cell's net benefit beside its reference's, on the test images of both."""
    base = reference([c.measurement for c in cells], cell.measurement.target)
    if base is None:
        return None, "the study has no float32 variant of this model to compare with"
    name = layout.cell_name(base.variant, base.target)
    other = next(c for c in cells if c.name == name)
    old, new, _ = matched(side(other, "test", point), side(cell, "test", point))
    return benefit_at_threshold(old, new, positive, [_group(cases, str(i)) for i in old.ids],
                                config, name == cell.name)
