"""Bars that tell at a glance how a latency came about: fill, hatching and a word."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from bedside.figures import style

# Measured is the only filled bar.
HATCH = {"measured": "", "emulated": "...", "simulated": "\\\\\\", "estimated": "////"}


RUNTIMES = {"cpu": "LiteRT", "openvino": "OpenVINO", "onnxruntime": "ONNX Runtime",
            "LiteRT.js": "LiteRT.js"}
_ORDER = ("float32", "float16", "dynamic", "int8")


def scheme_rank(label: str) -> tuple[int, str]:
    """The order of schemes in a figure: from float32 to int8, others behind."""
    plain = label.split("+")[0]
    return (_ORDER.index(plain) if plain in _ORDER else len(_ORDER), label)


def bar(axes: Axes, y: float, end: float, colour: str, row: dict[str, Any], start: float = 0.0
        ) -> None:
    """One horizontal bar from ``start`` to ``end``; an unfitted estimate is dashed as well."""
    measured = row["evidence"] == "measured"
    axes.barh(y, end - start, left=start, height=0.7, facecolor=colour if measured else "white",
              edgecolor=colour, linewidth=1.0, hatch=HATCH.get(row["evidence"], "xx"),
              linestyle="--" if row["unfitted"] else "-", alpha=0.85)


def word(row: dict[str, Any]) -> str:
    """``estimated, unfitted``."""
    return str(row["evidence"]) + (", unfitted" if row["unfitted"] else "")


def handles(rows: Iterable[dict[str, Any]]) -> list[Patch]:
    """Legend entries of the kinds that appear."""
    shown = list(rows)
    kinds = {r["evidence"] for r in shown}
    found = [Patch(facecolor=style.QUIET if kind == "measured" else "white",
                   edgecolor=style.QUIET, hatch=hatch, label=kind)
             for kind, hatch in HATCH.items() if kind in kinds]
    if any(r["unfitted"] for r in shown):
        found.append(Patch(facecolor="white", edgecolor=style.QUIET, hatch=HATCH["estimated"],
                           linestyle="--", label="estimated, unfitted"))
    return found
