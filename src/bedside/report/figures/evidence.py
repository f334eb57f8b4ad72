"""Bars that tell at a glance how a latency came about: fill, hatching and a word."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from bedside.report.figures import style

# Measured is the only filled bar.
HATCH = {"measured": "", "emulated": "...", "simulated": "\\\\\\", "estimated": "////"}


def bar(axes: Axes, y: float, width: float, colour: str, row: dict[str, Any]) -> None:
    """One horizontal bar; an unfitted estimate is dashed as well."""
    measured = row["evidence"] == "measured"
    axes.barh(y, width, height=0.7, facecolor=colour if measured else "white",
              edgecolor=colour, linewidth=1.0, hatch=HATCH.get(row["evidence"], "xx"),
              linestyle="--" if row["unfitted"] else "-", alpha=0.85)


def word(row: dict[str, Any]) -> str:
    """``estimated, unfitted``."""
    return str(row["evidence"]) + (", unfitted" if row["unfitted"] else "")


def handles(rows: Iterable[dict[str, Any]]) -> list[Patch]:
    """Legend entries of the kinds that appear."""
    kinds = {r["evidence"] for r in rows}
    return [Patch(facecolor=style.QUIET if kind == "measured" else "white",
                  edgecolor=style.QUIET, hatch=hatch, label=kind)
            for kind, hatch in HATCH.items() if kind in kinds]
