"""Which layers INT8 hurts: SQNR of every layer, and the damage to the logits by layer.

The SQNR is computed here on a few validation images; the damage, one layer at a time and all
but one, is read from what ``bedside search`` published, where it has run.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from bedside.core import codec
from bedside.figures import inputs
from bedside.figures.base import FigureData, NotAvailable
from bedside.figures.noise import IMAGES, layer_sqnr
from bedside.runfolder import artefact, layout


def compute(run: Path, model: str) -> FigureData:
    """Facts: ``layers``, a row a layer with ``sqnr_db`` and, where searched, its damage.

    ``alone_damage``: root mean square change of the logits over their standard deviation with
    only this layer in int8; ``all_but_damage``: with every other layer in int8.
    """
    original = inputs.original_of(run, model)
    found = inputs.quantized_of(run, model)
    label = next((k for k in found if k == inputs.INTEGER), None) or next(
        (k for k in found if k.startswith(inputs.INTEGER)), None)
    if label is None:
        raise NotAvailable(f"the study holds no {inputs.INTEGER} variant of {model}")
    cases = sorted((c for c in layout.cases(run) if c.split == "val"), key=lambda c: c.id)
    if not cases:
        raise NotAvailable("the study has no validation image")
    noise = layer_sqnr(run, original, found[label], [c.id for c in cases[:IMAGES]])
    damage = _searched(run, model)
    rows = [{"layer": x.name, "op": x.op, "weights": x.weights, "sqnr_db": db,
             **damage.get(x.name, {})} for x, db in noise]
    if not rows:
        raise NotAvailable("no layer of the quantized file has the name of the original's")
    return FigureData({}, {"model": model, "scheme": label, "images": min(IMAGES, len(cases)),
                           "searched": bool(damage), "layers": rows})


def _searched(run: Path, model: str) -> dict[str, dict[str, Any]]:
    folder = layout.search_dir(run, model)
    if not artefact.finished(folder, "search"):
        return {}
    rows = csv.DictReader(io.StringIO(codec.read_text(folder / "layers.csv")))
    return {r["layer"]: {"alone_damage": float(r["alone_damage"]),
                         "alone_shift": float(r["alone_shift"]),
                         "alone_flips": int(r["alone_flips"]),
                         "all_but_damage": float(r["all_but_damage"]),
                         "all_but_flips": int(r["all_but_flips"]),
                         "judged": int(r["images"])} for r in rows}
