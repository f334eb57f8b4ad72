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
    Comparison,
    Comparisons,
    NetBenefit,
    OperatingPoint,
    OperatingPoints,
    Statistics,
)
from bedside.core.progress import Progress
from bedside.core.study import EvidenceConfig
from bedside.core.types import Case, Task
from bedside.metrics import bootstrap, compare, probability, subgroups
from bedside.metrics.compare import Side
from bedside.metrics.design import clusters_of
from bedside.metrics.inputs import Labels, log_odds
from bedside.metrics.quality import benefit_at_threshold, quality
from bedside.runfolder import artefact, layout, stored
from bedside.runfolder.predictions import Predictions

STAGE = "evidence"
VERSION = 5
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
    positive = positive_index(task)
    points = replace(operating_points(model, cells, task, config),
                     predictions=_hashes(run, measured))
    found = [c for split in SPLITS for c in comparisons(cells, points, split, cases, positive,
                                                        config)]
    with artefact.writing(folder, STAGE, key) as scratch:
        artefact.write_text(scratch / layout.OPERATING_POINT, codec.to_json(points))
        artefact.write_text(scratch / layout.COMPARISONS,
                            codec.to_json(Comparisons(comparisons=tuple(found))))
        artefact.write_text(scratch / layout.STATISTICS, codec.to_json(
            statistics(cells, points, cases, positive, config)))
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


def operating_points(model: str, cells: Sequence[Cell], task: Task, config: EvidenceConfig
                     ) -> OperatingPoints:
    """Choose threshold and temperature of every cell on validation; lock the reference's."""
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
    return OperatingPoints(1, model, task.positive, name,
                           points[name] if name is not None else None, points)


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
    # Without a locked point every baseline decides at its own, so a draw serves only one of them.
    drawn: dict[tuple[OperatingPoint, tuple[str, ...]], tuple[bootstrap.Resampled, list[str]]] = {}
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
        share, places = None, (0, 1)
        if positive is not None and clusters_of(groups) is not None:
            ids = tuple(str(i) for i in old.ids)
            if (point, ids) not in drawn:
                drawn[point, ids] = _draw(cells, ids, split, point, groups, positive, config)
            share, names = drawn[point, ids]
            places = (names.index(name), names.index(cell.name))
        one = compare.compare(old, new, positive, groups, config, share, places)
        twin = seen.setdefault((new.logits.tobytes(), name), cell.name)
        found.append(replace(one, variant=m.variant, target=m.target, against=name, split=split,
                             only_old=only[0], only_new=only[1],
                             same_as=twin if twin != cell.name else None))
    return found


def _group(cases: Mapping[str, Case], case_id: str) -> str:
    case = cases.get(case_id)
    return case_id if case is None else case.group or case_id


def _draw(cells: Sequence[Cell], ids: tuple[str, ...], split: str, point: OperatingPoint,
          groups: Sequence[str], positive: int, config: EvidenceConfig
          ) -> tuple[bootstrap.Resampled, list[str]]:
    """Return the bootstrap shared by every cell that has these images."""
    names, scores, right = [], [], []
    labels = None
    for cell in cells:
        own = side(cell, split, point)
        place = {str(v): i for i, v in enumerate(own.ids)}
        if not set(ids) <= set(place):
            continue
        rows = np.array([place[i] for i in ids], np.int64)
        labels = own.labels[rows]
        logits = own.logits[rows]
        scores.append(log_odds(logits, positive))
        right.append(probability.decide(logits, scores[-1], positive, point) == labels)
        names.append(cell.name)
    clusters = clusters_of(groups)
    assert labels is not None and clusters is not None
    return bootstrap.resample((labels == positive).astype(np.int64), np.stack(scores),
                              np.stack(right), clusters, config.resamples, config.seed), names


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
