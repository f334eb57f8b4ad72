"""The table of results by variant."""

from __future__ import annotations

from pathlib import Path

from report_reader import rows_of

from bedside.stages.report import matrix, tables


def test_a_latency_taken_on_a_busy_machine_is_marked(run: Path) -> None:
    rows = rows_of(run)
    assert not any(tables.unsteady(r) for r in rows)
    next(r for r in rows if r["variant"] == "vgg16-float32")["latency_ms"]["p95"] *= 3
    assert tables.headlines(rows)[1].fastest == "float16 on cpu (unsteady)"
    table = matrix.matrix(rows, matrix.Notes())
    assert [line.cells[1].tag for line in table.groups[1].lines if line.cells] == [
        "unsteady", "", ""]
