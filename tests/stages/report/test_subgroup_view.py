"""Subgroups in words."""

from __future__ import annotations

from bedside.core.statistics import Worst
from bedside.core.types import Estimate
from bedside.stages.report import subgroup_view


def test_the_worst_group_says_whether_the_intervals_overlap() -> None:
    low, high = Estimate(0.6, 0.5, 0.7, 40), Estimate(0.9, 0.85, 0.95, 100)
    worst = Worst("v", "cpu", "age", "sensitivity", "under 40", low, high, True)
    line = subgroup_view._worst(worst)
    assert line.own == "60.0% [50.0–70.0], n = 40" and "do not overlap" in line.verdict
    chance = subgroup_view._worst(Worst("v", "cpu", "age", "sensitivity", "under 40", low, high,
                                        False))
    assert "may be chance" in chance.verdict


def test_an_undefined_value_gives_its_reason() -> None:
    assert subgroup_view._full("auroc", Estimate(None, None, None, 0, "one class")) == (
        "— (one class)")
