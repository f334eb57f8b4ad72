"""Bars that show how a latency was obtained."""

from __future__ import annotations

from bedside.figures import bars, style

ROWS = [{"evidence": "measured", "unfitted": False}, {"evidence": "estimated", "unfitted": True}]


def test_only_measured_bars_are_filled_and_unfitted_estimates_dashed() -> None:
    axes = style.new_figure(1.0).add_subplot()
    for y, row in enumerate(ROWS):
        bars.bar(axes, y, 2.0, "#0072B2", row)
    filled, hollow = axes.patches
    assert filled.get_facecolor()[:3] != (1.0, 1.0, 1.0) and filled.get_hatch() == ""
    assert hollow.get_facecolor()[:3] == (1.0, 1.0, 1.0)
    assert (hollow.get_hatch(), hollow.get_linestyle()) == ("////", "--")


def test_words_and_legend_name_the_kinds_that_occur() -> None:
    assert [bars.word(r) for r in ROWS] == ["measured", "estimated, unfitted"]
    assert [h.get_label() for h in bars.handles(ROWS)] == [
        "measured", "estimated", "estimated, unfitted"]
