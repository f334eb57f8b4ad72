"""The report stage: reproducible, resumable, with one message for an empty run."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from report_fixture import (
    Names,
    _stage,
    make_run,
)
from report_reader import page

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.study import Study
from bedside.runfolder import artefact, layout, stored
from bedside.stages.report.build import build_report


def test_the_same_run_gives_the_same_bytes(run: Path, tmp_path: Path) -> None:
    build_report(make_run(tmp_path))
    for name in ("index.html", "results.json", "results.csv", "predictions.csv"):
        one, other = (hashlib.sha256((r / "report" / name).read_bytes()).hexdigest()
                      for r in (run, tmp_path))
        assert one == other, name


def test_a_finished_report_is_left_alone_and_a_new_measurement_remakes_it(tmp_path: Path) -> None:
    path = build_report(make_run(tmp_path))
    before = path.stat().st_mtime_ns
    build_report(tmp_path)
    assert path.stat().st_mtime_ns == before
    m = stored.measurements(tmp_path)[0]
    _stage(layout.measurement_dir(tmp_path, m.variant, m.target), "other", {"x": "y"})
    build_report(tmp_path)
    assert path.stat().st_mtime_ns != before


def test_a_run_without_measurements_is_one_message(tmp_path: Path) -> None:
    artefact.write_text(layout.study_file(tmp_path), codec.to_toml(Study()))
    with pytest.raises(BadInput, match="no variant has been measured"):
        build_report(tmp_path)


def test_three_classes_are_reported_by_macro_means(tmp_path: Path) -> None:
    build_report(make_run(tmp_path, Names(classes=("benign", "malignant", "normal"))))
    html = page(tmp_path)
    assert "AUC (macro, one-vs-rest)" in html and "Sensitivity (macro)" in html
    assert stored.recommendations(tmp_path).recommendations[0].candidates[0].metric == "macro_auroc"
