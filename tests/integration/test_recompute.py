"""A small run's report against ``benchmarks/recompute.py``: every number, and a changed one."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
from choice_fixture import Cell, make, sample
from gate_fixture import splits
from paths import ROOT

from bedside.core import codec
from bedside.core.build import Latency
from bedside.runfolder import artefact, layout, stored
from bedside.runfolder.cases import cases_to_csv
from bedside.stages.evidence import stage as evidence
from bedside.stages.recommend import stage as recommend
from bedside.stages.report.build import build_report

sys.path.insert(0, str(ROOT / "benchmarks"))
recompute = pytest.importorskip("recompute")


def _again(folder, stage, changed):
    """Publish a stage's folder once more with some files changed or added."""
    kept = {f.name: f.read_bytes() for f in folder.iterdir() if f.name != "manifest.json"}
    with artefact.writing(folder, stage, "k") as scratch:
        for name, content in (kept | changed).items():
            (scratch / name).write_bytes(content)


def _run(folder, grouped=False):
    """float32, an int8 that loses some of the young, and a dynamic that differs in nothing."""
    rng, labels, odds = sample(700, noise=1.3)
    lost = (labels == 1) & (np.arange(700) % 80 == 1)
    cells = {"float32": Cell(odds, 12.0, 4_000_000),
             "int8": Cell(np.where(lost, -0.4, odds + rng.normal(0, 0.1, 700)), 4.0, 1_100_000),
             "dynamic": Cell(odds, 8.0, 1_300_000)}
    make(folder, labels, splits(300, 400), cells, finish=False, locked=False)
    cases = [replace(c, group=f"g{i // 3 if grouped else i}", age=30.0 if i % 40 < 10 else 65.0,
                     size_mm=8.0 if i % 3 else 15.0) for i, c in enumerate(stored.cases(folder))]
    with artefact.writing(layout.data_dir(folder), "data", "k2") as scratch:
        artefact.write_text(scratch / layout.CASES, cases_to_csv(cases))
        artefact.write_text(scratch / layout.TASK, codec.to_json(stored.task(folder)))
    for name, cell in cells.items():
        # The fixture names a model file without writing it, and counts more samples than it keeps.
        _again(layout.variant_dir(folder, f"net-{name}"), "quantize",
               {"m.tflite": bytes(cell.size)})
        place = layout.measurement_dir(folder, f"net-{name}", "cpu")
        kept = json.loads((place / layout.MEASUREMENT).read_text())
        kept["latency_ms"] = codec.encode(Latency(cell.ms, cell.ms * 1.1, 3, 2))
        _again(place, "evaluate", {layout.MEASUREMENT: json.dumps(kept).encode()})
    study = stored.study(folder)
    evidence.evidence(folder, study.evidence)
    recommend.recommend(folder, study)
    build_report(folder)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return _run(tmp_path_factory.mktemp("recompute"))


def _differ(folder):
    return [c for c in recompute.checks(folder)[0] if not c.agree]


def test_every_number_of_a_report_is_recomputed_to_the_last_digit(run):
    done, left = recompute.checks(run)
    assert [c for c in done if not c.agree] == []
    numbers = {(c.where, c.number) for c in done}
    screen = {n for w, n in numbers if w.startswith("first screen")}
    for wanted in ("Sensitivity, test, sensitivity low", "AUC, test, auroc high",
                   "Missed by it and not by float32, change missed", "Size, size",
                   "Latency per image, latency"):
        assert wanted in screen
    answers = {n for w, n in numbers if w == "answers, net-int8@cpu"}
    assert {"Sensitivity, sensitivity p", "AUC, auroc low", "Kappa, kappa high",
            "Decisions changed, changed"} <= answers
    assert len(done) > 200
    assert not any("patients" in text for text in left)


@pytest.mark.parametrize("edit", [
    lambda d: d["rows"][1]["metrics"]["auroc"].update(low=d["rows"][1]["metrics"]["auroc"]["low"]
                                                      + 0.001),
    lambda d: d["evidence"]["comparisons"][0]["flips"].update(missed=99),
    lambda d: d["rows"][0].update(size_bytes=4_000_001),
    lambda d: d["evidence"]["comparisons"][0]["tests"]["sensitivity"].update(p_value=0.5004)])
def test_one_edited_number_differs(run, tmp_path, edit):
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    place = copy / "report" / "results.json"
    document = json.loads(place.read_text())
    edit(document)
    place.write_text(json.dumps(document))
    assert len(_differ(copy)) == 1


def test_a_digit_of_the_page_itself_is_compared(run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    page = copy / "report" / "index.html"
    text = page.read_text(encoding="utf-8")
    before, mark, after = text.partition("<dt>Sensitivity, test</dt><dd class=\"big\">")
    assert mark
    page.write_text(f"{before}{mark}{'1' if after[0] != '1' else '2'}{after[1:]}",
                    encoding="utf-8")
    (wrong,) = _differ(copy)
    assert wrong.number == "Sensitivity, test, sensitivity"


def test_over_patients_counts_are_recomputed_and_intervals_named(tmp_path):
    done, left = recompute.checks(_run(tmp_path, grouped=True))
    assert [c for c in done if not c.agree] == []
    assert any("several images" in text for text in left)
    assert not any(c.number == "sensitivity change low" for c in done)


def test_a_run_without_a_report_is_one_message_and_exit_code_2(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["recompute.py", str(tmp_path)])
    with pytest.raises(SystemExit) as caught:
        recompute.main()
    assert caught.value.code == 2
    assert "bedside report" in capsys.readouterr().err
