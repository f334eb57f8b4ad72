"""The comparison of splits by image and by group, in words."""

from __future__ import annotations

import pytest

from bedside.stages.report import leakage_view


@pytest.mark.parametrize(("bounds", "areas", "words"), [
    ((0.01, 0.05), (0.7, 0.7), "overestimates"), ((-0.05, -0.01), (0.7, 0.7), "scores lower"),
    ((-0.02, 0.03), (0.7, 0.6), "no gain from leakage is shown"),
    ((-0.02, 0.03), (0.45, 0.49), "neither training has learnt")])
def test_the_verdict(bounds, areas, words: str) -> None:
    gain = {"value": sum(bounds) / 2, "low": bounds[0], "high": bounds[1], "n": 621}
    assert words in leakage_view.verdict(gain, [{"low": a} for a in areas])


def test_values_carry_their_interval_or_the_reason() -> None:
    assert leakage_view.text({"value": 0.9, "low": 0.85, "high": 0.94}) == "0.900 [0.850, 0.940]"
    assert leakage_view.text({"value": None, "reason": "no images"}) == "— (no images)"
    assert leakage_view.strip({"value": 0.9, "low": 0.85, "high": 0.94}) == {
        "low": 85.0, "value": 90.0, "high": 94.0, "reference": 50}
