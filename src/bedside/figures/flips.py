"""Images whose decision changes between float32 and a variant, newly missed positives first.

Both decide at float32's locked threshold (stage ``evidence``); without a positive class the largest
logit decides. Predictions are those of the target; maps come from the variant's file on this CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from bedside.core.build import Measurement, Variant
from bedside.core.evidence import OperatingPoint, OperatingPoints
from bedside.core.text import number, plural
from bedside.core.types import Task
from bedside.figures import input_images, inputs, style
from bedside.figures.base import FigureData, NotAvailable, Reads
from bedside.figures.cam import overlay, upsample
from bedside.figures.input_images import shrink
from bedside.metrics.compare import scores_of
from bedside.metrics.probability import decide, probabilities
from bedside.runfolder import artefact, layout, stored
from bedside.runtime.litert import CAM, LiteRTModel

TITLE = "Images whose decision changed"
READS = Reads(evidence=True)
# Decisions beyond these are listed without images.
MOST_IMAGES = 400
IMAGE_PX = 160
SPLITS = ("test", "val")
KINDS = ("missed", "alarm", "lost", "found", "cleared", "gained", "other")

SHOWN = 6
WORDS = {"missed": "newly missed", "alarm": "new false alarm", "found": "newly detected",
         "cleared": "false alarm cleared", "lost": "now wrong", "gained": "now correct",
         "other": "wrong both times"}


@dataclass(frozen=True, slots=True)
class _Part:
    """One split of a cell: ids, labels, decisions and softmax probabilities (n, K)."""

    ids: list[str]
    labels: npt.NDArray[np.int64]
    called: npt.NDArray[np.int64]
    shares: npt.NDArray[np.float64]


def compute(run: Path, model: str) -> FigureData:
    """List the changed decisions, with images and maps of the first ones.

    Facts: ``flips``, a row per image and variant: ``id``, ``split``, ``label``, ``variant``,
    ``scheme``, ``target``, ``also`` (cells with the same predictions), ``kind``, ``called``
    (before, after), ``score`` (before, after; probability of the positive class, or of the class
    float32 called), ``margin`` (score minus threshold, or the lead over the next class) and
    ``picture``: a row of the arrays ``images``, ``before`` and ``after`` (n, h, w) uint8, or None.

    Maps are of the positive class, else of the class float32 called, on float32's range for that
    image. ``compared`` counts images by cell and split.

    Raises:
        NotAvailable: no float32 predictions, or the stage ``evidence`` has not run.
    """
    if not artefact.finished(layout.evidence_dir(run, model), "evidence"):
        raise NotAvailable("the paired tests have not been computed (bedside report RUN does it)")
    points, task = stored.operating_points(run, model), stored.task(run)
    measured = [m for m in stored.measurements(run) if m.model == model and stored.usable(m)]
    rows: list[dict[str, Any]] = []
    compared: dict[str, dict[str, int]] = {}
    for (cell, base), also in _distinct(run, measured):
        found, counts = _changed(run, cell, base, points, task)
        compared[layout.cell_name(cell.variant, cell.target)] = counts
        rows += [r | {"also": also} for r in found]
    if not compared:
        raise NotAvailable(f"no variant of {model} can be compared with float32")
    rows.sort(key=lambda r: (KINDS.index(r["kind"]), SPLITS.index(r["split"]),
                             -abs(r["score"][1] - r["score"][0]), r["id"], r["variant"]))
    arrays, reason = _images(run, model, rows[:MOST_IMAGES], task)
    for i, row in enumerate(rows):
        row["picture"] = i if i < MOST_IMAGES and arrays else None
    return FigureData(arrays, {
        "model": model, "classes": task.classes, "positive": task.positive,
        "threshold": points.locked.threshold if points.locked is not None else None,
        "compared": compared, "flips": rows, "maps_reason": reason})


def _distinct(run: Path, measured: Sequence[Measurement]
              ) -> list[tuple[tuple[Measurement, Measurement], list[str]]]:
    """Pair cells with their float32 cell, merging cells with equal predictions."""
    found: dict[tuple[bytes, bytes], tuple[tuple[Measurement, Measurement], list[str]]] = {}
    for m in sorted(measured, key=lambda m: (not inputs.is_cpu(m.target), m.target)):
        base = stored.baseline(measured, m.target)
        if base is None or base == m:
            continue
        mine, other = (stored.predictions(run, c.variant, c.target).logits.tobytes()
                       for c in (m, base))
        key = (mine, other)
        if key in found:
            found[key][1].append(layout.cell_name(m.variant, m.target))
        else:
            found[key] = ((m, base), [])
    return sorted(found.values(), key=lambda v: inputs.scheme_order(v[0][0].scheme))


def _part(run: Path, cell: Measurement, split: str, point: OperatingPoint, positive: int | None
          ) -> _Part:
    rows = stored.predictions(run, cell.variant, cell.target).of(split)
    logits = rows.logits.astype(np.float64)
    called = decide(logits, scores_of(logits, positive), positive, point)
    return _Part(rows.ids.tolist(), rows.labels, called, probabilities(logits, None))


def _changed(run: Path, cell: Measurement, base: Measurement, points: OperatingPoints, task: Task
             ) -> tuple[list[dict[str, Any]], dict[str, int]]:
    positive = inputs.positive_index(task)
    point = points.locked or points.cells[layout.cell_name(base.variant, base.target)]
    found, counts = [], {}
    for split in SPLITS:
        old, new = (_part(run, m, split, point, positive) for m in (base, cell))
        place = {v: i for i, v in enumerate(old.ids)}
        common = [(place[v], j) for j, v in enumerate(new.ids) if v in place]
        counts[split] = len(common)
        for i, j in common:
            if old.called[i] == new.called[j]:
                continue
            truth, k = int(old.labels[i]), int(old.called[i]) if positive is None else positive
            found.append({
                "id": old.ids[i], "split": split, "label": task.classes[truth],
                "variant": cell.variant, "scheme": cell.scheme, "target": cell.target,
                "kind": kind(truth, int(old.called[i]), int(new.called[j]), positive),
                "called": [task.classes[int(old.called[i])], task.classes[int(new.called[j])]],
                "score": [float(old.shares[i, k]), float(new.shares[j, k])],
                "margin": [_margin(p, point, positive) for p in (old.shares[i], new.shares[j])]})
    return found, counts


def kind(truth: int, before: int, after: int, positive: int | None) -> str:
    """Classify a changed decision by its meaning for the patient."""
    if positive is not None:
        if truth == positive:
            return "found" if after == positive else "missed"
        return "alarm" if after == positive else "cleared"
    return "lost" if before == truth else "gained" if after == truth else "other"


def _margin(shares: npt.NDArray[np.float64], point: OperatingPoint, positive: int | None) -> float:
    if positive is not None and point.threshold is not None:
        return float(shares[positive]) - point.threshold
    first, second = np.sort(shares)[::-1][:2]
    return float(first - second)


# ------------------------------------------------------------------ images


def _images(run: Path, model: str, rows: Sequence[dict[str, Any]], task: Task
              ) -> tuple[dict[str, npt.NDArray[Any]], str | None]:
    """Images and maps of the rows, and why there is no map."""
    if not rows:
        return {}, None
    variants = {v.id: v for v in stored.variants(run) if v.model == model}
    base = inputs.original_of(run, model)
    original = LiteRTModel(inputs.variant_path(run, base))
    arrays: dict[str, npt.NDArray[Any]] = {}
    with_maps = CAM in original.outputs
    for name in {r["variant"] for r in rows}:
        others = [(i, r) for i, r in enumerate(rows) if r["variant"] == name]
        _fill(run, base, variants[name], original, others, len(rows), task, arrays, with_maps)
    return arrays, None if with_maps else (
        f"{model} has no output {CAM!r}: a model trained elsewhere gives no class activation map")


def _fill(run: Path, base: Variant, variant: Variant, original: LiteRTModel,
          others: Sequence[tuple[int, dict[str, Any]]], count: int, task: Task,
          arrays: dict[str, npt.NDArray[Any]], with_maps: bool) -> None:
    model = LiteRTModel(inputs.variant_path(run, variant)) if with_maps else None
    with stored.pixel_store(run, base.preprocess) as store:
        for i, row in others:
            grey = input_images.to_grey(store.pixels(row["id"]))
            planes = {"images": grey.astype(np.float32)}
            if model is not None:
                name = task.positive if task.positive is not None else row["called"][0]
                index = task.classes.index(name)
                tensor = store.tensor(row["id"])
                before, after = (upsample(m.run(tensor)[CAM][0, :, :, index], grey.shape)
                                 for m in (original, model))
                low, span = float(before.min()), max(float(np.ptp(before)), 1e-12)
                planes |= {"before": 255 * np.clip((before - low) / span, 0, 1),
                           "after": 255 * np.clip((after - low) / span, 0, 1)}
            for key, plane in planes.items():
                small = np.rint(shrink(plane[None].astype(np.float32), IMAGE_PX)[0])
                if key not in arrays:
                    arrays[key] = np.zeros((count, *small.shape), np.uint8)
                arrays[key][i] = small.astype(np.uint8)


# ------------------------------------------------------------------ drawing


def draw(data: FigureData) -> Figure:
    """Draw a row per case with its maps, the most serious first."""
    rows = [r for r in data.facts["flips"] if r["picture"] is not None][:SHOWN]
    if not rows:
        figure = style.new_figure(0.9)
        figure.text(0.5, 0.5, "no decision changed" if not data.facts["flips"] else
                    "no images to show", ha="center", va="center", fontsize=10)
        return figure
    maps = [k for k in ("before", "after") if k in data.arrays]
    columns = 1 + len(maps)
    figure = style.new_figure(len(rows) * 1.9 + 0.2)
    grid = figure.subplots(len(rows), columns + 1, squeeze=False,
                           width_ratios=[1.15] + [1] * columns)
    for k, row in enumerate(rows):
        text, *panels = grid[k]
        style.bare(text)
        text.text(0, 0.5, _text(row, data.facts), va="center", fontsize=8, linespacing=1.5)
        image = data.arrays["images"][row["picture"]]
        for axes, name in zip(panels, [None, *maps], strict=True):
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
    before, after = (number(v, 3) for v in row["score"])
    limit = facts["threshold"]
    threshold = f"threshold {number(limit, 3)}\n" if limit is not None else ""
    return (f"{WORDS[row['kind']]}\ntruth: {row['label']}\n{style.short_name(row['scheme'])}, "
            f"{row['split']}\nscore {before} → {after}\n{threshold}").strip()


def caption(data: FigureData) -> str:
    """State how many decisions changed and which are shown."""
    f = data.facts
    compared = sum(max(c.values()) for c in f["compared"].values())
    if not f["flips"]:
        return (f"No decision of {f['model']} changed between FP32 and any variant, at FP32's "
                f"locked threshold, in {plural(compared, 'compared image')}.")
    kinds = [r["kind"] for r in f["flips"]]
    counts = ", ".join(f"{w} {kinds.count(k)}" for k, w in WORDS.items() if k in kinds)
    shown = min(SHOWN, sum(r["picture"] is not None for r in f["flips"]))
    why = f" There are no maps: {f['maps_reason']}." if f["maps_reason"] else (
        " Maps show the class of the score, on FP32's range.")
    return (f"Changed decisions of {f['model']} between FP32 and a variant, at FP32's locked "
            f"threshold on test and validation images: {counts}. Shown are the first {shown}, "
            f"newly missed first; flips.html lists all.{why}")
