"""Tables of the report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from report_fixture import (
    TASK,
)
from report_reader import rows_of

from bedside.runfolder import stored
from bedside.stages.report import paper, tables


def test_headlines_come_from_the_rows(run: Path) -> None:
    rows = rows_of(run)
    found = {h.model: h for h in tables.headlines(rows)}
    assert found["vgg16"].size_reduction == pytest.approx(0.74, abs=1e-6)
    assert found["vgg16"].smallest == "int8 on cpu"
    assert found["vgg16"].time_reduction == pytest.approx(0.0)
    for row in rows:
        if row["scheme"] == "int8":
            row["latency_ms"]["median"] *= 0.03
    faster = {h.model: h for h in tables.headlines(rows)}
    assert faster["vgg16"].time_reduction == pytest.approx(paper.TIME_REDUCTION)
    for row in rows:
        if row["scheme"] == "int8":
            row["evidence"]["latency"] = "estimated"
    assert tables.headlines(rows)[1].fastest == "float16 on cpu"


def test_spread_is_the_sample_standard_deviation() -> None:
    sd = pytest.approx(np.std([1, 3], ddof=1))
    assert tables.spread([1.0, None, 3.0]) == tables.Spread(2, 2.0, sd)
    assert tables.spread([5.0]) == tables.Spread(1, 5.0, None)
    assert tables.spread([None]) == tables.Spread(0)


def test_the_flow_adds_up(run: Path) -> None:
    flow = tables.flow(stored.cases(run), TASK, {"set_aside": [{"file": "x", "reason": "torn"}]})
    assert (flow.read, flow.used, flow.set_aside_total) == (81, 80, 1)
    assert flow.set_aside == (("torn", 1),)
    assert (flow.groups, flow.largest_group) == (78, 2)
