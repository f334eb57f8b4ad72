"""The reliability diagram: what the stage ``evidence`` found of every variant's probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bedside.core import codec
from bedside.figures import inputs
from bedside.figures.base import FigureData, NotAvailable
from bedside.runfolder import artefact, layout


def compute(run: Path, model: str) -> FigureData:
    """Facts: ``panels`` by scheme, of the test images: ``bins`` after temperature, ``raw`` before
    it, ``scores`` and ``calibrated`` (Brier score and calibration error), ``temperature``.

    One target's, this CPU's where it was measured.

    Raises:
        NotAvailable: the stage ``evidence`` has not run, or no test image was predicted.
    """
    if not artefact.finished(layout.evidence_dir(run, model), "evidence"):
        raise NotAvailable("the paired tests have not been computed (bedside report RUN does it)")
    points, found = layout.operating_points(run, model), layout.statistics(run, model)
    schemes = {v.id: label for label, v in inputs.variants_of(run, model).items()}
    panels: dict[str, Any] = {}
    target = None
    ranked = sorted(found.probabilities, key=lambda p: (
        not inputs.is_cpu(p.target), p.target, inputs.scheme_order(schemes.get(p.variant, ""))))
    for p in ranked:
        label = schemes.get(p.variant)
        if label is None or not any(b.observed.n for b in p.bins):
            continue
        target = target or p.target
        if p.target != target:
            continue
        own = points.cells[layout.cell_name(p.variant, p.target)]
        panels[label] = {
            "bins": codec.encode(p.bins), "raw": codec.encode(p.raw_bins),
            "scores": codec.encode(p.scores), "calibrated": codec.encode(p.calibrated),
            "temperature": own.temperature, "temperature_reason": own.temperature_reason}
    if not panels:
        raise NotAvailable(f"no test image of {model} was predicted")
    return FigureData({}, {"model": model, "target": target, "positive": points.positive,
                           "panels": panels})
