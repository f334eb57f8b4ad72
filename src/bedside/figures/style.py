"""The style that all figures share; its colours are distinguishable with colour blindness."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH_IN = 9.0
PNG_DPI = 144

INK = "#222222"
QUIET = "#767676"
FAINT = "#D9D9D9"
PAPER = "#8C8C8C"
MARK = "#D62728"

# Okabe and Ito's palette; the paper's schemes keep their colour in every figure.
_SCHEMES = {"float32": "#4D4D4D", "float16": "#56B4E9", "dynamic": "#E69F00", "int8": "#0072B2"}
_FURTHER = ("#009E73", "#CC79A7", "#D55E00", "#8C6D31", "#7B4EA3", "#000000")
RIGHT, WRONG = "#009E73", "#D55E00"

_NAMES = {"float32": "FP32", "float16": "FP16", "dynamic": "dynamic range",
          "int8": "full integer (INT8)"}

_RC: dict[str, Any] = {
    "font.family": ["DejaVu Sans"], "font.size": 8.5, "axes.titlesize": 9, "axes.labelsize": 8.5,
    "xtick.labelsize": 8, "ytick.labelsize": 8, "legend.fontsize": 8, "legend.frameon": False,
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": QUIET,
    "axes.labelcolor": INK, "text.color": INK, "xtick.color": QUIET, "ytick.color": QUIET,
    "xtick.labelcolor": INK, "ytick.labelcolor": INK, "axes.titlelocation": "left",
    "axes.linewidth": 0.7, "lines.linewidth": 1.6, "figure.facecolor": "white",
    "savefig.facecolor": "white", "axes.axisbelow": True, "grid.color": "#ECECEC",
    "image.interpolation": "none", "figure.constrained_layout.use": False,
    # Text as outlines: a phone has no DejaVu, and other fonts would overlap.
    "svg.fonttype": "path", "svg.hashsalt": "bedside", "path.simplify": True,
}


@contextmanager
def quiet() -> Iterator[None]:
    """Apply the style for drawing and saving, whatever the user's matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        for name, value in _RC.items():
            mpl.rcParams[name] = value  # type: ignore[index]
        yield


def new_figure(height_in: float, layout: Literal["constrained"] | None = "constrained") -> Figure:
    """Return an empty figure ``WIDTH_IN`` wide, without a window."""
    return Figure(figsize=(WIDTH_IN, height_in), layout=layout)


def scheme_colour(label: str) -> str:
    """Return a scheme's colour, the same in every figure; options share their scheme's."""
    name = label.split("+")[0]
    return _SCHEMES.get(name, _FURTHER[sum(name.encode()) % len(_FURTHER)])


def scheme_name(label: str) -> str:
    """Return a scheme's display name, options kept."""
    name, *options = label.split("+")
    return "+".join([_NAMES.get(name, name), *options])


def short_name(label: str) -> str:
    """Return a scheme's display name, short enough for an axis."""
    name, *options = label.split("+")
    short = {"float32": "FP32", "float16": "FP16", "int8": "INT8"}.get(name, name)
    return "+".join([short, *options])


def layer_name(name: str, limit: int = 28) -> str:
    """Shorten a layer's name by cutting its beginning."""
    return name if len(name) <= limit else "…" + name[-(limit - 1):]


def bare(axes: Axes) -> None:
    """Remove ticks and frame, for images and diagrams."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def grid(axes: Axes, axis: Literal["both", "x", "y"] = "y") -> None:
    """Draw faint grid lines behind the data."""
    axes.grid(True, axis=axis, linewidth=0.7)
    axes.tick_params(length=0 if axis == "both" else 2.5)


def outline(axes: Axes, mask: npt.NDArray[np.bool_], colour: str = "#FFD34E",
            width: float = 1.1) -> None:
    """Draw the border of a mask (H, W), none where it is empty or covers everything."""
    if mask.any() and not mask.all():
        axes.contour(mask.astype(float), levels=[0.5], colors=[colour], linewidths=[width])
