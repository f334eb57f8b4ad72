"""Where a variant looks, against float32 and the lesion; noise by layer; the worst maps."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from bedside.figures import style
from bedside.figures.base import FigureData
from bedside.figures.draw.cam import overlay

_MARKS = {"rank": ("o", "rank correlation with FP32"), "ssim": ("D", "SSIM with FP32"),
          "iou": ("s", "IoU with the lesion"), "hit": ("^", "highest point in the lesion")}
_LAYER_MARKS = "os^Dv<>P*X"


def draw(data: FigureData) -> Figure:
    """Left: agreement with FP32 and with the lesion. Right: SQNR by layer. Below: worst maps."""
    f = data.facts
    names = f["sqnr"]["layers"] if f["sqnr"] else []
    tall = max(3.4, 0.15 * len(names) + 1.2, 0.42 * len(f["schemes"]) + 1.5)
    rows = len(f["worst"])
    if not rows:
        figure = style.new_figure(tall)
        _charts(figure, f, names)
        return figure
    figure = style.new_figure(tall + 1.7 * -(-rows // 2) + 0.3)
    parts: Any = figure.subfigures(2, 1, height_ratios=[tall, 1.7 * -(-rows // 2) + 0.3])
    _charts(parts[0], f, names)
    _worst(parts[1], data)
    return figure


def _charts(figure: Figure | SubFigure, f: dict[str, Any], names: list[str]) -> None:
    panels = ([_agreement] if f["maps"] else []) + ([_noise] if names else [])
    if not panels:
        figure.text(0.5, 0.5, "no maps and no layers to compare", ha="center")
        return
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for part, paint in zip(axes, panels, strict=True):
        paint(part, f)


def _agreement(axes: Axes, f: dict[str, Any]) -> None:
    labels = f["schemes"]
    for k, label in enumerate(labels):
        offsets = (-0.24, -0.08, 0.08, 0.24)
        for offset, (name, (mark, _)) in zip(offsets, _MARKS.items(), strict=True):
            e = f["maps"][label][name]
            if e["value"] is None or (k == 0 and name in ("rank", "ssim")):
                continue
            axes.plot([e["low"], e["high"]], [k + offset] * 2, "-", color=style.QUIET, lw=1)
            axes.plot([e["value"]], [k + offset], mark, ms=5, color=style.scheme_colour(label),
                      mfc=None if name in ("rank", "ssim") else "white")
    for name, (mark, words) in _MARKS.items():
        if any(f["maps"][k][name]["value"] is not None for k in labels[1:]):
            axes.plot([], [], mark, color=style.INK, label=words, ls="",
                      mfc=None if name in ("rank", "ssim") else "white")
    axes.set_yticks(range(len(labels)), [style.short_name(k) for k in labels])
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlabel("1 is full agreement; bars 95% intervals")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower center", bbox_to_anchor=(0.42, 1.0), ncols=2, columnspacing=1)
    style.grid(axes, "x")


def _noise(axes: Axes, f: dict[str, Any]) -> None:
    names = f["sqnr"]["layers"]
    for k, (label, row) in enumerate(f["sqnr"]["schemes"].items()):
        known = [(v, p) for p, v in enumerate(row) if v is not None]
        axes.plot([v for v, _ in known], [p for _, p in known],
                  _LAYER_MARKS[k % len(_LAYER_MARKS)], ms=3.5,
                  color=style.scheme_colour(label), mfc="none" if k % 2 else None,
                  label=style.short_name(label))
    axes.set_yticks(range(len(names)), [style.layer_name(n, 26) for n in names], fontsize=6.5)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel("SQNR of the feature map (dB), more is closer")
    axes.legend(loc="lower center", bbox_to_anchor=(0.42, 1.0), ncols=4, columnspacing=1)
    style.grid(axes, "x")


def _worst(figure: SubFigure, data: FigureData) -> None:
    worst = data.facts["worst"]
    axes = figure.subplots(-(-len(worst) // 2), 6, squeeze=False)
    for row in axes:
        for one in row:
            style.bare(one)
    for k, case in enumerate(worst):
        three = axes[k // 2][3 * (k % 2):3 * (k % 2) + 3]
        image, mask = data.arrays["images"][k], data.arrays["masks"][k]
        three[0].imshow(image, cmap="gray", vmin=0, vmax=255)
        for one, name in zip(three[1:], ("before", "after"), strict=True):
            one.imshow(overlay(image, data.arrays[name][k]))
        for one in three:
            style.outline(one, mask, "white", 1.0)
        three[0].set_title(case["label"][:14], loc="center", fontsize=8)
        three[1].set_title("FP32", loc="center", fontsize=8)
        three[2].set_title(style.short_name(case["scheme"])[:14], loc="center", fontsize=8)
        three[2].set_xlabel(f"SSIM {case['ssim']:.2f}".replace("-", "−"), fontsize=7.5)


def caption(data: FigureData) -> str:
    """What to see."""
    f = data.facts
    parts = []
    if f["maps"]:
        lesion = (f"{f['outlined']} of them with a lesion outline" if f["outlined"] else
                  "none of them with a lesion outline, so nothing is said of the lesion")
        found = "; ".join(f"{style.short_name(k)} rank {_two(m['rank'])}, SSIM {_two(m['ssim'])}"
                          for k, m in f["maps"].items() if k != "float32")
        parts.append(f"Class activation maps of {f['model']} on {f['n']} {f['split']} images, "
                     f"{lesion}, for the class FP32 predicts: {found}.")
        if f["worst"]:
            parts.append("Below are the maps that agree least, on FP32's range.")
    else:
        parts.append(f"There are no class activation maps: {f['maps_reason']}.")
    if f["sqnr"]:
        low = min(((v, n, k) for k, row in f["sqnr"]["schemes"].items()
                   for v, n in zip(row, f["sqnr"]["layers"], strict=True) if v is not None),
                  default=None)
        if low is not None:
            parts.append(f"Feature maps of {f['sqnr']['images']} validation images: the noisiest "
                         f"is {low[1]} in {style.short_name(low[2])}, {low[0]:.0f} dB.")
    else:
        parts.append(f"There is no noise by layer: {f['sqnr_reason']}.")
    return " ".join(parts)


def _two(e: dict[str, Any]) -> str:
    return "–" if e["value"] is None else f"{e['value']:.2f}".replace("-", "−")
