"""Measured cells with their predictions, operating points, and the images two of them share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bedside.core.build import Measurement
from bedside.core.evidence import OperatingPoint, OperatingPoints
from bedside.core.study import EvidenceConfig
from bedside.core.types import Abstention, Case, Task
from bedside.metrics import abstention, compare, probability
from bedside.metrics.compare import Side
from bedside.metrics.design import clusters_of
from bedside.metrics.inputs import Labels
from bedside.runfolder import layout, stored
from bedside.runfolder.predictions import Predictions


@dataclass(frozen=True, slots=True)
class Cell:
    """A measured cell with its predictions."""

    measurement: Measurement
    predictions: Predictions

    @property
    def name(self) -> str:
        """``<variant>@<target>``."""
        return layout.cell_name(self.measurement.variant, self.measurement.target)


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


def group_of(cases: Mapping[str, Case], case_id: str) -> str:
    """Return the patient or group of a case, itself where it has none or is unknown."""
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


