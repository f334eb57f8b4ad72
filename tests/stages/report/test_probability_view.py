"""Thresholds, temperatures and calibration in words that intervals decide."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from evidence_fixture import CONFIG, make, sample

from bedside.core.evidence import OperatingPoint
from bedside.core.statistics import Probabilities
from bedside.runfolder import stored
from bedside.stages.evidence import stage as evidence
from bedside.stages.report import evidence_view, probability_view


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Float32 is over-confident on test by a factor of 3; int8 has another temperature."""
    run = tmp_path_factory.mktemp("judged")
    rng, labels, odds = sample(900)
    odds = np.where(np.arange(900) < 300, odds, 3 * odds)
    return make(run, labels, ["val"] * 300 + ["test"] * 600,
                {"float32": odds, "int8": 2 * odds + rng.normal(0, 0.3, 900)})


@pytest.fixture(scope="module")
def lines(judged: Path) -> dict[str, dict[str, probability_view.Entry]]:
    evidence.evidence(judged, CONFIG)
    found = evidence_view.load(judged, ["net"])
    assert found is not None
    table = probability_view.probabilities(found, stored.measurements(judged))
    assert table is not None
    heads = [h for h, _ in table.heads]
    return {line.scheme: dict(zip(heads, line.entries, strict=True))
            for _, group in table.groups for line in group}


def test_the_temperature_is_the_one_that_ships(judged: Path, lines) -> None:
    from bedside.stages.bundle.build import Cell, operating_point

    points = stored.operating_points(judged, "net")
    locked, own = points.locked, points.cells["net-int8@cpu"]
    assert locked.temperature != pytest.approx(own.temperature, rel=0.1)
    told = lines["int8"]["Temperature"]
    assert told.text == f"{locked.temperature:.2f}"
    assert told.small == (f"the variant’s own: {own.temperature:.2f}",)
    assert lines["float32"]["Temperature"].small == ()
    (int8,) = [m for m in stored.measurements(judged) if m.scheme == "int8"]
    variant = next(v for v in stored.variants(judged) if v.id == "net-int8")
    bundled = operating_point(Cell(judged, variant, None, int8, "cpu", 1, ()))
    saved = {p.variant: p for p in stored.statistics(judged, "net").probabilities}
    assert saved["net-int8"].temperature == bundled.temperature == locked.temperature
    assert saved["net-int8"].net_benefit.threshold == bundled.threshold


def test_words_follow_the_intervals(judged: Path, lines) -> None:
    for p in stored.statistics(judged, "net").probabilities:
        entries = lines[p.variant.removeprefix("net-")]
        slope = p.calibration.slope
        assert slope.high < 1 and "over-confident" in entries["Calibration"].text
        assert entries["Calibration slope"].text == f"{slope.value:.2f}"
        assert entries["Calibration slope"].small[0] == f"[{slope.low:.2f}, {slope.high:.2f}]"
        assert "about right" not in str(entries)


def test_scores_are_of_the_shipped_probabilities_with_the_others_beside(judged: Path, lines
                                                                        ) -> None:
    (p,) = [p for p in stored.statistics(judged, "net").probabilities if p.variant == "net-int8"]
    entry = lines["int8"]["Brier score"]
    assert entry.text == f"{p.calibrated['brier'].value:.3f}"
    assert f"{p.scores['brier'].value:.3f}" in entry.small[1]
    assert "without a temperature" in entry.small[1]
    assert f"{p.own['brier'].value:.3f}" in entry.small[2]
    error = lines["int8"]["Calibration error"]
    assert error.text == f"{p.calibrated['ece_debiased'].value:.3f}"
    assert error.small == (f"ECE {p.calibrated['ece'].value:.3f}, biased upward",)


def test_net_benefit_states_costs_and_prevalence(lines) -> None:
    told = lines["int8"]["Net benefit"]
    assert "against float32" in told.small[0] and "prevalence 50.0%" in told.small[1]
    assert len(lines["float32"]["Net benefit"].small) == 1


def test_a_missing_temperature_gives_its_reason() -> None:
    entry = probability_view._temperature(Probabilities("v", "cpu", "test"), OperatingPoint(
        "youden", 9, temperature_reason="perfect separation"))
    assert (entry.text, entry.small) == ("—", ("perfect separation",))


def test_results_hold_what_the_report_prints(judged: Path, lines) -> None:
    document = evidence_view.document(evidence_view.load(judged, ["net"]))
    saved = document["models"]["net"]["statistics"]["probabilities"]
    assert {"scores", "calibrated", "bins", "raw_bins", "metrics", "rechosen"} <= set(saved[0])
    assert set(saved[0]["scores"]) == {"brier", "ece", "ece_debiased"}
    assert saved[0]["scores"]["ece"]["low"] is None
