"""Numbers and differences in words."""

from __future__ import annotations

from bedside.stages.report import wording


def test_a_reduction_in_words() -> None:
    assert wording.less(-0.08, "faster", "slower") == "8% slower"
