"""The reduced form of ``benchmarks/harm_families.py``: the same draws, a few replicates."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from paths import ROOT

from bedside.metrics.compare import alone

sys.path.insert(0, str(ROOT / "benchmarks"))
harm = pytest.importorskip("harm_families")


def test_a_true_loss_is_worse_as_often_beside_others_as_alone():
    found = harm.power(200, 6)
    assert found["worse alone"] > 0.5
    assert set(found["worse in families"].values()) == {found["worse alone"]}
    # Adjusted for 19 harmless ones, it would have been found less often.
    assert found["worse if adjusted after Holm"]["20"] < found["worse alone"]


@pytest.mark.parametrize("number", range(12))
def test_the_true_loss_is_the_margin(number):
    s, rng = harm.SCENARIOS[number], np.random.default_rng(number)
    drawn = [harm.planned(s, rng) for _ in range(12)]
    values = [t.difference.value for c in drawn if (t := c.tests[s.endpoint]).difference.value
              is not None]
    truth = -np.log(s.margin) if s.endpoint == "miss_ratio" else -s.margin
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    assert abs(np.mean(values) - truth) < 4.5 * error + 0.01
    assert {harm.is_shown(c) == (alone(c).answer == "shown") for c in drawn[:3]} == {True}
