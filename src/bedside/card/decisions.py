"""Failures at the locked threshold, their activation maps, and the distribution of scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bedside.card.facts import Facts
from bedside.core.build import Measurement
from bedside.core.evidence import OperatingPoint
from bedside.metrics.inputs import log_odds
from bedside.metrics.probability import decide
from bedside.runfolder import artefact, layout, stored
from bedside.runtime.litert import CAM, LiteRTModel

# Maps are listed for at most so many failures of a cell; the rest are counted.
MAPS = 100


@dataclass(frozen=True, slots=True)
class Failure:
    """One wrongly decided test image; ``margin``: log-odds above the threshold."""

    id: str
    missed: bool
    margin: float

    def listed(self) -> dict[str, Any]:
        """Return the entry of the evidence file."""
        return {"id": self.id, "margin": round(self.margin, 4)}


def _scores(facts: Facts, m: Measurement) -> tuple[Any, Any, Any, int] | None:
    """Return ids, labels (1 positive), log-odds of a cell's test images, and the positive index."""
    if facts.task.positive is None or len(facts.task.classes) != 2:
        return None
    positive = facts.task.classes.index(facts.task.positive)
    test = stored.predictions(facts.run, m.variant, m.target).of("test")
    if not len(test.ids):
        return None
    return (test.ids, (test.labels == positive).astype(np.int64),
            log_odds(test.logits.astype(np.float64), positive), positive)


def _point(facts: Facts, m: Measurement) -> OperatingPoint:
    points = facts.points
    own = None if points is None else points.locked or points.cells.get(
        layout.cell_name(m.variant, m.target))
    return own or OperatingPoint("largest", 0, threshold_log_odds=0.0)


def failures(facts: Facts) -> dict[str, list[Failure]]:
    """List every missed positive and false alarm of each cell, by cell name."""
    found: dict[str, list[Failure]] = {}
    for m in facts.measured():
        seen = _scores(facts, m)
        if seen is None:
            continue
        ids, truth, odds, positive = seen
        point = _point(facts, m)
        logits = np.stack([-odds / 2, odds / 2] if positive else [odds / 2, -odds / 2], axis=1)
        called = (decide(logits, odds, positive, point) == positive).astype(np.int64)
        limit = point.threshold_log_odds or 0.0
        rows = [Failure(str(ids[i]), bool(truth[i]), float(odds[i] - limit))
                for i in np.flatnonzero(called != truth)]
        found[layout.cell_name(m.variant, m.target)] = sorted(
            rows, key=lambda r: (not r.missed, -abs(r.margin), r.id))
    return found


def saliency(facts: Facts) -> dict[str, Any]:
    """Compute the positive class's map for the failures of each variant, from its ``.tflite``.

    ``map`` holds hundredths of the map's own range, row by row; the variant is run on this
    machine's CPU, once, whichever targets it has.
    """
    found: dict[str, Any] = {}
    lists = failures(facts)
    by_id = {v.id: v for v in facts.variants}
    for m in facts.measured():
        variant, rows = by_id.get(m.variant), lists.get(layout.cell_name(m.variant, m.target))
        # A scheme whose kernels are reference code here would take minutes.
        if variant is None or not rows or m.variant in found or variant.scheme == "int16x8":
            continue
        path = layout.variant_dir(facts.run, m.variant) / variant.file
        cache = layout.cache_dir(facts.run, variant.preprocess)
        if not (path.is_file() and artefact.finished(cache, "cache")):
            continue
        model = LiteRTModel(path)
        if CAM not in model.outputs:
            continue
        index = model.classes - 1 if facts.task.positive is None else facts.task.classes.index(
            facts.task.positive)
        maps = {}
        with stored.pixel_store(facts.run, variant.preprocess) as store:
            for row in rows[:MAPS]:
                plane = np.asarray(model.run(store.tensor(row.id))[CAM][0, :, :, index], np.float64)
                span = float(plane.max() - plane.min())
                share = (plane - plane.min()) / span if span > 0 else np.zeros_like(plane)
                y, x = np.unravel_index(int(plane.argmax()), plane.shape)
                maps[row.id] = {
                    "peak": [round((float(y) + 0.5) / plane.shape[0], 3),
                             round((float(x) + 0.5) / plane.shape[1], 3)],
                    "map": [" ".join(str(round(100 * float(v))) for v in line) for line in share]}
        found[m.variant] = {"of": f"{len(maps)} of {len(rows)} failures", "maps": maps}
    return found


def score_summary(facts: Facts) -> dict[str, Any]:
    """Return quantiles of the positive log-odds of each cell's test images."""
    found = {}
    for m in facts.measured():
        seen = _scores(facts, m)
        if seen is not None:
            q = np.quantile(seen[2], [0.05, 0.25, 0.5, 0.75, 0.95])
            found[layout.cell_name(m.variant, m.target)] = {
                "log-odds at 5, 25, 50, 75, 95%": [round(float(v), 4) for v in q],
                "n": len(seen[2])}
    return found
