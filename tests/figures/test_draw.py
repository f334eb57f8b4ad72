"""How figures are drawn: nothing overlaps, nothing leaves the page, reasons are shown."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from analyse_fixture import analysed_run
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from bedside.core import registry
from bedside.core.errors import BadInput
from bedside.figures import ALL_MODELS, STUDY_WIDE, network_drawing, style
from bedside.figures.base import FigureData
from bedside.figures.draw import FIGURES, cam
from bedside.figures.render import caption, render
from bedside.runfolder import layout


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return analysed_run(tmp_path_factory)


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
    data = FigureData.load(layout.analysis_dir(
        run, name, ALL_MODELS if name in STUDY_WIDE else "tiny"))
    with style.quiet():
        figure = registry.lookup(FIGURES, name, "figure")(data)
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


@pytest.mark.parametrize(("value", "text"), [
    (0.12345, "0.123"), (-0.5, "−0.5"), (None, "–"), (1.5e-7, "1.5·10⁻⁷"), (123456.0, "1.23·10⁵"),
    (0.0, "0")])
def test_numbers_are_typographic(value: float | None, text: str) -> None:
    assert style.number(value) == text


def test_options_share_their_schemes_colour_and_schemes_differ() -> None:
    assert style.scheme_colour("int8+percentile") == style.scheme_colour("int8")
    colours = {style.scheme_colour(s) for s in ("float32", "float16", "dynamic", "int8")}
    assert len(colours) == 4
    assert style.scheme_name("int8+io8") == "full integer (INT8)+io8"


def test_a_users_matplotlibrc_changes_nothing() -> None:
    import matplotlib as mpl

    before = mpl.rcParams["font.size"]
    with mpl.rc_context({"font.size": 30.0}):
        with style.quiet():
            assert mpl.rcParams["font.size"] == 8.5
        assert mpl.rcParams["font.size"] == 30.0
    assert mpl.rcParams["font.size"] == before


def test_network_layout_keeps_chains_on_a_line() -> None:
    nodes = [{"inputs": [-1]}, {"inputs": [-1]}, {"inputs": [1]}, {"inputs": [-1]},
             {"inputs": [0, 2, 3]}]
    assert network_drawing.layout(nodes) == [(0, 0), (0, 1), (1, 1), (0, 2), (2, 0)]


def test_overlay_leaves_the_image_where_the_map_is_low() -> None:
    image = np.full((4, 4), 100, np.uint8)
    plane = np.zeros((4, 4), np.float32)
    plane[0, 0] = 1
    mixed = cam.overlay(image, plane)
    assert mixed[2, 2].tolist() == [100, 100, 100]
    assert mixed[0, 0].tolist() != [100, 100, 100]
