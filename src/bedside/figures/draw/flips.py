"""The first images whose decision changed: image, float32's map, the variant's map."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from bedside.figures import style
from bedside.figures.base import FigureData
from bedside.figures.draw.cam import overlay

SHOWN = 6
WORDS = {"missed": "newly missed", "alarm": "new false alarm", "found": "newly found",
         "cleared": "false alarm cleared", "lost": "right before", "gained": "right now",
         "other": "wrong both times"}


def draw(data: FigureData) -> Figure:
    """Two rows of three: each a case with its maps, the gravest first."""
    rows = [r for r in data.facts["flips"] if r["picture"] is not None][:SHOWN]
    if not rows:
        figure = style.new_figure(0.9)
        figure.text(0.5, 0.5, "no decision changed" if not data.facts["flips"] else
                    "no pictures to show", ha="center", va="center", fontsize=10)
        return figure
    maps = [k for k in ("before", "after") if k in data.arrays]
    columns = 1 + len(maps)
    figure = style.new_figure(len(rows) * 1.9 + 0.2)
    grid = figure.subplots(len(rows), columns + 1, squeeze=False,
                           width_ratios=[1.15] + [1] * columns)
    for k, row in enumerate(rows):
        text, *pictures = grid[k]
        style.bare(text)
        text.text(0, 0.5, _text(row, data.facts), va="center", fontsize=8, linespacing=1.5)
        image = data.arrays["images"][row["picture"]]
        for axes, name in zip(pictures, [None, *maps], strict=True):
            style.bare(axes)
            if name is None:
                axes.imshow(image, cmap="gray", vmin=0, vmax=255)
            else:
                axes.imshow(overlay(image, data.arrays[name][row["picture"]] / 255))
            if k == 0:
                axes.set_title({None: "image", "before": "FP32", "after": "variant"}[name],
                               loc="center")
    return figure


def _text(row: dict[str, Any], facts: dict[str, Any]) -> str:
    before, after = (style.number(v, 3) for v in row["score"])
    limit = facts["threshold"]
    told = f"threshold {style.number(limit, 3)}\n" if limit is not None else ""
    return (f"{WORDS[row['kind']]}\nis {row['label']}\n{style.short_name(row['scheme'])}, "
            f"{row['split']}\nscore {before} → {after}\n{told}").strip()


def caption(data: FigureData) -> str:
    """How many, and which are shown."""
    f = data.facts
    compared = sum(max(c.values()) for c in f["compared"].values())
    if not f["flips"]:
        return (f"No decision of {f['model']} changed between FP32 and any variant, at FP32's "
                f"locked threshold, in {style.plural(compared, 'comparison')} of an image.")
    kinds = [r["kind"] for r in f["flips"]]
    counts = ", ".join(f"{w} {kinds.count(k)}" for k, w in WORDS.items() if k in kinds)
    shown = min(SHOWN, sum(r["picture"] is not None for r in f["flips"]))
    why = f" There are no maps: {f['maps_reason']}." if f["maps_reason"] else (
        " Maps are of the class that the score is of, on FP32's range.")
    return (f"Decisions of {f['model']} that changed between FP32 and a variant at FP32's locked "
            f"threshold, test and validation images: {counts}. Shown are the first {shown}, newly "
            f"missed ones first; flips.html holds every one.{why}")
