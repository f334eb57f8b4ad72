"""The calibration study: its caption states the smallest sufficient set."""

from __future__ import annotations

from bedside.figures import calibration_study
from bedside.figures.base import FigureData


def facts(size: int | None) -> FigureData:
    return FigureData(facts={"plan": {"seeds": 3}, "images": 60, "smallest": [
        {"size": size, "largest": 128, "estimator": "minmax", "choice": "random"}]})


def test_the_result_comes_first() -> None:
    text = calibration_study.caption(facts(32))
    assert text.startswith("32 of 128 images suffice with minmax, random")
    for size in (None, 128):
        assert calibration_study.caption(facts(size)).startswith("No set smaller than the largest")
