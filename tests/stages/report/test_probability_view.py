"""Thresholds and temperatures in words."""

from __future__ import annotations

import pytest

from bedside.core.evidence import OperatingPoint
from bedside.stages.report import probability_view


@pytest.mark.parametrize(("temperature", "words"), [
    (1.0, "well calibrated"), (1.8, "over-confident"), (0.6, "under-confident")])
def test_a_temperature_says_how_the_probabilities_were(temperature: float, words: str) -> None:
    entry = probability_view._temperature(OperatingPoint("youden", 9, temperature=temperature))
    assert entry.text == f"{temperature:.2f}" and words in entry.small[0]


def test_a_missing_temperature_gives_its_reason() -> None:
    entry = probability_view._temperature(OperatingPoint(
        "youden", 9, temperature_reason="perfect separation"))
    assert (entry.text, entry.small) == ("—", ("perfect separation",))
