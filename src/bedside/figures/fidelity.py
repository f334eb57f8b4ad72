"""Fidelity of each variant: agreement of its class activation maps and feature maps with float32.

The map is that of the class which the original predicts. Against the original's map: Spearman's
rank correlation on the map's own grid, and SSIM at the image's size. Against the lesion outline:
IoU of the region above half of the map's range, its share in the lesion, and whether the map's
highest point lies in it; each beside what a map reaches that ignores the image.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from bedside.core import codec
from bedside.core.build import Variant
from bedside.core.types import Case
from bedside.figures import input_images, inputs, least_similar, lesion_chance, style
from bedside.figures.base import FigureData, NotAvailable, Reads
from bedside.figures.cam import _load, hot, upsample
from bedside.figures.noise import IMAGES as SQNR_IMAGES
from bedside.figures.noise import layer_sqnr
from bedside.metrics import chance, maps
from bedside.metrics.paired import paired_proportion
from bedside.runfolder import stored
from bedside.runtime.litert import CAM
from bedside.runtime.pixels import PixelStore

TITLE = "Agreement of class activation maps with float32"
READS = Reads(version=3)
IMAGES = 100
NO_LESION = lesion_chance.NO_LESION
FLAT = "every map is flat"

_MARKS = {"rank": ("o", "rank correlation with FP32"), "ssim": ("D", "SSIM with FP32"),
          "iou": ("s", "IoU with the lesion"), "hit": ("^", "highest point in the lesion")}
_LAYER_MARKS = "os^Dv<>P*X"


def compute(run: Path, model: str) -> FigureData:
    """Compute map agreement and layer noise.

    Facts: ``maps`` by scheme (``maps_reason`` where there is none), ``chance`` as
    :func:`bedside.figures.lesion_chance.summary` gives it, ``sqnr`` by scheme and layer, ``worst``
    cases. Arrays of the worst cases: ``images`` (n, h, w) uint8, ``masks`` (n, h, w)
    bool, ``before`` and ``after`` (n, h, w) float32 in [0, 1] of the original's range.

    At most 100 test images are used, those with a lesion outline first. Without a ``cam`` output
    ``maps`` is null.
    """
    base = inputs.original_of(run, model)
    variants = inputs.quantized_of(run, model)
    facts: dict[str, Any] = {"model": model, "schemes": [inputs.ORIGINAL, *variants],
                             "maps": None, "maps_reason": None, "chance": None, "worst": []}
    arrays: dict[str, npt.NDArray[Any]] = {}
    try:
        found = _maps(run, model, base, variants)
        facts |= found.facts
        arrays = found.arrays
    except NotAvailable as error:
        facts["maps_reason"] = error.reason
    facts |= _sqnr(run, base, variants)
    return FigureData(arrays, facts)


def _sqnr(run: Path, base: Variant, variants: dict[str, Variant]) -> dict[str, Any]:
    ids = sorted(c.id for c in stored.cases(run) if c.split == "val")[:SQNR_IMAGES]
    if not ids:
        return {"sqnr": None, "sqnr_reason": "the study has no validation image"}
    table = {k: {x.name: db for x, db in layer_sqnr(run, base, v, ids)}
             for k, v in variants.items()}
    names = list(dict.fromkeys(n for row in table.values() for n in row))
    if not names:
        return {"sqnr": None,
                "sqnr_reason": "no layer of a quantized file has the name of the original's"}
    return {"sqnr": {"images": len(ids), "layers": names,
                     "schemes": {k: [row.get(n) for n in names] for k, row in table.items()}},
            "sqnr_reason": None}


# ------------------------------------------------------------------ class activation maps


def _chosen(run: Path, store: PixelStore) -> list[Case]:
    shown = input_images.shown_cases(run, store)
    return sorted(shown, key=lambda c: (not c.masks, c.id))[:IMAGES]


def _maps(run: Path, model: str, base: Variant, variants: dict[str, Variant]) -> FigureData:
    every = {inputs.ORIGINAL: base, **variants}
    models = {label: _load(run, v) for label, v in every.items()}
    root = input_images.dataset_root(run)
    rows: dict[str, dict[str, list[Any]]] = {
        k: {"iou": [], "hit": [], "inside": [], "rank": [], "ssim": []} for k in every}
    seen: list[tuple[float, str, int]] = []
    with stored.pixel_store(run, base.preprocess) as store:
        cases = _chosen(run, store)
        lesions = [input_images.lesion_mask(root, c, base.preprocess) for c in cases]
        for number, (case, lesion) in enumerate(zip(cases, lesions, strict=True)):
            planes = least_similar.planes(models, store.tensor(case.id))
            large = {k: upsample(p, store.pixels(case.id).shape[:2]) for k, p in planes.items()}
            for label in every:
                own = rows[label]
                top = hot(large[label])
                own["iou"].append(None if lesion is None else maps.iou(top, lesion))
                own["inside"].append(None if lesion is None else chance.inside(top, lesion))
                own["hit"].append(None if lesion is None else
                                  maps.pointing_hit(large[label], lesion))
                own["rank"].append(maps.rank_correlation(planes[inputs.ORIGINAL], planes[label]))
                own["ssim"].append(maps.similarity(large[inputs.ORIGINAL], large[label]))
                if label != inputs.ORIGINAL and own["ssim"][-1] is not None:
                    seen.append((own["ssim"][-1], label, number))
        worst = least_similar.choose(seen)
        arrays = least_similar.images(models, store, cases, lesions, worst)
    table = {k: _summary(rows[inputs.ORIGINAL], rows[k]) for k in every}
    known, splits = lesion_chance.learn(run, base.preprocess, cases[0].split)
    return FigureData(arrays, {
        "split": cases[0].split, "n": len(cases),
        "outlined": sum(v is not None for v in lesions),
        "cam_shape": models[inputs.ORIGINAL].outputs[CAM].shape[1:3], "maps": table,
        "chance": lesion_chance.summary(rows, lesions, known, splits),
        "worst": [{"id": cases[i].id, "label": cases[i].label, "scheme": k, "ssim": value,
                   "rank": rows[k]["rank"][i]} for value, k, i in worst]})


def _summary(base: dict[str, list[Any]], own: dict[str, list[Any]]) -> dict[str, Any]:
    """Return means with intervals, and changes against the original on the same images."""
    both = [(a, b) for a, b in zip(base["hit"], own["hit"], strict=True)
            if a is not None and b is not None]
    old, new = (np.asarray([p[k] for p in both], np.bool_) for k in (0, 1))
    found = {"iou": maps.mean(own["iou"], 0.0, 1.0, NO_LESION),
             "hit": lesion_chance.hit_rate(own["hit"]),
             "inside": maps.mean(own["inside"], 0.0, 1.0, NO_LESION),
             "rank": maps.mean(own["rank"], -1.0, 1.0, FLAT),
             "ssim": maps.mean(own["ssim"], -1.0, 1.0, FLAT),
             "iou_change": maps.change(base["iou"], own["iou"], NO_LESION),
             "inside_change": maps.change(base["inside"], own["inside"], NO_LESION),
             "hit_change": paired_proportion("hit", old, new, None, NO_LESION).difference}
    return {k: codec.encode(v) for k, v in found.items()}


# ------------------------------------------------------------------ drawing


def draw(data: FigureData) -> Figure:
    """Draw agreement with FP32 and the lesion, SQNR by layer, and the least similar maps."""
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
    least_similar.draw(parts[1], data)
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
    for name, line in (("iou", "--"), ("hit", ":")):
        part = f["chance"][name]
        if part["best"] is not None:
            axes.axvline(part["levels"][part["best"]]["value"], ls=line, lw=1, color=style.INK,
                         label=f"chance: {lesion_chance.LEVELS[name][part['best']]}")
    for name, (mark, words) in _MARKS.items():
        if any(f["maps"][k][name]["value"] is not None for k in labels[1:]):
            axes.plot([], [], mark, color=style.INK, label=words, ls="",
                      mfc=None if name in ("rank", "ssim") else "white")
    axes.set_yticks(range(len(labels)), [style.short_name(k) for k in labels])
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlabel("1 is full agreement; bars: 95% intervals")
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
    axes.set_xlabel("SQNR of the feature map (dB; higher is closer)")
    axes.legend(loc="lower center", bbox_to_anchor=(0.42, 1.0), ncols=4, columnspacing=1)
    style.grid(axes, "x")


def caption(data: FigureData) -> str:
    """State the result, with the figure's own numbers."""
    f = data.facts
    parts = []
    if f["maps"]:
        lesion = (f"{f['outlined']} of them with a lesion outline" if f["outlined"] else
                  "none of them with a lesion outline, so agreement with the lesion is unknown")
        means = "; ".join(f"{style.short_name(k)} rank {_two(m['rank'])}, SSIM {_two(m['ssim'])}"
                          for k, m in f["maps"].items() if k != "float32")
        parts.append(f"Mean agreement with FP32's maps: {means}. Class activation maps of "
                     f"{f['model']} for the class FP32 predicts, {f['n']} {f['split']} images, "
                     f"{lesion}.")
        if f["outlined"]:
            parts.append(lesion_chance.sentence(f["chance"], f["maps"][inputs.ORIGINAL]["hit"]))
            parts.append(lesion_chance.learned(f["chance"]))
        if f["worst"]:
            parts.append("Below are the least similar maps, on FP32's range.")
    else:
        parts.append(f"There are no class activation maps: {f['maps_reason']}.")
    if f["sqnr"]:
        low = min(((v, n, k) for k, row in f["sqnr"]["schemes"].items()
                   for v, n in zip(row, f["sqnr"]["layers"], strict=True) if v is not None),
                  default=None)
        if low is not None:
            parts.append(f"The noisiest feature map on {f['sqnr']['images']} validation images is "
                         f"{low[1]} in {style.short_name(low[2])}, {low[0]:.0f} dB.")
    else:
        parts.append(f"The noise by layer is unknown: {f['sqnr_reason']}.")
    return " ".join(parts)


def _two(e: dict[str, Any]) -> str:
    return "–" if e["value"] is None else f"{e['value']:.2f}".replace("-", "−")
