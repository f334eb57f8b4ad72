"""Class activation maps of the original and each scheme, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from PIL import Image

from bedside.core.build import Variant
from bedside.core.types import Case
from bedside.figures import input_images, inputs, lesion_chance, style
from bedside.figures.base import FigureData, NotAvailable, Reads
from bedside.figures.input_images import shrink
from bedside.figures.inputs import Real
from bedside.runfolder import stored
from bedside.runtime.litert import CAM, LOGITS, LiteRTModel
from bedside.runtime.pixels import PixelStore

TITLE = "Class activation maps"
READS = Reads(version=3)
CASES = 6
IMAGE_PX = 128
THRESHOLD = 0.5

_OPACITY = 0.7


def compute(run: Path, model: str) -> FigureData:
    """Compute the maps of about six cases.

    Arrays: ``images`` (n, h, w) uint8, ``masks`` (n, h, w) bool, ``cams:<scheme>`` (n, h, w)
    float32 in [0, 1] of the original's range for that image (clipped).

    Facts: ``cases``, with the reason for each choice and each scheme's agreement with the original:
    correlation of the maps, and intersection over union of the regions above half of each map's own
    range. ``lesion`` holds the share of each map's top region that lies in the lesion, and
    ``lesion_chance`` what regions that ignore the image reach there.

    Raises:
        NotAvailable: the model has no ``cam`` output.
    """
    base = inputs.original_of(run, model)
    variants = {inputs.ORIGINAL: base, **inputs.quantized_of(run, model)}
    root = input_images.dataset_root(run)
    arrays: dict[str, list[npt.NDArray[Any]]] = {"images": [], "masks": []}
    rows: list[dict[str, Any]] = []
    models = {label: _load(run, v) for label, v in variants.items()}
    with stored.pixel_store(run, base.preprocess) as store:
        chosen = choose(run, model, store)
        known, splits = lesion_chance.learn(run, base.preprocess, chosen[0][0].split)
        for case, why in chosen:
            grey = input_images.to_grey(store.pixels(case.id))
            mask = input_images.lesion_mask(root, case, base.preprocess)
            maps, logits = _maps(models, store.tensor(case.id), grey.shape)
            row = {"id": case.id, "label": case.label, "why": why, "outlined": mask is not None,
                   "class": base.task.classes[int(logits[inputs.ORIGINAL].argmax())],
                   "logits": {k: v.tolist() for k, v in logits.items()},
                   "agreement": {k: agreement(maps[inputs.ORIGINAL], v)
                                 for k, v in maps.items() if k != inputs.ORIGINAL},
                   "lesion": {k: _in_lesion(v, mask) for k, v in maps.items()},
                   "lesion_chance": (None if mask is None
                                     else lesion_chance.levels(mask, known)["inside"])}
            rows.append(row)
            arrays["images"].append(np.rint(shrink(grey[None], IMAGE_PX)[0]).astype(np.uint8))
            outline = mask if mask is not None else np.zeros(grey.shape, np.bool_)
            arrays["masks"].append(shrink(outline[None].astype(np.float32), IMAGE_PX)[0] > 0.5)
            for label, plane in scaled(maps).items():
                arrays.setdefault(f"cams:{label}", []).append(shrink(plane[None], IMAGE_PX)[0])
    shape = models[inputs.ORIGINAL].outputs[CAM].shape
    return FigureData({k: np.stack(v) for k, v in arrays.items()},
                      {"model": model, "schemes": list(variants), "cases": rows,
                       "classes": base.task.classes, "threshold": THRESHOLD,
                       "cam_shape": shape[1:3], "splits": splits,
                       "outlines": 0 if known is None else known.outlines,
                       "mean": {k: _mean(rows, k) for k in variants if k != inputs.ORIGINAL}})


def _load(run: Path, variant: Variant) -> LiteRTModel:
    model = LiteRTModel(inputs.variant_path(run, variant))
    if CAM not in model.outputs:
        raise NotAvailable(f"{variant.model} has no output {CAM!r}: a model trained elsewhere "
                           "gives no class activation map")
    return model


def _maps(models: dict[str, LiteRTModel], tensor: Real, shape: tuple[int, ...]
          ) -> tuple[dict[str, Real], dict[str, Real]]:
    """Compute each scheme's map of the class that the original predicts, at the image's size."""
    outputs = {label: m.run(tensor) for label, m in models.items()}
    index = int(outputs[inputs.ORIGINAL][LOGITS][0].argmax())
    return ({k: upsample(o[CAM][0, :, :, index], shape) for k, o in outputs.items()},
            {k: o[LOGITS][0] for k, o in outputs.items()})


def upsample(plane: Real, shape: tuple[int, ...]) -> Real:
    """Resize a map (h, w) to an image's size, bilinear."""
    image = Image.fromarray(np.ascontiguousarray(plane, dtype=np.float32))
    large: Real = np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.BILINEAR))
    return large


def scaled(maps: dict[str, Real]) -> dict[str, Real]:
    """Scale all schemes' maps to the original's range, so that a shift remains visible."""
    low, high = float(maps[inputs.ORIGINAL].min()), float(maps[inputs.ORIGINAL].max())
    span = max(high - low, 1e-12)
    return {k: np.clip((v - low) / span, 0, 1).astype(np.float32) for k, v in maps.items()}


def hot(plane: Real) -> npt.NDArray[np.bool_]:
    """Return the region of a map above half of its own range."""
    low, high = float(plane.min()), float(plane.max())
    part: npt.NDArray[np.bool_] = plane > low + THRESHOLD * (high - low)
    return part


def agreement(original: Real, other: Real) -> dict[str, float | None]:
    """Return the correlation of two maps (None where one is flat) and their top regions' IoU."""
    a, b = hot(original), hot(other)
    union = int(np.count_nonzero(a | b))
    # A map of one value has no correlation; its computed deviation need not be exactly zero.
    flat = float(np.ptp(original)) == 0.0 or float(np.ptp(other)) == 0.0
    correlation = None if flat else float(np.corrcoef(original.ravel(), other.ravel())[0, 1])
    return {"correlation": correlation,
            "iou": int(np.count_nonzero(a & b)) / union if union else None}


def _in_lesion(plane: Real, mask: npt.NDArray[np.bool_] | None) -> float | None:
    part = hot(plane)
    if mask is None or not part.any():
        return None
    return int(np.count_nonzero(part & mask)) / int(np.count_nonzero(part))


def _mean(rows: list[dict[str, Any]], label: str) -> dict[str, float | None]:
    means = {}
    for name in ("correlation", "iou"):
        values = [r["agreement"][label][name] for r in rows]
        known = [v for v in values if v is not None]
        means[name] = float(np.mean(known)) if known else None
    return means


def choose(run: Path, model: str, store: PixelStore) -> list[tuple[Case, str]]:
    """Choose about six cases: those most changed by quantization, errors, and typical cases."""
    cases = {c.id: c for c in input_images.shown_cases(run, store)}
    ranked: list[tuple[str, str]] = []
    split = next(iter(cases.values())).split
    try:
        found = inputs.predictions_by_scheme(run, model, split)
    except NotAvailable:
        found = {}
    base = found.pop(inputs.ORIGINAL, None)
    if base is not None:
        ids = base.ids.tolist()
        if found:
            other = found[inputs.main_comparison(list(found))]
            change = np.abs(other.logits - base.logits).max(axis=1)
            ranked += [(ids[i], "changes most") for i in np.argsort(-change, kind="stable")[:2]]
        wrong = np.flatnonzero(base.logits.argmax(axis=1) != base.labels)
        ranked += [(ids[i], "wrong") for i in wrong[:1]]
        for k in reversed(range(base.logits.shape[1])):
            mine = np.flatnonzero((base.labels == k) & (base.logits.argmax(axis=1) == k))
            lead = np.sort(base.logits[mine], axis=1)
            order = mine[np.argsort(lead[:, -1] - lead[:, -2], kind="stable")]
            ranked += [(ids[i], "typical") for i in order[order.size // 2:][:1]]
    chosen: dict[str, str] = {}
    rest = [(c.id, "further") for c in sorted(cases.values(), key=lambda c: not c.masks)]
    for name, why in (*ranked, *rest):
        if name in cases and len(chosen) < CASES:
            chosen.setdefault(name, why)
    return [(cases[name], why) for name, why in chosen.items()]


# ------------------------------------------------------------------ drawing


def draw(data: FigureData) -> Figure:
    """Draw a row per case: the image, then each scheme's map with its IoU and correlation."""
    f = data.facts
    schemes = f["schemes"]
    count, columns = len(f["cases"]), len(schemes) + 1
    height, width = data.arrays["images"].shape[1:]
    left, gap = 0.116, 0.011
    cell = (1 - left - 0.005) / columns - gap
    tall = cell * style.WIDTH_IN * height / width
    total = count * (tall + 0.24) + 0.32
    figure = style.new_figure(total, layout=None)
    for row, case in enumerate(f["cases"]):
        bottom = (total - 0.3 - (row + 1) * tall - row * 0.24) / total
        _row_label(figure, case, bottom + tall / total / 2)
        image, mask = data.arrays["images"][row], data.arrays["masks"][row]
        for column in range(columns):
            axes = figure.add_axes((left + column * (cell + gap), bottom, cell, tall / total))
            style.bare(axes)
            label = schemes[column - 1] if column else None
            if label is None:
                axes.imshow(image, cmap="gray", vmin=0, vmax=255)
            else:
                axes.imshow(overlay(image, data.arrays[f"cams:{label}"][row]))
            style.outline(axes, mask, "white", 1.2)
            if row == 0:
                axes.set_title("image" if label is None else style.scheme_name(label),
                               loc="center", fontsize=9, weight="bold")
            if label is not None and label in case["agreement"]:
                row_facts = case["agreement"][label]
                axes.set_xlabel(f"IoU {_two(row_facts['iou'])}, r {_two(row_facts['correlation'])}",
                                fontsize=7.5, labelpad=2)
            elif label is not None:
                axes.set_xlabel(_lesion_text(case, label), fontsize=7.5, labelpad=2)
    return figure


def _lesion_text(case: dict[str, Any], label: str) -> str:
    inside = case["lesion"][label]
    if inside is None:
        return ""
    best = max(v for v in case["lesion_chance"].values() if v is not None)
    return f"{100 * inside:.0f}% in lesion, chance {100 * best:.0f}%"


def _row_label(figure: Figure, case: dict[str, str], y: float) -> None:
    wrong = case["label"] != case["class"]
    verdict = f"called\n{case['class']}" if wrong else "called right"
    why = {"changes most": "changes most", "typical": "typical"}.get(case["why"], "")
    figure.text(0.005, y, f"{case['label']}\n{verdict}" + (f"\n({why})" if why else ""),
                fontsize=8, va="center", linespacing=1.4,
                color=style.WRONG if wrong else style.INK)


def overlay(image: npt.NDArray[np.uint8], plane: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Blend a map in colour over the grey image, (H, W, 3), more opaque where it is higher."""
    colour = mpl.colormaps["inferno"](plane)[..., :3]
    grey = np.repeat(image[..., None].astype(np.float64) / 255, 3, axis=2)
    weight = _OPACITY * plane[..., None]
    mixed: npt.NDArray[np.uint8] = np.rint(
        255 * ((1 - weight) * grey + weight * colour)).astype(np.uint8)
    return mixed


def _two(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}".replace("-", "−")


def caption(data: FigureData) -> str:
    """State the result, with the figure's own numbers."""
    f = data.facts
    means = "; ".join(f"{style.scheme_name(k)} IoU {_two(m['iou'])}, r {_two(m['correlation'])}"
                      for k, m in f["mean"].items())
    outlined = any(c["outlined"] for c in f["cases"])
    lesion = (" The white line is the dataset's lesion outline; chance is the most that the whole "
              "image, a centred disc or a fixed region would have in it. "
              + lesion_chance.learned(f)) if outlined else ""
    size = "×".join(str(v) for v in f["cam_shape"])
    return (f"Mean agreement with FP32: {means} (IoU of the regions above half of each "
            f"map's range, r the correlation). Class activation maps of {f['model']} for the class "
            f"FP32 predicts, {size} values enlarged bilinearly, all on FP32's scale.{lesion} Shown "
            "are the cases that quantization changes most, errors, and typical cases.")
