"""Does a variant look at the same thing: its class activation maps and feature maps.

The map is that of the class which the original predicts. Against the original's map: Spearman's
rank correlation on the map's own grid, and SSIM at the image's size. Against the lesion outline:
IoU of the part above half of the map's range, and whether its highest point lies in the lesion.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bedside.core import codec
from bedside.core.build import Variant
from bedside.core.types import Case
from bedside.figures import inputs, pictures
from bedside.figures.base import FigureData, NotAvailable
from bedside.figures.cam import IMAGE_PX, _load, hot, scaled, upsample
from bedside.figures.first_conv import shrink
from bedside.figures.inputs import Real
from bedside.figures.noise import IMAGES as SQNR_IMAGES
from bedside.figures.noise import layer_sqnr
from bedside.metrics import maps
from bedside.metrics.paired import paired_proportion
from bedside.metrics.stats import proportion
from bedside.runfolder import layout
from bedside.runtime.litert import CAM, LOGITS, LiteRTModel
from bedside.runtime.pixels import PixelStore

IMAGES = 100
WORST = 4
NO_LESION = "no image with a lesion outline"
FLAT = "every map is flat"


def compute(run: Path, model: str) -> FigureData:
    """Facts: ``maps`` by scheme (``maps_reason`` where there is none), ``sqnr`` by scheme and
    layer, ``worst`` cases. Arrays of the worst cases: ``images`` (n, h, w) uint8, ``masks``
    (n, h, w) bool, ``before`` and ``after`` (n, h, w) float32 in [0, 1] of the original's range.

    At most 100 images of the test split, those with a lesion outline first. A model without a
    ``cam`` output has ``maps`` null and the reason.
    """
    base = inputs.original_of(run, model)
    variants = inputs.quantized_of(run, model)
    facts: dict[str, Any] = {"model": model, "schemes": [inputs.ORIGINAL, *variants],
                             "maps": None, "maps_reason": None, "worst": []}
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
    ids = sorted(c.id for c in layout.cases(run) if c.split == "val")[:SQNR_IMAGES]
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
    shown = pictures.shown_cases(run, store)
    return sorted(shown, key=lambda c: (not c.masks, c.id))[:IMAGES]


def _maps(run: Path, model: str, base: Variant, variants: dict[str, Variant]) -> FigureData:
    every = {inputs.ORIGINAL: base, **variants}
    models = {label: _load(run, v) for label, v in every.items()}
    root = pictures.dataset_root(run)
    rows: dict[str, dict[str, list[Any]]] = {
        k: {"iou": [], "hit": [], "rank": [], "ssim": []} for k in every}
    seen: list[tuple[float, str, int]] = []
    with layout.pixel_store(run, base.preprocess) as store:
        cases = _chosen(run, store)
        lesions = [pictures.lesion_mask(root, c, base.preprocess) for c in cases]
        for number, (case, lesion) in enumerate(zip(cases, lesions, strict=True)):
            planes = _planes(models, store.tensor(case.id))
            large = {k: upsample(p, store.pixels(case.id).shape[:2]) for k, p in planes.items()}
            for label in every:
                own = rows[label]
                own["iou"].append(None if lesion is None else maps.iou(hot(large[label]), lesion))
                own["hit"].append(None if lesion is None else
                                  maps.pointing_hit(large[label], lesion))
                own["rank"].append(maps.rank_correlation(planes[inputs.ORIGINAL], planes[label]))
                own["ssim"].append(maps.similarity(large[inputs.ORIGINAL], large[label]))
                if label != inputs.ORIGINAL and own["ssim"][-1] is not None:
                    seen.append((own["ssim"][-1], label, number))
        worst = _worst(seen)
        arrays = _pictures(models, store, cases, lesions, worst)
    table = {k: _summary(rows[inputs.ORIGINAL], rows[k]) for k in every}
    return FigureData(arrays, {
        "split": cases[0].split, "n": len(cases),
        "outlined": sum(v is not None for v in lesions),
        "cam_shape": models[inputs.ORIGINAL].outputs[CAM].shape[1:3], "maps": table,
        "worst": [{"id": cases[i].id, "label": cases[i].label, "scheme": k, "ssim": value,
                   "rank": rows[k]["rank"][i]} for value, k, i in worst]})


def _planes(models: dict[str, LiteRTModel], tensor: Real) -> dict[str, Real]:
    """Every scheme's map (h, w) of the class that the original predicts."""
    outputs = {k: m.run(tensor) for k, m in models.items()}
    index = int(outputs[inputs.ORIGINAL][LOGITS][0].argmax())
    return {k: o[CAM][0, :, :, index] for k, o in outputs.items()}


def _worst(seen: list[tuple[float, str, int]]) -> list[tuple[float, str, int]]:
    """The least similar maps, each image once."""
    chosen: dict[int, tuple[float, str, int]] = {}
    for entry in sorted(seen):
        chosen.setdefault(entry[2], entry)
    return list(chosen.values())[:WORST]


def _pictures(models: dict[str, LiteRTModel], store: PixelStore, cases: list[Case],
              lesions: list[npt.NDArray[np.bool_] | None], worst: list[tuple[float, str, int]]
              ) -> dict[str, npt.NDArray[Any]]:
    kept: dict[str, list[npt.NDArray[Any]]] = {"images": [], "masks": [], "before": [],
                                               "after": []}
    for _, label, number in worst:
        grey = pictures.to_grey(store.pixels(cases[number].id))
        pair = {k: models[k] for k in (inputs.ORIGINAL, label)}
        planes = scaled({k: upsample(p, grey.shape) for k, p in _planes(
            pair, store.tensor(cases[number].id)).items()})
        lesion = lesions[number]
        outline = np.zeros(grey.shape, np.bool_) if lesion is None else lesion
        kept["images"].append(np.rint(shrink(grey[None], IMAGE_PX)[0]).astype(np.uint8))
        kept["masks"].append(shrink(outline[None].astype(np.float32), IMAGE_PX)[0] > 0.5)
        kept["before"].append(shrink(planes[inputs.ORIGINAL][None], IMAGE_PX)[0])
        kept["after"].append(shrink(planes[label][None], IMAGE_PX)[0])
    return {k: np.stack(v) for k, v in kept.items() if v}


def _summary(base: dict[str, list[Any]], own: dict[str, list[Any]]) -> dict[str, Any]:
    """Means with intervals; changes against the original on the same images."""
    hits = [v for v in own["hit"] if v is not None]
    both = [(a, b) for a, b in zip(base["hit"], own["hit"], strict=True)
            if a is not None and b is not None]
    old, new = (np.asarray([p[k] for p in both], np.bool_) for k in (0, 1))
    found = {"iou": maps.mean(own["iou"], 0.0, 1.0, NO_LESION),
             "hit": proportion(sum(hits), len(hits), NO_LESION),
             "rank": maps.mean(own["rank"], -1.0, 1.0, FLAT),
             "ssim": maps.mean(own["ssim"], -1.0, 1.0, FLAT),
             "iou_change": maps.change(base["iou"], own["iou"], NO_LESION),
             "hit_change": paired_proportion("hit", old, new, None, NO_LESION).difference}
    return {k: codec.encode(v) for k, v in found.items()}
