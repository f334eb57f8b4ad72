"""Table 1 by split and by patient."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from report_fixture import TASK, make_run
from report_reader import page, read

from bedside.core.types import Case
from bedside.runfolder import stored
from bedside.stages.report import demographics_view, matrix, tables
from bedside.stages.report.build import build_report


def _case(number: int, label: str, split: str, patient: str | None, age: float | None) -> Case:
    return Case(f"c{number}", f"{number}.png", label, patient, f"g{number}", split, age=age)


CASES = [
    _case(0, "benign", "train", "a", 40.0), _case(1, "benign", "train", "a", 40.0),
    _case(2, "benign", "train", "b", 60.0), _case(3, "malignant", "train", "a", 40.0),
    _case(4, "malignant", "test", "c", None), _case(5, "malignant", "test", None, 70.0),
    _case(6, "benign", "set_aside", "d", 10.0)]


def test_a_patient_counts_once_and_in_every_class_and_split() -> None:
    rows = {(r.split, r.label): r for r in demographics_view.demographics(CASES, TASK)}
    benign = rows["train", "benign"]
    assert (benign.images, benign.patients) == (3, 2)
    assert benign.age == tables.Spread(3, pytest.approx(140 / 3), pytest.approx(
        np.std([40, 40, 60], ddof=1)))
    assert benign.patient_age == tables.Spread(2, 50.0, pytest.approx(np.std([40, 60], ddof=1)))
    assert rows["all", "malignant"].images == 3 and rows["all", "malignant"].patients == 2
    test = rows["test", "malignant"]
    assert (test.patients, test.age.n, test.patient_age.n) == (1, 1, 0)
    assert sum(r.images for (s, _), r in rows.items() if s == "all") == 6
    assert rows["val", "benign"].images == 0


def test_splits_add_up_to_the_whole() -> None:
    rows = demographics_view.demographics(CASES, TASK)
    for label in TASK.classes:
        mine = [r for r in rows if r.label == label]
        assert mine[0].images == sum(r.images for r in mine[1:])


def test_data_without_patients_say_so() -> None:
    notes = matrix.Notes()
    lines = demographics_view.table([replace(c, patient=None) for c in CASES], TASK, notes)
    assert {line.patients for line in lines} == {"—"}
    assert demographics_view.NO_PATIENTS in notes.reasons
    assert [line.split for line in lines] == ["All", "", "Training", "", "Test"]


def test_the_report_prints_it(tmp_path: Path) -> None:
    cases = [replace(c, patient=f"p{i // 2}") for i, c in enumerate(stored.cases(
        make_run(tmp_path / "first")))]
    run = make_run(tmp_path / "run", cases=cases)
    build_report(run)
    words = " ".join("".join(read(page(run)).words).split())
    assert "Table 1 by split and by patient" in words
    patients = len({c.patient for c in cases if c.split == "train" and c.label == "benign"})
    (row,) = [r for r in demographics_view.demographics(cases, TASK)
              if (r.split, r.label) == ("train", "benign")]
    assert row.patients == patients and str(patients) in words
