"""Measured cells: which images two of them share, and where no class is given."""

from __future__ import annotations

import numpy as np
import pytest
from choice_fixture import Cell, make, sample
from gate_fixture import splits

from bedside.core.evidence import OperatingPoint
from bedside.core.types import Task
from bedside.metrics.compare import Side
from bedside.runfolder import stored
from bedside.stages.evidence import cells, statistics


def _side(ids, labels):
    return Side(np.array(ids), np.array(labels), np.zeros((len(ids), 2)), OperatingPoint("x", 0))


def test_only_shared_images_with_the_same_label_are_compared():
    old, new, only = cells.matched(_side(["a", "b", "c", "d"], [0, 1, 1, 0]),
                                   _side(["d", "c", "b", "e"], [0, 0, 1, 1]))
    assert old.ids.tolist() == new.ids.tolist() == ["b", "d"]
    assert only == (2, 2)


@pytest.mark.parametrize(("task", "index"), [
    (Task(("benign", "malignant"), "malignant"), 1), (Task(("a", "b"), None), None),
    (Task(("a", "b", "c"), None), None)])
def test_only_two_classes_have_a_positive_one(task, index):
    assert cells.positive_index(task) == index


def test_every_cell_has_its_own_band_around_the_threshold_that_ships(tmp_path):
    _, labels, odds = sample(400, noise=1.6)
    make(tmp_path, labels, splits(200, 200), {"float32": Cell(odds, 12, 4_000_000),
                                              "int8": Cell(odds + 0.4, 4)})
    points = stored.operating_points(tmp_path, "net")
    locked = points.locked
    cut = locked.threshold_calibrated or locked.threshold
    bands = {name: p.abstention for name, p in points.cells.items()}
    assert set(bands) == {"net-float32@cpu", "net-int8@cpu"}
    for band in bands.values():
        assert band.low <= cut <= band.high
        assert band.risks == {"missed": 0.05, "alarms": 0.2}
    # A shift of every score is a shift of the band: it is of the very artefact.
    assert bands["net-int8@cpu"] != bands["net-float32@cpu"]
    found = {a.variant: a for a in stored.statistics(tmp_path, "net").abstained}
    for a in found.values():
        assert 0.5 < a.answered.value <= 1
        assert a.risks["missed"].low <= 0.05


def test_a_cell_without_validation_images_has_no_band(tmp_path):
    _, labels, odds = sample(60)
    make(tmp_path, labels, ["test"] * 60, {"float32": Cell(odds), "int8": Cell(odds, 4)})
    points = stored.operating_points(tmp_path, "net")
    assert all(p.abstention is None for p in points.cells.values())
    assert stored.statistics(tmp_path, "net").abstained == ()
    measured = [cells.Cell(m, stored.predictions(tmp_path, m.variant, m.target))
                for m in stored.measurements(tmp_path)]
    again = statistics.statistics(measured, points, {c.id: c for c in stored.cases(tmp_path)},
                                  stored.task(tmp_path), stored.study(tmp_path).evidence)
    assert [u.n for u in again.usefulness] == [60, 60]
