"""results.json and the CSV files: contract and safety."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from report_fixture import (
    TASK,
    Names,
    make_run,
)
from report_reader import page, rows_of

from bedside.core.types import Estimate
from bedside.metrics.inputs import log_odds
from bedside.runfolder import layout, stored
from bedside.stages.report import results
from bedside.stages.report.build import build_report


def test_results_json_keeps_the_contract(run: Path) -> None:
    document = json.loads((run / "report" / "results.json").read_text())
    assert document["schema"] == 1 and len(document["rows"]) == 8
    for row in document["rows"]:
        assert set(row) >= {"model", "scheme", "variant", "target", "status", "reason", "evidence",
                            "compute_dtype", "size_bytes", "metrics", "latency_ms",
                            "peak_memory_bytes", "delegated_fraction"}
        assert set(row["evidence"]) >= {"accuracy", "latency"}
        for metric in row["metrics"].values():
            assert metric is None or set(metric) == {"value", "low", "high", "n"}
        if row["latency_ms"] is not None:
            assert set(row["latency_ms"]) == {"median", "p95", "n", "threads"}


def _predictions(run: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((run / "report" / "predictions.csv").read_text())))


def test_results_json_gives_back_what_was_measured(run: Path) -> None:
    known = stored.usefulness(run)
    for m in stored.measurements(run):
        row = next(r for r in rows_of(run) if r["variant"] == m.variant)
        _, own = known.get(layout.cell_name(m.variant, m.target), (None, None))
        assert (own is None) == (m.status != "ok")
        if own is None:
            continue
        for name, estimate in own.metrics.items():  # at the locked threshold, as decided
            assert Estimate(**row["metrics"][name]) == estimate
        for name, estimate in own.validation.items():
            assert Estimate(**row["splits"]["val"]["metrics"][name]) == estimate
        called = own.called["malignant"]
        assert called == sum(line["variant"] == m.variant and line["split"] == "test"
                             and line["predicted"] == "malignant" for line in _predictions(run))


def test_an_unsupported_cell_is_a_row_with_its_reason(run: Path) -> None:
    row = next(r for r in rows_of(run) if r["variant"] == "vgg16-dynamic")
    assert (row["status"], row["metrics"], row["latency_ms"]) == ("unsupported", {}, None)
    assert row["reason"] == Names().reason and Names().reason in page(run)


def test_csv_has_a_line_a_row_and_an_empty_cell_for_an_undefined_number(run: Path) -> None:
    lines = list(csv.DictReader(io.StringIO((run / "report" / "results.csv").read_text())))
    assert [line["variant"] for line in lines] == [r["variant"] for r in rows_of(run)]
    assert float(lines[0]["accuracy"]) == rows_of(run)[0]["metrics"]["accuracy"]["value"]
    bare = next(m for m in stored.measurements(run) if m.status == "ok")  # before any evidence
    (line,) = csv.DictReader(io.StringIO(results.results_csv([results.row(bare)])))
    assert line["specificity"] == ""
    assert line["specificity_undefined"] == "no image of the negative class"


def test_predictions_csv_names_images_by_case_id_alone(run: Path) -> None:
    text = (run / "report" / "predictions.csv").read_text()
    lines = list(csv.DictReader(io.StringIO(text)))
    assert list(lines[0]) == ["model", "scheme", "variant", "target", "id", "split", "label",
                              "predicted", "logit_benign", "logit_malignant",
                              "log_odds_benign", "log_odds_malignant"]
    assert len(lines) == 7 * 40
    found = stored.predictions(run, "vgg16-int8", "cpu")
    mine = [line for line in lines if line["variant"] == "vgg16-int8"]
    logits = np.array([[line["logit_benign"], line["logit_malignant"]] for line in mine])
    assert np.array_equal(logits.astype(np.float64), found.logits)
    for k, name in enumerate(TASK.classes):
        assert np.array_equal([float(line[f"log_odds_{name}"]) for line in mine],
                              log_odds(found.logits, k))
    locked = stored.operating_points(run, "vgg16").locked
    chosen = [TASK.classes[int(odds >= locked.threshold_log_odds)]
              for odds in log_odds(found.logits, 1)]
    assert [line["predicted"] for line in mine] == chosen
    for name in ("predictions.csv", "results.json", "results.csv", "index.html"):
        assert "secret-" not in (run / "report" / name).read_text()


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r"])
def test_no_csv_cell_is_taken_for_a_formula(first: str) -> None:
    assert results.safe_cell(first + "cmd|' /C calc'!A0").startswith("'" + first)


def test_negative_numbers_stay_numbers_in_csv() -> None:
    assert results.safe_cell(-0.5) == -0.5
    assert results.safe_cell(None) == ""


def test_hostile_class_names_are_defused_in_every_csv(tmp_path: Path) -> None:
    make_run(tmp_path, Names(classes=("=1+1", "@SUM(A1)")))
    build_report(tmp_path)
    for name in ("results.csv", "predictions.csv"):
        for line in csv.reader(io.StringIO((tmp_path / "report" / name).read_text())):
            for cell in line:
                number = re.fullmatch(r"-?\d+(\.\d+)?(e[+-]?\d+)?", cell)
                assert number or not cell.startswith(("=", "+", "-", "@", "\t", "\r")), cell
