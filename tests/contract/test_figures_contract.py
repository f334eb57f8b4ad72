"""Every entry of the table of figures."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from analyse_fixture import analysed_run
from PIL import Image

from bedside.figures import ALL_MODELS, FIGURES
from bedside.figures.base import FigureData, Reads, figure_module
from bedside.figures.render import LARGE_BYTES, caption, render
from bedside.runfolder import artefact, layout
from bedside.stages.analyse import STAGE, analyse, jobs

WHOLE = {f for f in FIGURES if figure_module(f).READS.whole_study}
CELLS = [(f, m) for f in FIGURES for m in ((ALL_MODELS,) if f in WHOLE else ("tiny", "foreign"))]


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return analysed_run(tmp_path_factory)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figures_file_holds_its_five_parts(name: str) -> None:
    module = figure_module(name)
    assert module.__name__ == FIGURES[name] == f"bedside.figures.{name}"
    assert module.TITLE and isinstance(module.READS, Reads)
    assert all(callable(f) for f in (module.compute, module.draw, module.caption))


def test_titles_differ() -> None:
    assert len({figure_module(f).TITLE for f in FIGURES}) == len(FIGURES)


@pytest.mark.parametrize(("figure", "model"), CELLS)
def test_analysis_is_published_or_says_why_not(run: Path, figure: str, model: str) -> None:
    folder = layout.analysis_dir(run, figure, model)
    assert artefact.finished(folder, STAGE)
    data = FigureData.load(folder)
    if data.unavailable is None:
        assert data.facts
    else:
        assert model == "foreign" and len(data.unavailable) > 15


@pytest.mark.parametrize(("figure", "model"), [c for c in CELLS if c[1] != "foreign"])
def test_figure_is_drawn_small_and_the_same_twice(run: Path, figure: str, model: str,
                                                  tmp_path: Path) -> None:
    folder = layout.analysis_dir(run, figure, model)
    paths = render(folder, tmp_path / "a", figure)
    again = render(folder, tmp_path / "b", figure)
    assert paths is not None and again is not None
    svg, png = paths
    assert [p.read_bytes() for p in paths] == [p.read_bytes() for p in again]
    assert svg.stat().st_size <= LARGE_BYTES
    assert ElementTree.parse(svg).getroot().tag.endswith("svg")
    assert not re.search(r"<dc:date>|\d{4}-\d\d-\d\dT", svg.read_text())
    with Image.open(png) as image:
        assert image.width == 1296


@pytest.mark.parametrize(("figure", "model"), CELLS)
def test_caption_says_what_to_see(run: Path, figure: str, model: str) -> None:
    text = caption(layout.analysis_dir(run, figure, model), figure)
    assert text.endswith(".") and text.count(". ") <= 5
    assert not re.search(r"\bnan\b|\bNone\b|\binf\b|<locals>|\{|\}", text)
    assert len(text) > 80 or (model == "foreign" and text.startswith("Not available: "))


def test_finished_figures_are_left_and_changed_inputs_are_seen(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    cloud = layout.analysis_dir(copy, "point_clouds", "tiny") / "manifest.json"
    other = layout.analysis_dir(copy, "weights", "foreign") / "manifest.json"
    before = (cloud.stat().st_mtime_ns, other.stat().st_mtime_ns)
    seen: list[tuple[str, int, int]] = []
    analyse(copy, ["tiny"], lambda *step: seen.append(step))
    assert (cloud.stat().st_mtime_ns, other.stat().st_mtime_ns) == before
    assert seen[-1] == (STAGE, len(jobs(copy, ["tiny"])), len(jobs(copy, ["tiny"])))
    cell = layout.measurement_dir(copy, "tiny-int8", "cpu")
    with artefact.writing(cell, "evaluate", "k2") as scratch:
        for name in (layout.MEASUREMENT, layout.PREDICTIONS):
            shutil.copy(cell / name, scratch / name)
        (scratch / layout.LATENCY).write_text("round,sample,ms\n0,0,5\n")
    analyse(copy, ["tiny"])
    assert cloud.stat().st_mtime_ns > before[0]
    assert other.stat().st_mtime_ns == before[1]


def test_missing_float32_is_a_reason_not_a_crash(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    shutil.rmtree(layout.variant_dir(copy, "tiny-float32"))
    analyse(copy)
    reasons = {f: FigureData.load(layout.analysis_dir(copy, f, "tiny")).unavailable
               for f in FIGURES if f not in WHOLE}
    assert reasons["history"] is None
    assert "no float32 variant" in (reasons["weights"] or "")
