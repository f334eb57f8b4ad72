"""Latency bars whose fill and hatching show how each value was obtained."""

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


def bar(axes: Axes, y: float, end: float, colour: str, row: dict[str, Any], start: float = 0.0
        ) -> None:
    """Draw one horizontal bar from ``start`` to ``end``; unfitted estimates have a dashed outline.
    """
    measured = row["evidence"] == "measured"
    axes.barh(y, end - start, left=start, height=0.7, facecolor=colour if measured else "white",
              edgecolor=colour, linewidth=1.0, hatch=HATCH.get(row["evidence"], "xx"),
              linestyle="--" if row["unfitted"] else "-", alpha=0.85)


def word(row: dict[str, Any]) -> str:
    """Return how a value was obtained, such as ``estimated, unfitted``."""
    return str(row["evidence"]) + (", unfitted" if row["unfitted"] else "")


def handles(rows: Iterable[dict[str, Any]]) -> list[Patch]:
    """Return legend entries for the kinds of evidence that occur."""
    shown = list(rows)
    kinds = {r["evidence"] for r in shown}
    patches = [Patch(facecolor=style.QUIET if kind == "measured" else "white",
                     edgecolor=style.QUIET, hatch=hatch, label=kind)
               for kind, hatch in HATCH.items() if kind in kinds]
    if any(r["unfitted"] for r in shown):
        patches.append(Patch(facecolor="white", edgecolor=style.QUIET, hatch=HATCH["estimated"],
                             linestyle="--", label="estimated, unfitted"))
    return patches


def heading(axes: Axes, y: float, text: str, x: float = 0.0, **more: Any) -> None:
    """Write the name of a group of bars above them."""
    axes.annotate(text, (x, y), xytext=(4, 0), textcoords="offset points", weight="bold",
                  va="center", **more)


def note(axes: Axes, y: float, text: str, size: float = 8) -> None:
    """Write a bar's numbers to the right of the axes."""
    axes.annotate(text, (1.012, y), xycoords=("axes fraction", "data"), va="center",
                  fontsize=size, annotation_clip=False)


def finish(axes: Axes, ticks: list[float], labels: list[str], limits: tuple[float, float]) -> None:
    """Label the bars, from the top downwards between ``limits``."""
    axes.set_yticks(ticks, labels)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(*limits)
    style.grid(axes, "x")
