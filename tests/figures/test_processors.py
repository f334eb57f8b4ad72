"""Figure 10: time by scheme and processor."""

from __future__ import annotations

import pytest
from processors_fixture import MODEL, add, processors_run
from report_fixture import make_run

from bedside.figures import processors
from bedside.figures.base import NotAvailable


def test_ratios_are_to_float32_on_the_cpu_of_the_same_device(targets_run):
    rows = {(r["target"], r["scheme"]): r for r in processors.compute(targets_run, "").facts["rows"]
            if r["model"] == MODEL}
    assert rows["sd865-cpu", "int8"]["ratio"] == pytest.approx(0.25)
    assert rows["sd865-npu", "int8"]["ratio"] == pytest.approx(0.05)
    # This machine's base is LiteRT's float32 (13 ms in the fixture), for every runtime.
    assert rows["openvino", "int8"]["ratio"] == pytest.approx(3 / 13)
    assert rows["sd8gen3-npu", "int8"]["ratio"] is None
    assert rows["sd865-cpu", "float32"]["unfitted"]
    assert ("sd865-npu", "float32") not in rows


def test_the_figure_fills_measured_bars_only(targets_run):
    data = processors.compute(targets_run, "")
    figure = processors.draw(data)
    bars = figure.axes[0].patches
    measured = [r for r in data.facts["rows"] if r["ratio"] is not None
                and r["evidence"] == "measured"]
    assert sum(p.get_hatch() == "" for p in bars) == len(measured)
    said = {t.get_text() for t in figure.legends[0].get_texts()}
    assert said == {"measured", "estimated", "estimated, unfitted", "the paper's VGG16, measured"}
    said = processors.caption(data)
    assert "sd8gen3-npu" in said
    assert "are not ranked" in said


def test_bars_run_from_one_to_their_ratio(targets_run):
    """A software GPU that takes hundreds of times as long leaves the others readable."""
    data = processors.compute(targets_run, "")
    axes = processors.draw(data).axes[0]
    ends = {round(p.get_x() + p.get_width(), 6) for p in axes.patches}
    for row in data.facts["rows"]:
        if row["ratio"] is not None and abs(row["ratio"] - 1) > 0.05:
            assert round(row["ratio"], 6) in ends
    assert axes.get_xscale() == "log"


def test_an_estimate_is_never_named_the_quickest(targets_run):
    data = processors.compute(targets_run, "")
    assert min(r["ratio"] for r in data.facts["rows"] if r["ratio"]) == pytest.approx(0.05)
    assert "on openvino: 3 ms" in processors.caption(data)


def test_a_measured_board_is_never_divided_by_an_estimated_cpu(tmp_path_factory):
    run = processors_run(tmp_path_factory)
    add(run, "dynamic", "sd865-cpu", 12.0, "measured")
    data = processors.compute(run, "")
    rows = {(r["target"], r["scheme"]): r for r in data.facts["rows"] if r["model"] == MODEL}
    board = rows["sd865-cpu", "dynamic"]
    assert board["evidence"] == "measured" and board["ratio"] is None
    assert board["ratio_reason"] == (
        "measured, where FP32 on the same device's CPU is estimated")
    assert rows["sd865-cpu", "int8"]["ratio"] == pytest.approx(0.25)
    assert f"sd865-cpu ({board['ratio_reason']})" in processors.caption(data)
    drawn = [t.get_text() for t in processors.draw(data).axes[0].texts]
    assert not any("12 ms" in t for t in drawn)
    for row in data.facts["rows"]:
        base = processors.base_of(row, data.facts["rows"])
        assert row["ratio"] is None or row["evidence"] == base["evidence"]


def test_one_processor_is_no_figure(tmp_path):
    with pytest.raises(NotAvailable, match="--target"):
        processors.compute(make_run(tmp_path / "run"), "")
