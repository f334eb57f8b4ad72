"""Numbers and differences in words."""

from __future__ import annotations

from bedside.stages.report import wording


def test_differences_carry_a_true_sign() -> None:
    assert wording.points(-0.005) == "−0.5 points"
    assert wording.points(-0.0001) == "±0.0 points"
    assert wording.delta(0.0123) == "+0.012"
    assert wording.less(-0.08, "faster", "slower") == "8% slower"
