"""Figures of the analysis folder: drawn, saved beside the report and inlined into it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bedside.core.progress import Progress
from bedside.figures import ALL_MODELS, FIGURES
from bedside.figures.base import figure_module
from bedside.runfolder import artefact, layout

INLINE_SVG_BYTES = 400_000


@dataclass(frozen=True, slots=True)
class GalleryFigure:
    """A figure with its caption; ``src`` is a data URI, or empty where there is no figure."""

    model: str
    title: str
    caption: str
    src: str = ""
    files: tuple[str, ...] = ()
    figure: str = ""


def jobs(run: Path, models: Sequence[str]) -> list[tuple[str, str]]:
    """List the (figure, model) of every finished analysis, the study's own first.

    Figures come in the order of ``FIGURES``; an unknown one is left out.
    """
    found = []
    present = {name for f in FIGURES for name in layout.analysed(run, f)}
    known = [ALL_MODELS, *models]
    for model in [*(m for m in known if m in present), *sorted(present - set(known))]:
        found += [(f, model) for f in FIGURES
                  if artefact.finished(layout.analysis_dir(run, f, model), "analyse")]
    return found


def draw(run: Path, out: Path, models: Sequence[str], progress: Progress | None = None
         ) -> tuple[GalleryFigure, ...]:
    """Draw every figure into ``out/figures`` as SVG and PNG.

    Raises:
        BadInput: an analysis does not read.
    """
    wanted = jobs(run, models)
    figures = []
    for number, (figure, model) in enumerate(wanted):
        if progress is not None:
            progress("report", number, len(wanted) + 1, f"{figure} {model}")
        figures.append(_draw_figure(run, out, figure, model))
    return tuple(figures)


def _draw_figure(run: Path, out: Path, figure: str, model: str) -> GalleryFigure:
    from bedside.figures.render import caption, render

    data = layout.analysis_dir(run, figure, model)
    artefact.check(data, "analyse")
    paths = render(data, out / "figures", figure, f"{figure}-{model}")
    title, text = figure_module(figure).TITLE, caption(data, figure)
    if paths is None:
        return GalleryFigure(model, title, text, figure=figure)
    return GalleryFigure(model, title, text, data_uri(*paths), tuple(p.name for p in paths), figure)


def data_uri(svg: Path, png: Path) -> str:
    """Return the SVG as a data URI where it is small enough for a phone, else the PNG."""
    path, kind = (svg, "svg+xml") if svg.stat().st_size < INLINE_SVG_BYTES else (png, "png")
    return f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
