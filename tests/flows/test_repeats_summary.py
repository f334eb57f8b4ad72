"""Spread, optimism and answers over made-up units."""

from __future__ import annotations

import numpy as np
import pytest
from choice_fixture import Cell, make, sample
from gate_fixture import splits

from bedside.core.repeats import Unit, UnitCell, UnitResult
from bedside.core.repeats_text import sentences
from bedside.core.study import RepeatsConfig
from bedside.flows import repeats_summary


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    rng, labels, odds = sample(120)
    return make(tmp_path_factory.mktemp("summary"), labels, splits(60, 60), {
        "float32": Cell(odds, 12, 4_000_000),
        "int8": Cell(odds + rng.normal(0, 0.3, len(odds)), 4)})


def unit(name, draw, values, answer="not shown", train=80, test=20):
    """A unit whose AUCs are ``values``: float32's and int8's test, and both validation ones."""
    old, new, val = values
    return UnitResult(Unit(name, draw, 1, 1), "ok", None, train, 10, test, (
        UnitCell("net-float32", "cpu", {"auroc": old}, {"auroc": val}),
        UnitCell("net-int8", "cpu", {"auroc": new}, {"auroc": val}, {"auroc": new - old}, 0.1,
                 answer)))


UNITS = [unit("seed-1", "seed", (0.90, 0.89, 0.95)), unit("seed-2", "seed", (0.94, 0.95, 0.96)),
         unit("split-1", "split", (0.80, 0.79, 0.90), "worse"),
         unit("split-2", "split", (0.90, 0.90, 0.92), "shown"),
         UnitResult(Unit("split-3", "split", 3, 3), "failed", "no class.")]


def test_the_cells_of_a_run_are_decided_at_its_threshold(run):
    found = {c.variant: c for c in repeats_summary.cells(run)}
    base, own = found["net-float32"], found["net-int8"]
    assert base.difference == {}
    assert base.answer is None
    assert own.answer in ("shown", "not shown", "worse")
    assert own.difference["auroc"] == pytest.approx(own.test["auroc"] - base.test["auroc"])
    assert {"auroc", "sensitivity", "specificity", "accuracy"} <= set(own.test)


def test_spreads_count_only_units_that_finished(run):
    found = repeats_summary.summarise(run, RepeatsConfig(3), UNITS, ("a note",))
    spread = {(s.variant, s.draw, s.quantity): s for s in found.spreads if s.metric == "auroc"}
    seeds = spread["net-float32", "seed", "value"]
    assert seeds.values == (0.90, 0.94)
    assert seeds.mean.value == pytest.approx(0.92)
    assert seeds.sd.value == pytest.approx(np.std([0.90, 0.94], ddof=1))
    change = spread["net-int8", "split", "difference"]
    assert change.values == pytest.approx((-0.01, 0.0))
    assert ("net-float32", "seed", "difference") not in spread
    assert found.notes == ("a note",)
    assert len(found.units) == 5


def test_the_interval_over_splits_is_widened_by_their_sizes(run):
    def width(test):
        units = [unit(f"split-{i}", "split", (v, v, 0.9), test=test)
                 for i, v in enumerate((0.8, 0.85, 0.9))]
        found = repeats_summary.summarise(run, RepeatsConfig(3), units, ())
        mean = next(s.mean for s in found.spreads if s.variant == "net-float32")
        return mean.high - mean.low

    assert width(40) > width(10)


def test_optimism_is_validation_less_test_over_redrawn_splits(run):
    found = repeats_summary.summarise(run, RepeatsConfig(2), UNITS, ())
    one = next(o for o in found.optimism if (o.variant, o.metric) == ("net-float32", "auroc"))
    assert one.optimism.value == pytest.approx((0.10 + 0.02) / 2)
    assert one.corrected.value == pytest.approx(one.validation - 0.06)


def test_answers_are_counted_by_draw(run):
    found = repeats_summary.summarise(run, RepeatsConfig(2), UNITS, ())
    counted = {v.draw: (v.shown, v.not_shown, v.worse) for v in found.verdicts
               if v.variant == "net-int8"}
    assert counted == {"seed": (0, 2, 0), "split": (1, 0, 1)}


def test_the_terminal_gets_the_spread_the_losses_and_the_failures(run):
    text = "\n".join(sentences(repeats_summary.summarise(run, RepeatsConfig(2), UNITS, ())))
    assert "2 other training seeds: AUC of net-float32 0.920 ± 0.028 (0.900 to 0.940)" in text
    assert "inferior to float32: net-int8 in 1 of 2 (split)" in text
    assert "split-3 failed: no class." in text
