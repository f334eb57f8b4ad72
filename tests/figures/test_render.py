"""Drawn figures: nothing overlaps, nothing leaves the page."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from bedside.core.errors import BadInput
from bedside.figures import ALL_MODELS, FIGURES, style
from bedside.figures.base import FigureData, figure_module
from bedside.figures.render import caption, render
from bedside.runfolder import layout


def texts(figure: Figure) -> list[tuple[str, Bbox]]:
    """Visible texts and where they lie, in pixels."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    hidden = _hidden(figure)
    return [(t.get_text(), Text.get_window_extent(t, renderer)) for t in figure.findobj(Text)
            if t.get_visible() and t.get_text().strip() and id(t) not in hidden]


def _hidden(figure: Figure) -> set[int]:
    """Labels of ticks that exist but are not drawn, and texts of axes that are not shown."""
    hidden: set[int] = set()
    for axes in figure.axes:
        if not axes.get_visible():
            hidden |= {id(t) for t in axes.findobj(Text)}
        for axis in (axes.xaxis, axes.yaxis):
            drawn = {id(t) for tick in axis._update_ticks() for t in (tick.label1, tick.label2)}
            hidden |= {id(t) for tick in (*axis.majorTicks, *axis.minorTicks)
                       for t in (tick.label1, tick.label2)} - drawn
    return hidden


def collisions(found: list[tuple[str, Bbox]]) -> list[tuple[str, str]]:
    """Pairs of texts that cover one another by more than a hair."""
    bad = []
    for (a, box), (b, other) in itertools.combinations(found, 2):
        shared = Bbox.intersection(box, other)
        if shared is not None and min(shared.width, shared.height) > 1.5:
            bad.append((a, b))
    return bad


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_overlaps_or_leaves_the_page(run: Path, name: str) -> None:
    module = figure_module(name)
    data = FigureData.load(layout.analysis_dir(
        run, name, ALL_MODELS if module.READS.whole_study else "tiny"))
    with style.quiet():
        figure = module.draw(data)
        found = texts(figure)
        page = figure.bbox
    assert not collisions(found)
    outside = [t for t, b in found if b.x0 < page.x0 - 1 or b.x1 > page.x1 + 1
               or b.y0 < page.y0 - 1 or b.y1 > page.y1 + 1]
    assert not outside


def test_collisions_are_seen() -> None:
    with style.quiet():
        figure = style.new_figure(1.0, layout=None)
        figure.text(0.5, 0.5, "one")
        figure.text(0.5, 0.5, "two")
        figure.text(0.1, 0.5, "three")
        assert collisions(texts(figure)) == [("one", "two")]


def test_unavailable_figure_is_not_drawn_and_gives_its_reason(tmp_path: Path) -> None:
    FigureData(facts={"unavailable": "the model has no CAM"}).save(tmp_path)
    assert render(tmp_path, tmp_path / "out", "cam") is None
    assert not (tmp_path / "out").exists()
    assert caption(tmp_path, "cam") == "Not available: the model has no CAM."


def test_unknown_figure_is_bad_input(tmp_path: Path) -> None:
    FigureData(facts={"x": 1}).save(tmp_path)
    with pytest.raises(BadInput, match="figure"):
        render(tmp_path, tmp_path, "weight")
