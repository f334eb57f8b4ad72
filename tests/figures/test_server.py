"""Figure 11: the server's CPU against NPUs."""

from __future__ import annotations

import pytest
from processors_fixture import MODEL
from report_fixture import make_run

from bedside.figures import server
from bedside.figures.base import NotAvailable


def test_figure_11_takes_the_fastest_runtime_of_the_server(targets_run):
    data = server.compute(targets_run, "")
    rows = [(r["target"], r["scheme"]) for r in data.facts["rows"] if r["model"] == MODEL]
    assert ("openvino", "float32") in rows
    assert ("cpu", "float32") not in rows
    assert ("sd865-npu", "int8") in rows
    assert ("sd865-cpu", "int8") not in rows
    assert "8.3 times" in server.caption(data)
    assert server.draw(data).axes


def test_no_npu_is_no_figure(tmp_path):
    with pytest.raises(NotAvailable, match="NPU"):
        server.compute(make_run(tmp_path / "run"), "")
