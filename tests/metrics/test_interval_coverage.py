"""The reduced form of ``benchmarks/interval_coverage.py``: cells that intervals once failed."""

from __future__ import annotations

import pytest
from interval_cells import Cell, coverage, every

REPLICATES = 400
# 93 to 97% plus what 400 replicates scatter (two and a half standard errors).
LOW, HIGH = 0.905, 0.992
CELLS = {c.name: c for c in every()}
WORST = (
    "sensitivity difference: images per patient 5, agreement 0.9, lost 0.15, gained 0.15, "
    "patients 30",
    "sensitivity difference: images per patient 1 to 8, agreement 0.9, lost 0.03, gained 0.01, "
    "patients 200",
    "kappa: images per patient 5, agreement 0.9, differ 0.3, prevalence 0.5, patients 30",
    "kappa: images per patient 1 to 8, agreement 0.9, differ 0.1, prevalence 0.2, patients 80",
    "AUC difference: images per patient 1, agreement 0.0, AUC 0.95, change -0.02, missed 0.0, "
    "correlation 0.98, patients 20 + 80",
    "AUC difference: images per patient 5, agreement 0.9, AUC 0.8, change 0.0, missed 0.0, "
    "correlation 0.9, patients 20 + 40",
    "proportion: images per patient 2, one of 30, agreement 0.5, truth 0.8, patients 20",
    "macro sensitivity: images per patient 5, agreement 0.9, patients 200",
)


@pytest.mark.parametrize("name", WORST)
def test_the_interval_holds_the_truth(name: str) -> None:
    row = coverage(CELLS[name], REPLICATES)
    assert LOW <= row["held"] <= HIGH
    if "false_shown" in row:
        assert row["false_shown"] <= 0.025 + 2.5 * (0.025 * 0.975 / REPLICATES) ** 0.5
        assert row["contradictions"] == 0


def test_positives_missed_too_seldom_to_be_seen_are_within_the_bounds_that_decide() -> None:
    """A kind of lesion of 2% that is lost: DeLong's variance cannot know, 20 positives neither."""
    name = next(n for n in CELLS if "few positives missed" in n and "20 + 80" in n)
    row = coverage(CELLS[name], REPLICATES)
    assert row["held"] < 0.9, "the test can tell"
    assert row["held_by_the_bounds_that_decide"] >= 0.97
    assert row["false_shown"] <= 0.04


def test_an_interval_over_images_fails_the_same_cell() -> None:
    """So the cells can tell: the clusters are taken away, the rest is the same."""
    from simulated import Decisions, patients

    from bedside.metrics.paired import paired_proportion

    def draw(rng):
        old, new = Decisions(0.15, 0.15).draw(patients("5", 30, rng), 0.9, rng)
        return paired_proportion("sensitivity", old, new, 0.02, ""), 0.0

    assert coverage(Cell("over images", {}, draw), REPLICATES)["held"] < 0.8
