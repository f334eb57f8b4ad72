"""Reliability diagrams against the stored evidence."""

from __future__ import annotations

import numpy as np
from analyse_fixture import figure_data
from evidence_fixture import CONFIG, make, sample

from bedside.figures import reliability
from bedside.runfolder import stored
from bedside.stages.evidence import stage as evidence


def test_reliability_shows_what_the_evidence_holds(flipped):
    panels = figure_data(flipped, "reliability").facts["panels"]
    assert list(panels) == ["float32", "float16", "dynamic", "int8"]
    saved = {p.variant: p for p in stored.statistics(flipped, "tiny").probabilities}
    for label, panel in panels.items():
        own = saved[f"tiny-{label}"]
        assert panel["scores"]["ece"]["value"] == own.scores["ece"].value
        assert sum(b["observed"]["n"] for b in panel["raw"]) == 6
        assert panel["temperature"] == own.temperature
        assert panel["calibration"]["slope"]["value"] == own.calibration.slope.value


def test_the_curve_and_its_words_are_drawn_and_named(tmp_path):
    rng, labels, odds = sample(700)
    odds = np.where(np.arange(700) < 200, odds, 3 * odds)
    make(tmp_path, labels, ["val"] * 200 + ["test"] * 500,
         {"float32": odds, "int8": odds + rng.normal(0, 0.3, 700)})
    evidence.evidence(tmp_path, CONFIG)
    data = reliability.compute(tmp_path, "net")
    assert data.facts["panels"]["int8"]["words"].startswith("over-confident")
    axes = reliability.draw(data).axes
    assert len(axes[0].collections) == 1  # the band
    text = axes[1].texts[0].get_text()
    assert "slope 0." in text and "over-confident" in text
    assert reliability.caption(data).startswith("Miscalibrated beyond chance: FP32 (over-confident")
