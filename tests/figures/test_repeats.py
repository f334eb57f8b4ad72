"""The figure of a study's repeats."""

from __future__ import annotations

import pytest

from bedside.core import codec
from bedside.core.repeats import Repeats, Spread
from bedside.core.types import Estimate
from bedside.figures import repeats
from bedside.figures.base import NotAvailable
from bedside.runfolder import artefact, layout


def spread(variant, draw, quantity, values, metric="auroc"):
    return Spread(variant, "cpu", draw, metric, quantity, values, Estimate(values[0]),
                  Estimate(0.01), 0.9 if quantity == "value" else 0.0)


def publish(run, spreads):
    with artefact.writing(layout.repeats_dir(run), "repeats", "k") as scratch:
        artefact.write_text(scratch / layout.REPEATS, codec.to_json(
            Repeats(2, 0, (), tuple(spreads))))


def test_a_dot_for_each_unit_and_a_bar_for_the_study(tmp_path):
    publish(tmp_path, [spread("n-float32", "seed", "value", (0.90, 0.94)),
                       spread("n-float32", "calibration", "value", (0.9, 0.9)),
                       spread("n-int8", "split", "value", (0.80, 0.91)),
                       spread("n-int8", "split", "difference", (-0.01, 0.02)),
                       spread("n-int8", "seed", "difference", (0.0, -0.1), "sensitivity")])
    data = repeats.compute(tmp_path, "all")
    assert [len(p["rows"]) for p in data.facts["panels"]] == [2, 1, 1]
    figure = repeats.draw(data)
    dots = sum(len(line.get_xdata()) for line in figure.axes[0].get_lines()
               if line.get_marker() == "o" and len(line.get_xdata()))
    assert dots == 4
    assert "over another split: n-int8@cpu from 0.800 to 0.910" in repeats.caption(data)


def test_without_repeats_there_is_none(tmp_path):
    with pytest.raises(NotAvailable, match="not been repeated"):
        repeats.compute(tmp_path, "all")
