"""Subgroups: bands, missing columns, worst groups."""

from __future__ import annotations

import numpy as np

from bedside.core.types import Case
from bedside.metrics import subgroups


def test_bands_are_half_open() -> None:
    assert [subgroups.band(v, subgroups.AGE_BANDS) for v in (39.9, 40.0, None)] == [
        "under 40", "40 to 49", subgroups.UNKNOWN]


def test_a_missing_column_has_a_reason() -> None:
    cases = [Case(f"c{i}", "f", "benign", age=30.0 + i) for i in range(3)]
    known, missing = subgroups.columns(cases, {c.id: "one device" for c in cases})
    assert set(known) == {"age"}
    assert "no such column" in missing["size"] and "one device" in missing["device"]


def test_sex_makes_groups_where_there_are_two() -> None:
    cases = [Case(f"c{i}", "f", "benign", sex="FM"[i % 2] if i else None) for i in range(4)]
    assert subgroups.columns(cases)[0]["sex"] == ["not given", "M", "F", "M"]
    assert "one sex" in subgroups.columns(cases[2:3])[1]["sex"]


def test_the_worst_group_has_the_lowest_value_and_at_least_five_images() -> None:
    labels = np.tile([0, 1], 40)
    groups = ["a"] * 38 + ["b"] * 38 + ["c"] * 4
    called = labels.copy()
    called[38:76] = 0
    called[76:] = 1 - called[76:]
    rows, worst = subgroups.describe(labels, called.astype(float), called, "age", groups, "v",
                                     "cpu")
    assert [(r.group, r.n) for r in rows] == [("a", 38), ("b", 38), ("c", 4)]
    lowest = {w.metric: w for w in worst}["sensitivity"]
    assert (lowest.group, lowest.apart, lowest.estimate.value) == ("b", True, 0.0)
