"""Reproducible SVG and PNG files of limited size from a figure's data."""

from __future__ import annotations

import base64
import functools
import io
import re
from pathlib import Path

from PIL import Image

from bedside.figures import style
from bedside.figures.base import FigureData, figure_module
from bedside.runfolder import artefact

LARGE_BYTES = 400_000
_COLOURS = (256, 96, 48, 24)
_PNG = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=\s]+)")


def render(data_folder: Path, out_folder: Path, name: str, stem: str | None = None
           ) -> tuple[Path, Path] | None:
    """Draw one figure as SVG and PNG.

    Args:
        data_folder: the figure's folder as the stage ``analyse`` published it.
        out_folder: destination of ``<stem>.svg`` and ``<stem>.png``.
        name: the figure's name in ``FIGURES``.
        stem: name of the files; the figure's name by default.

    Returns:
        The two paths, or None where the figure is not available.

    Raises:
        BadInput: unknown figure, or its data does not read.
        OSError: the disk refuses the files.
    """
    data = FigureData.load(data_folder)
    module = figure_module(name)
    if data.unavailable is not None:
        return None
    svg, png = io.StringIO(), io.BytesIO()
    with style.quiet():
        figure = module.draw(data)
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
        figure.savefig(png, format="png", dpi=style.PNG_DPI, metadata={"Software": None})
    out_folder.mkdir(parents=True, exist_ok=True)
    paths = (out_folder / f"{stem or name}.svg", out_folder / f"{stem or name}.png")
    artefact.write_text(paths[0], _small_svg(svg.getvalue()))
    paths[1].write_bytes(_small_png(png.getvalue()))
    return paths


def caption(data_folder: Path, name: str) -> str:
    """Return a figure's caption, or the reason why it is not available."""
    data = FigureData.load(data_folder)
    if data.unavailable is not None:
        return f"Not available: {data.unavailable}."
    return figure_module(name).caption(data)


def _small_svg(text: str) -> str:
    """Re-encode embedded images as PNG, with fewer colours while the SVG is large."""
    packed = text
    for colours in _COLOURS:
        packed = _PNG.sub(functools.partial(_embed, colours=colours), text)
        if len(packed) <= LARGE_BYTES:
            break
    return packed


def _embed(match: re.Match[str], colours: int) -> str:
    before = base64.b64decode(match.group(1))
    after = _repack(before, colours)
    return "data:image/png;base64," + base64.b64encode(min(before, after, key=len)).decode()


def _repack(data: bytes, colours: int) -> bytes:
    image = Image.open(io.BytesIO(data)).convert("RGBA")
    red, green, blue, alpha = image.split()
    opaque = alpha.getextrema() == (255, 255)
    if opaque and colours == 256 and red.tobytes() == green.tobytes() == blue.tobytes():
        packed = red
    elif opaque:
        packed = image.convert("RGB").quantize(colours, method=Image.Quantize.MEDIANCUT,
                                               dither=Image.Dither.NONE)
    else:
        packed = image.quantize(colours, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    return _png(packed)


def _small_png(data: bytes) -> bytes:
    image = Image.open(io.BytesIO(data)).convert("RGB")
    packed = _png(image)
    if len(packed) <= LARGE_BYTES:
        return packed
    return _png(image.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE))


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True, dpi=(style.PNG_DPI, style.PNG_DPI))
    return buffer.getvalue()
