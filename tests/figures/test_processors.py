"""Figures 10 and 11 and the matrix page: every number with how it came about."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_fixture import make_run

from bedside.core import codec
from bedside.core.build import Latency, Measurement
from bedside.figures import processors, server
from bedside.figures.base import NotAvailable
from bedside.figures.draw import processors as drawn
from bedside.figures.draw import server as drawn_server
from bedside.runfolder import artefact, layout
from bedside.stages.report import paper_ratios
from bedside.stages.report.build import build_report
from bedside.stages.report.target_matrix import crossing

MODEL = "efficientnet_lite0"


def _add(run: Path, scheme: str, target: str, ms: float | None, evidence: str = "estimated",
         **more) -> None:
    old = codec.read_json(Measurement, layout.measurement_dir(
        run, f"{MODEL}-{scheme}", "cpu") / layout.MEASUREMENT)
    latency = None if ms is None else Latency(ms, None, 0, 1)
    values = {"status": "ok", "latency_ms": latency, "metrics": {}, "predictions": None,
              "evidence": {"latency": evidence} if ms else {}, "target": target, **more}
    new = Measurement(**{**{f: getattr(old, f) for f in Measurement.__slots__}, **values})
    folder = layout.measurement_dir(run, new.variant, target)
    with artefact.writing(folder, "evaluate", "key") as scratch:
        artefact.write_text(scratch / layout.MEASUREMENT, codec.to_json(new))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    made = make_run(tmp_path_factory.mktemp("processors") / "run")
    _add(made, "float32", "sd865-cpu", 40.0, facts={"fitted": 0.0})
    _add(made, "int8", "sd865-cpu", 10.0, facts={"fitted": 1.0})
    _add(made, "int8", "sd865-npu", 2.0, facts={"fitted": 1.0})
    _add(made, "int8", "sd8gen3-npu", 0.2, facts={"fitted": 1.0})
    _add(made, "float32", "sd865-npu", None, status="unsupported", reason="no float arithmetic")
    _add(made, "float32", "openvino", 9.0, "measured")
    _add(made, "int8", "openvino", 3.0, "measured", quantizer="nncf 3.4.0")
    return made


def test_ratios_are_to_float32_on_the_cpu_of_the_same_device(run):
    rows = {(r["target"], r["scheme"]): r for r in processors.compute(run, "").facts["rows"]
            if r["model"] == MODEL}
    assert rows["sd865-cpu", "int8"]["ratio"] == pytest.approx(0.25)
    assert rows["sd865-npu", "int8"]["ratio"] == pytest.approx(0.05)
    # This machine's base is LiteRT's float32 (13 ms in the fixture), for every runtime.
    assert rows["openvino", "int8"]["ratio"] == pytest.approx(3 / 13)
    assert rows["sd8gen3-npu", "int8"]["ratio"] is None
    assert rows["sd865-cpu", "float32"]["unfitted"]
    assert ("sd865-npu", "float32") not in rows


def test_the_figure_fills_measured_bars_only(run):
    data = processors.compute(run, "")
    figure = drawn.draw(data)
    bars = figure.axes[0].patches
    measured = [r for r in data.facts["rows"] if r["ratio"] is not None
                and r["evidence"] == "measured"]
    assert sum(p.get_hatch() == "" for p in bars) == len(measured)
    said = {t.get_text() for t in figure.legends[0].get_texts()}
    assert said == {"measured", "estimated", "estimated, unfitted", "the paper's VGG16, measured"}
    said = drawn.caption(data)
    assert "sd8gen3-npu" in said
    assert "in no ranking" in said


def test_bars_run_from_one_to_their_ratio(run):
    """A software GPU that takes hundreds of times as long leaves the others readable."""
    data = processors.compute(run, "")
    axes = drawn.draw(data).axes[0]
    ends = {round(p.get_x() + p.get_width(), 6) for p in axes.patches}
    for row in data.facts["rows"]:
        if row["ratio"] is not None and abs(row["ratio"] - 1) > 0.05:
            assert round(row["ratio"], 6) in ends
    assert axes.get_xscale() == "log"


def test_an_estimate_is_never_named_the_quickest(run):
    data = processors.compute(run, "")
    assert min(r["ratio"] for r in data.facts["rows"] if r["ratio"]) == pytest.approx(0.05)
    assert "on openvino: 3 ms" in drawn.caption(data)


def test_figure_11_takes_the_fastest_runtime_of_the_server(run):
    data = server.compute(run, "")
    rows = [(r["target"], r["scheme"]) for r in data.facts["rows"] if r["model"] == MODEL]
    assert ("openvino", "float32") in rows
    assert ("cpu", "float32") not in rows
    assert ("sd865-npu", "int8") in rows
    assert ("sd865-cpu", "int8") not in rows
    assert "8.3 times" in drawn_server.caption(data)
    assert drawn_server.draw(data).axes


def test_one_processor_is_no_figure(tmp_path):
    bare = make_run(tmp_path / "run")
    with pytest.raises(NotAvailable, match="--target"):
        processors.compute(bare, "")
    with pytest.raises(NotAvailable, match="NPU"):
        server.compute(bare, "")


def test_every_cell_of_the_matrix_has_numbers_with_evidence_or_a_reason(run):
    page = build_report(run)
    results = codec.parse_json((page.parent / "results.json").read_text(), "results")["rows"]
    targets = list(dict.fromkeys(r["target"] for r in results))
    table = crossing(results, targets)
    cells = [c for _, lines in table.groups for _, row in lines for c in row]
    assert len(cells) == len(targets) * len({r["variant"] for r in results})
    for cell in cells:
        assert bool(cell.facts) == (cell.status == "ok")
        assert cell.facts or cell.reason
        for fact in cell.facts[:2]:
            assert fact.tag or fact.detail
            assert (fact.text == "—") != bool(fact.tag)
    text = page.read_text()
    for said in ("no float arithmetic", "estimated, unfitted", "nncf 3.4.0", 'id="matrix"'):
        assert said in text


def test_the_papers_ratios_stand_beside_the_estimates(run):
    page = build_report(run)
    rows = codec.parse_json((page.parent / "results.json").read_text(), "results")["rows"]
    table = paper_ratios.table(rows)
    lines = {what: (paper, own[table.models.index(MODEL)]) for what, paper, own in table.lines}
    assert lines["INT8 on the CPU, against FP32 there"] == (
        "3.8 times as fast", "4 times as fast, estimated (unfitted)")
    assert lines["INT8 on the NPU, against FP32 on the CPU"] == (
        "33 times as fast", "20 times as fast, estimated (unfitted)")
    assert not any("GPU" in what for what in lines)  # no estimate of it in this run
    assert "Beside the paper’s own ratios" in page.read_text()
    assert paper_ratios.table([r for r in rows if "sd865" not in r["target"]]) is None


def test_one_target_has_no_matrix_page(tmp_path):
    assert 'id="matrix"' not in build_report(make_run(tmp_path / "run")).read_text()
