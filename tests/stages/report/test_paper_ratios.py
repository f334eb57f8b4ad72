"""The paper's ratios beside this study's."""

from __future__ import annotations

from processors_fixture import MODEL

from bedside.core import codec
from bedside.stages.report import paper_ratios
from bedside.stages.report.build import build_report


def test_the_papers_ratios_stand_beside_the_estimates(targets_run):
    page = build_report(targets_run)
    rows = codec.parse_json((page.parent / "results.json").read_text(), "results")["rows"]
    table = paper_ratios.table(rows)
    lines = {what: (paper, own[table.models.index(MODEL)]) for what, paper, own in table.lines}
    assert lines["INT8 on the CPU, against FP32 there"] == (
        "3.8 times as fast", "4 times as fast, estimated (unfitted)")
    assert lines["INT8 on the NPU, against FP32 on the CPU"] == (
        "33 times as fast", "20 times as fast, estimated (unfitted)")
    assert not any("GPU" in what for what in lines)  # no estimate of it in this run
    assert "Estimates beside the paper’s ratios" in page.read_text()
    assert paper_ratios.table([r for r in rows if "sd865" not in r["target"]]) is None
