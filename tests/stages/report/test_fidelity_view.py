"""Fidelity and robustness in the report."""

from __future__ import annotations

import json
import re

from analyse_fixture import figure_data

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
