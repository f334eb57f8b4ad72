"""The repeats as the report's tables."""

from __future__ import annotations

from dataclasses import dataclass

from bedside.core.repeats import Optimism, Repeats, Spread, Unit, UnitResult, Verdicts
from bedside.core.types import Estimate
from bedside.stages.report import repeats_view


@dataclass
class Row:
    variant: str
    target: str = "cpu"


ORDER = [Row("n-float32"), Row("n-int8")]


def spread(variant, metric, quantity="value", draw="seed"):
    return Spread(variant, "cpu", draw, metric, quantity, (0.9, 0.92),
                  Estimate(0.91, 0.78, 1.0, 2), Estimate(0.014, 0.006, 0.45, 2), 0.93)


def test_auc_first_in_the_reports_order_and_the_rest_folded():
    found = repeats_view.view(Repeats(
        2, 0, (UnitResult(Unit("seed-1", "seed", 1, 1), "ok"),
               UnitResult(Unit("split-1", "split", 1, 1), "failed", "too few groups.")),
        (spread("n-int8", "sensitivity"), spread("n-int8", "auroc"), spread("n-float32", "auroc"),
         spread("n-int8", "auroc", "difference"), spread("gone-int8", "auroc")),
        (Optimism("n-int8", "cpu", "auroc", 0.95, Estimate(0.02, 0.0, 0.04, 2),
                  Estimate(0.93, 0.91, 0.95, 2)),),
        (Verdicts("n-int8", "cpu", "seed", 1, 2, 3),), ("a note",)), ORDER)
    assert [line.cell for line in found.lines] == ["n-float32 on cpu", "n-int8 on cpu"]
    assert found.lines[1].change.startswith("+0.910 ± 0.014")
    assert [line.metric for line in found.more] == ["Sensitivity"]
    assert found.counts == "1 other training seed"
    assert found.optimism[0].corrected == "0.930 [0.910, 0.950]"
    assert found.verdicts == ("n-int8 on cpu, training seed: non-inferior 1, inconclusive 2, "
                              "inferior 3.",)
    assert found.notes == ("a note", "split-1 failed: too few groups.")


def test_no_repeats_no_tables():
    assert repeats_view.view(None, ORDER) is None
    assert repeats_view.document(None) is None
