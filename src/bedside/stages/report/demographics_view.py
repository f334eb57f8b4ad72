"""Table 1 by split and by patient: what images of the same patient would count twice."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bedside.core.text import DASH, count
from bedside.core.types import Case, Task
from bedside.stages.report import matrix, tables

SPLITS = (("train", "Training"), ("val", "Validation"), ("test", "Test"))
NO_PATIENTS = "By patient: the data contain no patient identifiers"


@dataclass(frozen=True, slots=True)
class SplitDemographics:
    """One class in one split (``all`` of them), counted by image and by patient.

    ``patients`` is None where no image of it names its patient; a patient with images of two
    classes counts in both. By patient, each has the mean over their images.
    """

    split: str
    label: str
    images: int
    patients: int | None
    age: tables.Spread
    size_mm: tables.Spread
    patient_age: tables.Spread
    patient_size_mm: tables.Spread


@dataclass(frozen=True, slots=True)
class Line:
    """A row as text; ``split`` is empty where it continues the one above."""

    split: str
    label: str
    images: str
    patients: str
    age: matrix.Cell
    patient_age: matrix.Cell
    size: matrix.Cell
    patient_size: matrix.Cell


def demographics(cases: Sequence[Case], task: Task) -> tuple[SplitDemographics, ...]:
    """Compute age and size of every class in every split, and in all of them, by both counts."""
    inside = tables.used(cases)
    return tuple(_row(split, label, [c for c in inside if c.label == label
                                     and split in (c.split, "all")])
                 for split in ("all", *(s for s, _ in SPLITS)) for label in task.classes)


def _row(split: str, label: str, own: Sequence[Case]) -> SplitDemographics:
    named = {c.patient for c in own if c.patient}
    return SplitDemographics(
        split, label, len(own), len(named) or None,
        tables.spread(c.age for c in own), tables.spread(c.size_mm for c in own),
        tables.spread(_by_patient(own, lambda c: c.age)),
        tables.spread(_by_patient(own, lambda c: c.size_mm)))


def _by_patient(own: Sequence[Case], value: Callable[[Case], float | None]) -> list[float]:
    values: dict[str, list[float]] = {}
    for case in own:
        v = value(case)
        if case.patient and v is not None:
            values.setdefault(case.patient, []).append(v)
    return [statistics.fmean(v) for v in values.values()]


def table(cases: Sequence[Case], task: Task, notes: matrix.Notes) -> tuple[Line, ...]:
    """Tabulate Table 1 by split and by patient; only classes and splits that hold images."""
    titles = {"all": "All", **dict(SPLITS)}
    lines: list[Line] = []
    shown = ""
    for r in demographics(cases, task):
        if not r.images:
            continue
        by_patient = [matrix.spread_cell(v, what, notes) if r.patients else notes.dash(NO_PATIENTS)
                      for v, what in ((r.patient_age, "Age"), (r.patient_size_mm, "Tumor size"))]
        lines.append(Line(
            titles[r.split] if r.split != shown else "", r.label, count(r.images),
            count(r.patients) if r.patients else DASH,
            matrix.spread_cell(r.age, "Age", notes), by_patient[0],
            matrix.spread_cell(r.size_mm, "Tumor size", notes), by_patient[1]))
        shown = r.split
    return tuple(lines)
