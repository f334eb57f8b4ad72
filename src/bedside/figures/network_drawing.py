"""The drawing of Figure 2: stages in a row, and the network's blocks in detail."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Polygon, Rectangle

from bedside.core.text import magnitude, plural
from bedside.figures import style
from bedside.figures.base import FigureData

_COLOURS = {"conv": "#6BAED6", "depthwise": "#9E9AC8", "dense": "#6BAED6",
            "residual": "#74C476", "inception": "#FDAE6B", "inverted residual": "#9E9AC8",
            "separable conv": "#9ECAE1", "head": "#8C8C8C", "image": "#F0F0F0",
            "add": "#E5F5E0", "concat": "#FEE6CE", "block": "#C7B299"}
_POOL = "#DADADA"
_SKIP = "#41AB5D"
_TITLES = {"inception": "Inception block", "residual": "Residual block",
           "inverted residual": "Inverted residual block (MBConv)"}
_SHORT = {"inverted residual": "MBConv", "separable conv": "separable\nconv",
          "max pool": "max\npool", "average pool": "avg\npool"}


def draw(data: FigureData) -> Figure:
    """Draw slabs as tall as their feature maps, shares of operations and weights, and blocks."""
    f = data.facts
    details = f["details"]
    height = 3.95 + (1.95 if details else 0.0)
    figure = style.new_figure(height, layout=None)
    columns = 1 + len(f["stages"])
    slabs = figure.add_axes((0.055, 1 - 2.65 / height, 0.94, 2.6 / height))
    bars = figure.add_axes((0.055, 1 - 3.85 / height, 0.94, 1.1 / height))
    for axes in (slabs, bars):
        axes.set_xlim(-0.5, columns - 0.5)
    _slabs(slabs, f)
    _bars(bars, f)
    if details:
        for i, detail in enumerate(details[:2]):
            share = 0.99 / min(len(details), 2)
            axes = figure.add_axes((0.01 + i * share, 0.01, share - 0.005, 1.8 / height))
            _detail(axes, detail)
    return figure


# ------------------------------------------------------------------ stages


def _slabs(axes: Axes, f: dict[str, Any]) -> None:
    style.bare(axes)
    axes.set_ylim(-0.72, 1.1)
    largest = max(f["input_shape"][0], *(_side(s) for s in f["stages"]))
    stages = [{"kind": "image", "repeat": 1, "shape": f["input_shape"], "kernels": []},
              *f["stages"]]
    for x, stage in enumerate(stages):
        tall = 0.16 + 0.84 * math.log2(1 + _side(stage)) / math.log2(1 + largest)
        copies = min(stage["repeat"], 6)
        wide = min(0.2, 0.62 / copies) if "pool" not in stage["kind"] else 0.08
        for copy in range(copies):
            left = x - copies * wide / 2 + copy * wide - 0.05
            _slab(axes, left, tall, wide * 0.82, _colour(stage["kind"]))
        if x:
            axes.annotate("", (x - 0.42, 0.5), (x - 0.58, 0.5),
                          arrowprops={"arrowstyle": "-|>", "color": style.QUIET, "lw": 0.8,
                                      "mutation_scale": 7, "shrinkA": 0, "shrinkB": 0})
        axes.text(x, -0.07, _stage_text(stage), ha="center", va="top", fontsize=_size(stages),
                  linespacing=1.35)


def _size(stages: list[Any]) -> float:
    return 8.0 if len(stages) <= 11 else 7.5 if len(stages) <= 13 else 6.4


def _side(stage: dict[str, Any]) -> int:
    shape = stage["shape"]
    return int(shape[0]) if len(shape) == 3 else 1


def _colour(kind: str) -> str:
    return _POOL if "pool" in kind else _COLOURS.get(kind, "#C7B299")


def _slab(axes: Axes, left: float, tall: float, wide: float, colour: str) -> None:
    """Draw a box in perspective: front, top and right face."""
    low, high = 0.5 - tall / 2, 0.5 + tall / 2
    dx, dy = 0.10, 0.055
    axes.add_patch(Rectangle((left, low), wide, tall, fc=colour, ec="white", lw=0.6))
    axes.add_patch(Polygon([(left, high), (left + dx, high + dy), (left + wide + dx, high + dy),
                            (left + wide, high)], fc=_shade(colour, 1.12), ec="white", lw=0.6))
    axes.add_patch(Polygon([(left + wide, low), (left + wide + dx, low + dy),
                            (left + wide + dx, high + dy), (left + wide, high)],
                           fc=_shade(colour, 0.82), ec="white", lw=0.6))


def _shade(colour: str, factor: float) -> tuple[float, float, float]:
    values = [int(colour[i:i + 2], 16) / 255 * factor for i in (1, 3, 5)]
    return min(values[0], 1.0), min(values[1], 1.0), min(values[2], 1.0)


def _stage_text(stage: dict[str, Any]) -> str:
    kind, shape = stage["kind"], stage["shape"]
    name = _SHORT.get(kind, kind)
    if stage["repeat"] > 1:
        name = f"{stage['repeat']} × {name}"
    if "\n" not in name:
        # Blocks are told apart by their largest kernel; an inception block has them all.
        name += "\n" + (stage["kernels"][-1] if stage["kernels"] and kind != "inception" else "")
    if kind == "head":
        # The head's own map is what the class activation map is read from.
        name = "1×1 conv\nand mean" if "1×1" in stage["kernels"] else "mean\nand dense"
        return f"{name}\n{shape[-1]} logits"
    size = (f"{shape[0]}×{shape[1]}" if len(shape) == 3 else "") + f"\n×{_channels(stage)}"
    return f"{name}\n{size}"


def _channels(stage: dict[str, Any]) -> str:
    found = stage.get("channels", [stage["shape"][-1]])
    return str(found[0]) if len(found) == 1 else f"{min(found)}–{max(found)}"


# ------------------------------------------------------------------ shares


def _bars(axes: Axes, f: dict[str, Any]) -> None:
    x = np.arange(1, 1 + len(f["stages"]))
    top = 0.0
    for offset, name, total, colour, label in (
            (-0.2, "macs", f["macs"], style.scheme_colour("int8"), "multiplications"),
            (0.2, "parameters", f["parameters"], style.scheme_colour("dynamic"), "weights")):
        shares = [100 * s[name] / max(total, 1) for s in f["stages"]]
        top = max(top, *shares)
        axes.bar(x + offset, shares, width=0.36, color=colour, alpha=0.8,
                 label=f"share of {magnitude(total)} {label}")
        for place, share in zip(x + offset, shares, strict=True):
            if share >= 0.5:
                axes.text(place, share, f"{share:.0f}", ha="center", va="bottom", fontsize=7)
    axes.set_ylim(0, 1.45 * top)
    axes.set_xticks([])
    axes.set_yticks([0, 20, 40] if top < 60 else [0, 40, 80])
    axes.set_ylabel("%")
    axes.spines["bottom"].set_color(style.FAINT)
    axes.legend(loc="upper left", ncols=2, borderaxespad=0.0, bbox_to_anchor=(0.0, 1.1))


# ------------------------------------------------------------------ blocks


def _detail(axes: Axes, detail: dict[str, Any]) -> None:
    """Draw one block from its operations: depth to the right, branches below one another."""
    nodes = detail["nodes"]
    places = layout(nodes)
    depth = max(x for x, _ in places) + 1
    rows = max(y for _, y in places) + 1
    axes.set_xlim(-1.05, max(depth, 3) + 0.15)
    axes.set_ylim(rows - 0.25, -1.05)
    style.bare(axes)
    times = "" if detail["total"] == 1 else f", {detail['total']} in the network"
    shape = "×".join(str(v) for v in detail["shape"])
    axes.text(-0.98, -0.8, _TITLES[detail["kind"]], fontsize=9, weight="bold", va="center")
    axes.text(max(depth, 3) + 0.1, -0.8, f"here to {shape}{times}", fontsize=8,
              color=style.QUIET, va="center", ha="right")
    middle = (rows - 1) / 2
    centre = [(x + 0.45, y if nodes[i]["kind"] not in ("concat", "add") else middle)
              for i, (x, y) in enumerate(places)]
    start = (-0.55, middle)
    _node(axes, start, "input", "", "#F0F0F0", 0.62)
    for i, node in enumerate(nodes):
        for source in node["inputs"]:
            origin = start if source < 0 else centre[source]
            skip = source < 0 and node["kind"] == "add"
            _edge(axes, origin, centre[i], skip)
    for i, node in enumerate(nodes):
        _node(axes, centre[i], node["label"], str(node["channels"]), _colour(node["kind"]), 0.74)


def layout(nodes: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """Return (column, row) of each node: the longest path from the input, a row per branch.

    A node takes its input's row where that row is still free in its column, so that a chain stays
    on one line.
    """
    columns: list[int] = []
    for node in nodes:
        columns.append(1 + max((columns[s] for s in node["inputs"] if s >= 0), default=-1))
    rows: list[int] = []
    taken: set[tuple[int, int]] = set()
    fresh = 0
    for i, node in enumerate(nodes):
        sources = [rows[s] for s in node["inputs"] if s >= 0]
        row = min(sources) if sources else fresh
        while (columns[i], row) in taken:
            row += 1
        if not sources:
            fresh = row + 1
        taken.add((columns[i], row))
        rows.append(row)
    return list(zip(columns, rows, strict=True))


def _node(axes: Axes, at: tuple[float, float], name: str, channels: str, colour: str,
          wide: float) -> None:
    axes.add_patch(FancyBboxPatch((at[0] - wide / 2, at[1] - 0.33), wide, 0.66,
                                  boxstyle="round,pad=0,rounding_size=0.06", fc=colour,
                                  ec="white", lw=0.8, zorder=3))
    text = f"{name}, {channels}" if channels else name
    axes.text(*at, text, ha="center", va="center", fontsize=7.5, zorder=4)


def _edge(axes: Axes, start: tuple[float, float], end: tuple[float, float], skip: bool) -> None:
    left, right = start[0] + 0.33, end[0] - 0.38
    if skip:
        low = start[1] + 0.62
        axes.plot((start[0], start[0], end[0]), (start[1] + 0.33, low, low), lw=1.2,
                  color=_SKIP, solid_joinstyle="round")
        path = FancyArrowPatch((end[0], low), (end[0], end[1] + 0.33), arrowstyle="-|>",
                               mutation_scale=8, lw=1.2, color=_SKIP, shrinkA=0, shrinkB=0)
    else:
        if end[0] - start[0] > 1.2:
            # A long edge runs along its own row first, not across the boxes between.
            turn = end[0] - 0.72
            axes.plot((left, turn), (start[1],) * 2, lw=0.9, color=style.QUIET,
                      solid_capstyle="round")
            left = turn
        path = FancyArrowPatch((left, start[1]), (right, end[1]), arrowstyle="-|>",
                               mutation_scale=8, lw=0.9, color=style.QUIET, shrinkA=0, shrinkB=0)
    axes.add_patch(path)


def caption(data: FigureData) -> str:
    """State the result, with the figure's own numbers."""
    f = data.facts
    heavy = max(f["stages"], key=lambda s: s["macs"])
    share = 100 * heavy["macs"] / max(f["macs"], 1)
    shape = "×".join(str(v) for v in heavy["shape"])
    shown = "; ".join(f"{d['total']} {d['kind']} {'block' if d['total'] == 1 else 'blocks'}"
                      for d in f["details"])
    blocks = f" It has {shown}; one of each kind is drawn by operation." if shown else ""
    return (f"{f['model']} as stored in its FP32 file (the paper's Figure 2): "
            f"{plural(f['convolutions'], 'convolution')}, {magnitude(f['macs'])} "
            f"multiplications and {magnitude(f['parameters'])} weights per image of "
            f"{'×'.join(str(v) for v in f['input_shape'])}. Slabs are as tall as their feature "
            f"maps (log scale).{blocks} The largest share of multiplications, {share:.0f}%, is at "
            f"{shape}.")
