"""A tiny run with measured variants, evidence and a model card; the schema of its XML."""

from __future__ import annotations

import shutil
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import xmlschema

from bedside.core import codec
from bedside.core.build import Build, Latency, Measurement, Variant
from bedside.core.study import ModelConfig, Study
from bedside.runfolder import artefact, layout, stored
from bedside.runtime.litert import LOGITS, LiteRTModel
from bedside.stages import card
from bedside.stages.evidence import stage as evidence

MODEL = "resnet34"
CARD = resources.files("bedside.card")

_SHARED: dict[str, Path] = {}


def chai_schema() -> Any:
    # The schema of XML signatures, which it imports, comes from the validator: no network.
    return xmlschema.XMLSchema(str(CARD / "chai_v0.2.xsd"), allow="local")


def card_run(quantized: Path, factory: Any) -> Path:
    """Copy a quantized run and measure it in this process; made once a session."""
    if "run" in _SHARED:
        return _SHARED["run"]
    run = factory.mktemp("card") / "run"
    shutil.copytree(quantized, run)
    artefact.write_text(layout.study_file(run), codec.to_toml(Study(
        models=(ModelConfig("resnet34", image_px=32, width=0.125),))))
    for variant in stored.variants(run):
        if variant.scheme in ("float32", "int8"):
            _measure(run, variant)
            with artefact.writing(layout.build_dir(run, variant.id, "cpu"), "build", "k") as out:
                artefact.write_text(out / layout.BUILD, codec.to_json(Build(
                    variant.id, "cpu", "tflite", {"model.tflite": variant.sha256}, "bedside")))
    evidence.evidence(run, stored.study(run).evidence)
    assert card.card(run) == [MODEL]
    _SHARED["run"] = run
    return run


def _measure(run: Path, variant: Variant) -> None:
    model = LiteRTModel(layout.variant_dir(run, variant.id) / variant.file)
    cases = [c for c in stored.cases(run) if c.split in ("val", "test")]
    with stored.pixel_store(run, variant.preprocess) as store:
        logits = np.concatenate([model.run(store.tensor(c.id))[LOGITS] for c in cases])
    with artefact.writing(layout.measurement_dir(run, variant.id, "cpu"), "evaluate", "k") as out:
        np.savez(out / layout.PREDICTIONS, ids=np.array([c.id for c in cases]),
                 split=np.array([c.split for c in cases]), logits=logits,
                 labels=np.array([variant.task.classes.index(c.label) for c in cases]))
        artefact.write_text(out / layout.MEASUREMENT, codec.to_json(Measurement(
            variant.id, MODEL, variant.scheme, "cpu", "ok", variant_sha256=variant.sha256,
            latency_ms=Latency(1.0, 1.2, 10, 1), predictions=layout.PREDICTIONS,
            size_bytes=variant.size_bytes, machine={"processor": "a chip", "cores": "2"},
            evidence={"accuracy": "measured", "latency": "measured"})))
