"""Figures in the report."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_fixture import (
    make_run,
)
from report_reader import page, read

from bedside.figures import FIGURES
from bedside.figures.base import FigureData, figure_module
from bedside.runfolder import artefact
from bedside.stages.report.build import build_report


def test_every_figure_of_the_analysis_is_shown(tmp_path: Path) -> None:
    make_run(tmp_path)
    wanted = ["history", "weights"]
    for figure in wanted:
        assert figure in FIGURES
        with artefact.writing(tmp_path / "analysis" / figure / "vgg16", "analyse", "k") as scratch:
            FigureData(facts={"unavailable": f"no {figure} for this model"}).save(scratch)
    build_report(tmp_path)
    html = page(tmp_path)
    for figure in wanted:
        assert figure_module(figure).TITLE.replace("'", "&#39;") in html
        assert f"no {figure} for this model" in html


def test_a_drawn_figure_is_inlined_and_saved_twice(tmp_path: Path,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    from bedside.figures import render as module

    def draw(data: Path, out: Path, name: str, stem: str | None = None) -> tuple[Path, Path]:
        out.mkdir(parents=True, exist_ok=True)
        paths = (out / f"{stem}.svg", out / f"{stem}.png")
        # Above the limit the PNG is shown instead of the SVG.
        paths[0].write_text("<svg/>" if name == "history" else "<svg>" + " " * 400_000 + "</svg>")
        paths[1].write_bytes(b"png")
        return paths

    monkeypatch.setattr(module, "render", draw)
    monkeypatch.setattr(module, "caption", lambda data, name: f"caption of {name}")
    make_run(tmp_path)
    for figure in ("history", "weights"):
        with artefact.writing(tmp_path / "analysis" / figure / "vgg16", "analyse", "k") as scratch:
            FigureData(facts={"x": 1}).save(scratch)
    build_report(tmp_path)
    saved = sorted(p.name for p in (tmp_path / "report" / "figures").iterdir())
    assert saved == ["history-vgg16.png", "history-vgg16.svg", "weights-vgg16.png",
                     "weights-vgg16.svg"]
    sources = [v[4:] for v in read(page(tmp_path)).values if v.startswith("src=")]
    assert [s.partition(";")[0] for s in sources] == ["data:image/svg+xml", "data:image/png"]
    assert "caption of weights" in page(tmp_path)
