"""Paired differences of validation AUC, which rank the variants of a target."""

from __future__ import annotations

import numpy as np
import pytest
from choice_fixture import Cell, make, sample
from gate_fixture import splits
from scipy import stats

from bedside.core.recommendation import Candidate, Speed
from bedside.core.study import BudgetConfig, EvidenceConfig
from bedside.core.types import Estimate
from bedside.runfolder import stored
from bedside.stages.recommend.differences import paired, unpaired
from bedside.stages.recommend.rule import choose
from bedside.stages.recommend.stage import candidate


@pytest.fixture(scope="module")
def gate_run(tmp_path_factory):
    """Three variants whose scores differ by noise of their own."""
    run = tmp_path_factory.mktemp("pairs")
    rng, labels, odds = sample(160)
    return make(run, labels, splits(80, 80), {
        "float32": Cell(odds, 12, 4_000_000),
        "float16": Cell(odds + rng.normal(0, 0.05, len(odds)), 12, 2_000_000),
        "int8": Cell(odds + rng.normal(0, 0.6, len(odds)), 4, 1_000_000)})


def one(name, auc, around, ms=5.0, size=10):
    return Candidate(f"net-{name}", "net", name, "ok", size, 0, "auroc",
                     Estimate(auc, auc - around, auc + around, 100),
                     latency_ms=Speed(ms, ms, ms, 5), latency_evidence="measured")


def test_an_unpaired_difference_is_movers():
    found = unpaired([one("a", 0.9, 0.03), one("b", 0.95, 0.04)])("net-a", "net-b")
    assert found.value == pytest.approx(-0.05)
    assert (found.low, found.high) == pytest.approx((-0.1, 0.0))


def test_a_small_but_certain_loss_counts_and_an_uncertain_one_does_not():
    cells = [one("float32", 0.95, 0.03, size=90), one("int8", 0.94, 0.03, size=10)]

    def certain(new, old):
        sign = 1 if new == "net-float32" else -1
        return Estimate(0.01 * sign, *sorted((0.004 * sign, 0.016 * sign)), 100)

    def unsure(new, old):
        sign = 1 if new == "net-float32" else -1
        return Estimate(0.01 * sign, *sorted((-0.004 * sign, 0.024 * sign)), 100)

    def chosen(apart):
        return choose("cpu", cells, BudgetConfig(), EvidenceConfig(), None, None, apart)

    # Each one's own interval reaches the other's, so that unpaired the smaller file wins.
    assert chosen(None).chosen == "net-int8"
    assert chosen(unsure).chosen == "net-int8"
    first = chosen(certain)
    assert first.chosen == "net-float32"
    assert first.rejected["net-int8"].endswith("below that of net-float32 by 0.010 [0.004, 0.016]")
    assert "0.010 [-0.004, 0.024] below the best (net-float32)" in chosen(unsure).why[0]


def test_the_margin_is_of_the_images_that_both_predicted():
    cells = [one("float32", 0.95, 0.03), one("int8", 0.90, 0.03, ms=1.0)]
    near = choose("cpu", cells, BudgetConfig(), EvidenceConfig(), None, None,
                  lambda new, old: Estimate(-0.001, -0.01, 0.008, 40))
    assert near.chosen == "net-int8"  # 0.05 apart on different images, 0.001 on the same


def test_pairs_of_a_run_agree_with_their_aucs_and_with_each_other(gate_run):
    cells = [m for m in stored.measurements(gate_run) if m.target == "cpu"]
    able = [candidate(gate_run, m, {}) for m in cells]
    apart, own = paired(gate_run, cells, able), {c.variant: c.auc for c in able}
    wide = unpaired(able)
    for a in own:
        for b in own:
            found = apart(a, b)
            assert found.value == pytest.approx(own[a].value - own[b].value, abs=1e-12)
            assert found.low <= found.value <= found.high
            back = apart(b, a)
            assert (back.low, back.high) == pytest.approx((-found.high, -found.low), abs=1e-9)
            if a != b and found.value:
                assert found.high - found.low < wide(a, b).high - wide(a, b).low


def test_a_paired_interval_is_close_to_a_bootstrap_of_the_images(gate_run):
    """An independent oracle: resample images, recompute both AUCs by ranks."""
    cells = [m for m in stored.measurements(gate_run) if m.target == "cpu"]
    able = [candidate(gate_run, m, {}) for m in cells]
    a, b = able[0].variant, able[-1].variant
    parts = [stored.predictions(gate_run, v, "cpu").of("val") for v in (a, b)]
    labels = parts[0].labels
    scores = [p.logits[:, 1].astype(float) - p.logits[:, 0] for p in parts]

    def area(y, s):
        ranks = stats.rankdata(s)
        n = y.sum()
        return (ranks[y == 1].sum() - n * (n + 1) / 2) / (n * (len(y) - n))

    rng, drawn = np.random.default_rng(0), []
    for _ in range(1000):
        rows = rng.integers(0, len(labels), len(labels))
        if 0 < labels[rows].sum() < len(rows):
            drawn.append(area(labels[rows], scores[0][rows]) - area(labels[rows], scores[1][rows]))
    found = paired(gate_run, cells, able)(a, b)
    width = np.subtract(*np.percentile(drawn, [97.5, 2.5]))
    assert 0.6 < (found.high - found.low) / width < 1.8 if width else found.value == 0
