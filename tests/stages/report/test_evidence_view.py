"""Paired comparisons in the report: words beside numbers, and the same in results.json."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from evidence_fixture import CONFIG, make, sample
from report_reader import words

from bedside.core.evidence import Comparison, Flips, Needed
from bedside.core.types import Estimate
from bedside.runfolder import layout, stored
from bedside.stages.evidence import stage as evidence
from bedside.stages.report import evidence_view
from bedside.stages.report.build import build_report


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """2,000 test images: a harmless variant, a damaged one, and an inconclusive one."""
    folder = tmp_path_factory.mktemp("evidence") / "run"
    rng, labels, odds = sample(2400)
    damaged = np.where(rng.random(2400) < 0.15, -odds, odds)
    make(folder, labels, ["val"] * 400 + ["test"] * 2000,
         {"float32": odds, "int8": odds + rng.normal(0, 0.02, 2400), "dynamic": damaged,
          "int8+mse": 1.7 * odds + rng.normal(0, 0.6, 2400)},
         ages=[30.0 + i % 40 for i in range(2400)])
    evidence.evidence(folder, CONFIG)
    build_report(folder)
    return folder


def section(run):
    html = (run / "report" / "index.html").read_text(encoding="utf-8")
    return re.search(r'<section id="evidence">.*?</section>', html, re.S).group(0)


def test_every_answer_stands_in_words_beside_its_numbers(run):
    said = words(section(run))
    found = {c.variant: c for c in stored.comparisons(run) if c.split == "test"}
    assert {c.answer for c in found.values()} == {"shown", "not shown", "worse"}
    for c in found.values():
        assert evidence_view.VERDICTS[c.answer] in said
        assert evidence_view.sentence(c, CONFIG) in said
        for t in c.tests.values():
            moved = evidence_view.change(t.metric, t.difference)
            assert moved.partition(" [")[0] in said
            assert f"[{moved.partition(' [')[2]}" in said
        assert f"{c.flips.missed} newly missed, {c.flips.found} newly detected" in said
        assert f"{c.kappa.value:.3f}" in said
    needed = found["net-int8-mse" if "net-int8-mse" in found else "net-int8+mse"].needed[0]
    assert f"{needed.cases:,} positive images" in said
    assert "2 points of sensitivity, 5 points of specificity" in said
    assert "2 times as many positives missed" in said
    assert "adjusted together after Holm" in said


def test_thresholds_temperature_and_worst_groups_are_there(run):
    said = words(section(run))
    points = stored.operating_points(run, "net")
    assert f"{points.locked.threshold:.3f}" in said
    own = points.cells["net-int8+mse@cpu"]
    assert f"{own.threshold:.3f}" in said and f"{own.temperature:.2f}" in said
    worst = stored.statistics(run, "net").worst
    assert worst
    for w in worst:
        assert w.group in said
    assert "No groups by device: the data have no such column" in said
    assert not re.search(r"\b(nan|None|inf)\b", said)


def test_results_json_holds_what_the_stage_published(run):
    document = json.loads((run / "report" / "results.json").read_text())
    assert document["schema"] == 1
    assert document["evidence"]["margins"] == {
        "sensitivity": 0.02, "specificity": 0.05, "auc": 0.02, "miss_ratio": 2.0}
    saved = json.loads((layout.evidence_dir(run, "all") / layout.COMPARISONS).read_text())
    assert document["evidence"]["comparisons"] == saved["comparisons"]
    rows = {r["variant"]: r for r in document["rows"]}
    assert rows["net-float32"]["answer"] is None
    assert rows["net-dynamic"]["answer"]["answer"] == "worse"
    assert rows["net-int8"]["answer"]["against"] == "net-float32@cpu"
    lines = csv.DictReader(io.StringIO((run / "report" / "results.csv").read_text()))
    assert {line["variant"]: line["answer"] for line in lines} == {
        "net-float32": "", "net-int8": "shown", "net-dynamic": "worse", "net-int8+mse": "not shown"}


@pytest.mark.parametrize(("labels", "splits"), [
    ([0] * 20 + [0, 1] * 10, ["val"] * 20 + ["test"] * 20),
    ([0, 1] * 10 + [1] * 20, ["val"] * 20 + ["test"] * 20),
    ([0, 1, 0, 1, 1], ["val", "val", "test", "test", "test"]),
    ([0, 1] * 5, ["val"] * 10),
    ([0, 1] * 5, ["test"] * 10),
])
@pytest.mark.parametrize("kind", ["random", "perfect", "tied"])
def test_poor_data_prints_reasons(tmp_path, labels, splits, kind):
    labels = np.array(labels)
    odds = {"random": np.random.default_rng(0).normal(0, 1, len(labels)),
            "perfect": 4.0 * labels - 2, "tied": np.zeros(len(labels))}[kind]
    make(tmp_path, labels, splits, {"float32": odds, "int8": odds})
    evidence.evidence(tmp_path, CONFIG)
    build_report(tmp_path)
    said = words(section(tmp_path))
    assert not re.search(r"\b(nan|None|inf)\b", said)
    answer = json.loads((tmp_path / "report" / "results.json").read_text())["rows"][1]["answer"]
    assert answer["answer"] in (None, "not shown")
    assert answer["answer"] or answer["reason"] in said


def test_a_study_without_float32_says_that_nothing_can_be_tested(tmp_path):
    _, labels, odds = sample(60)
    make(tmp_path, labels, ["val"] * 30 + ["test"] * 30, {"int8": odds})
    evidence.evidence(tmp_path, CONFIG)
    build_report(tmp_path)
    assert "no float32 variant of this model to compare with" in words(section(tmp_path))


def test_a_report_before_the_evidence_says_how_to_get_it(tmp_path):
    _, labels, odds = sample(60)
    make(tmp_path, labels, ["val"] * 30 + ["test"] * 30, {"float32": odds, "int8": odds})
    build_report(tmp_path)
    assert "have not been computed" in words(section(tmp_path))
    assert json.loads((tmp_path / "report" / "results.json").read_text())["evidence"] is None
    before = (tmp_path / "report" / "index.html").read_text()
    evidence.evidence(tmp_path, CONFIG)
    build_report(tmp_path)
    assert (tmp_path / "report" / "index.html").read_text() != before


def test_the_bounds_that_decide_stand_beside_a_narrower_interval(run):
    """AUC: 1,000 pairs exclude less than DeLong's variance says; proportions have one interval."""
    said = words(section(run))
    found = {c.variant: c for c in stored.comparisons(run) if c.split == "test"}
    auc = found["net-int8"].tests["auroc"]
    assert auc.excluded < auc.difference.low
    assert evidence_view.bounds(auc) in said
    assert f"{-auc.excluded:.3f}" in evidence_view.bounds(auc)
    assert "what 1,000 cases can prove" in said
    assert evidence_view.bounds(found["net-int8"].tests["sensitivity"]) is None
    assert "change [95%, unadjusted]" in said
    assert f"adjusted for {found['net-int8'].family} comparisons" in said


def test_words():
    assert evidence_view.p_value(None) == "p —"
    assert evidence_view.p_value(0.00002) == "p < 0.001"
    assert evidence_view.p_value(0.0345) == "p = 0.035"
    assert evidence_view.p_value(0.5) == "p = 0.50"
    assert evidence_view.change("auroc", Estimate(-0.0123, -0.02, 0.0001, 9)) == (
        "−0.012 [−0.020, 0.000]")
    assert evidence_view.change("sensitivity", Estimate(0.01, -0.02, 0.04, 9)) == (
        "+1.0 points [−2.0, +4.0]")
    assert evidence_view.margin("sensitivity", 0.01) == "1 point of sensitivity"
    c = Comparison("v", "cpu", "f@cpu", "test", 9, answer="not shown",
                   needed=(Needed("auroc", "images of the rarer class", 1200, 3000),))
    assert evidence_view.sentence(c, CONFIG) == (
        "Too few cases: showing non-inferiority of a harmless variant needs about 1,200 images of "
        "the rarer class for AUC (about 3,000 images in all).")
    assert evidence_view.sentence(replace(c, answer=None, reason="no image in common"), CONFIG) == (
        "Not tested: no image in common.")
    three = Flips(Estimate(3 / 9, 0.1, 0.6, 9), 1, 1)
    assert evidence_view.flips_text(three, 9).text == "3 of 9"
