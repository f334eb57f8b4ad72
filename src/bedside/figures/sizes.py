"""Table 2's sizes as a figure: the bytes of every file, the paper's beside them."""

from __future__ import annotations

from pathlib import Path

from bedside.figures import inputs
from bedside.figures.base import FigureData, NotAvailable
from bedside.runfolder import layout

# Table 2 of the paper, as printed there (MB), by network and scheme.
PAPER_MB: dict[str, dict[str, float]] = {
    "vgg16": {"float32": 74.1, "dynamic": 18.6, "float16": 37.0, "int8": 18.6},
    "googlenet": {"float32": 61.7, "dynamic": 15.6, "float16": 30.9, "int8": 15.6},
    "resnet34": {"float32": 85.1, "dynamic": 21.5, "float16": 42.6, "int8": 21.5},
}
PAPER_REDUCTION = 0.75


def compute(run: Path, model: str) -> FigureData:
    """Facts: ``models``, by model and scheme: bytes, share of the original, paper's MB."""
    del model
    table = {}
    for name in sorted({v.model for v in layout.variants(run)}):
        found = inputs.variants_of(run, name)
        base = found.get(inputs.ORIGINAL)
        paper = PAPER_MB.get(network_name(run, name), {})
        table[name] = {label: {
            "size_bytes": v.size_bytes,
            "share": v.size_bytes / base.size_bytes if base is not None else None,
            "paper_mb": paper.get(label)} for label, v in found.items()}
    if not table:
        raise NotAvailable("the study holds no variant")
    return FigureData({}, {"models": table, "paper_reduction": PAPER_REDUCTION})


def network_name(run: Path, model: str) -> str:
    """The network behind a model's id."""
    return next((s.name for s in layout.model_specs(run) if s.id == model), model)
