"""Fidelity and robustness in the report."""

from __future__ import annotations

import json
import re

import pytest
from analyse_fixture import figure_data

from bedside.figures import lesion_chance
from bedside.stages.report import fidelity_view
from bedside.stages.report.evidence_view import VERDICTS


def test_the_report_says_where_variants_look_and_how_they_fall(flipped):
    html = (flipped / "report" / "index.html").read_text(encoding="utf-8")
    said = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    evidence_of = json.loads((flipped / "report" / "results.json").read_text())["evidence"]
    ssim = figure_data(flipped, "fidelity").facts["maps"]["int8"]["ssim"]["value"]
    assert "Do the activation maps agree with float32’s?" in said and f"{ssim:.3f}" in said
    assert re.search(r"No maps of foreign ?: foreign has no output", said)
    assert evidence_of["fidelity"]["tiny"]["maps"]["int8"]["ssim"]["value"] == ssim
    assert evidence_of["fidelity"]["foreign"]["maps"] is None
    for test in evidence_of["robustness"]["tiny"]["tests"]:
        assert VERDICTS[test["answer"]] in said
    assert "Degraded images: does INT8 lose more?" in said


def test_a_chance_level_stands_beside_every_agreement_with_the_lesion(flipped):
    html = (flipped / "report" / "index.html").read_text(encoding="utf-8")
    said = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    evidence_of = json.loads((flipped / "report" / "results.json").read_text())["evidence"]
    facts = figure_data(flipped, "fidelity").facts
    assert evidence_of["fidelity"]["tiny"]["chance"] == facts["chance"]
    assert evidence_of["clipping"]["tiny"]["causes"] == figure_data(
        flipped, "clipping").facts["causes"]
    assert lesion_chance.sentence(facts["chance"], facts["maps"]["float32"]["hit"]) in said
    assert lesion_chance.learned(facts["chance"]) in said
    table = fidelity_view.load(flipped, ("tiny",)).fidelity
    lines = {x.scheme: x for _, rows in table.groups for x in rows}
    places = {m: 2 + k for k, m in enumerate(("iou", "inside", "hit"))}
    for measure, names in lesion_chance.LEVELS.items():
        for name, title in (("area", "at random"), ("centre", "centre"),
                            ("disc", "centred disc"), ("fixed", "best fixed")):
            entry = lines[f"chance: {title}"].entries[places[measure]]
            assert bool(entry.text) == (name in names)
            if name in names:
                value = facts["chance"][measure]["levels"][name]["value"]
                assert float(entry.text.rstrip("%")) == pytest.approx(
                    value if measure == "iou" else 100 * value, abs=0.06)
                assert "float32" in entry.small[-1] and "against it" in entry.small[-1]
