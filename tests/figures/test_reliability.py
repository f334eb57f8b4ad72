"""Reliability diagrams against the stored evidence."""

from __future__ import annotations

from analyse_fixture import figure_data

from bedside.runfolder import stored


def test_reliability_shows_what_the_evidence_holds(flipped):
    panels = figure_data(flipped, "reliability").facts["panels"]
    assert list(panels) == ["float32", "float16", "dynamic", "int8"]
    saved = {p.variant: p for p in stored.statistics(flipped, "tiny").probabilities}
    for label, panel in panels.items():
        own = saved[f"tiny-{label}"]
        assert panel["scores"]["ece"]["value"] == own.scores["ece"].value
        assert sum(b["observed"]["n"] for b in panel["raw"]) == 6
