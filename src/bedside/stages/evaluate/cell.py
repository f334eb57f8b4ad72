"""A cell of the matrix: the build to measure, its outcome, and the row it publishes.

Used by the stage ``evaluate`` alone, which runs the workers between the two.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from bedside import metrics, targets
from bedside.core import codec
from bedside.core.build import Agreement, Build, Latency, Measurement, Target, Variant
from bedside.core.study import EvaluateConfig
from bedside.core.types import Case, Estimate, Evidence, Status
from bedside.metrics.design import clusters_of
from bedside.runfolder import artefact, latency, layout
from bedside.runfolder.predictions import read_predictions
from bedside.runtime.machine import machine


@dataclass(frozen=True, slots=True)
class Cell:
    """A build to be measured, with everything a worker needs.

    ``cases`` are those to predict, in order: all of them, or a stratified sample.
    """

    variant: Variant
    target: Target
    build: Build
    build_dir: Path
    folder: Path
    key: str
    cases: tuple[Case, ...]

    @property
    def name(self) -> str:
        """``<variant>@<target>``."""
        return layout.cell_name(self.variant.id, self.target.id)

    @property
    def module(self) -> ModuleType:
        """The backend behind its target."""
        return targets.backend(self.target)

    def sampling(self, config: EvaluateConfig) -> tuple[int, int, int]:
        """Return rounds, warm-up and samples of its latency."""
        return self.build.sampling or (config.rounds, config.warmup, config.samples)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of a cell so far; published as ``predict.json`` once it has predictions."""

    status: Status = "ok"
    reason: str | None = None
    peak_memory_bytes: int = 0
    images: int = 0
    agreement: Agreement | None = None
    agreement_float32: Agreement | None = None
    samples: tuple[latency.Sample, ...] = ()
    machine: dict[str, str] = field(default_factory=dict)


def _latency(cell: Cell, outcome: Outcome) -> Latency | None:
    if outcome.status != "ok":
        return None
    return latency.summary(outcome.samples, cell.target.threads) or cell.build.latency_ms


def _evidence(cell: Cell, time: Latency | None, predicted: bool) -> dict[str, Evidence]:
    """Return the evidence of each quantity that exists; others have none."""
    told: dict[str, Evidence] = {**cell.module.EVIDENCE, **cell.build.evidence}
    there = {"accuracy": predicted, "latency": time is not None}
    return {k: v for k, v in told.items() if there.get(k, True)}


def publish(cell: Cell, config: EvaluateConfig, outcome: Outcome, total: int) -> None:
    """Write the cell's measurement and raw latencies; ``total`` images could be predicted."""
    ok, made = outcome.status == "ok", cell.build
    positive = cell.variant.task.positive
    index = cell.variant.task.classes.index(positive) if positive is not None else None
    predicted = ok and "accuracy" in made.measures
    scores: dict[str, dict[str, Estimate]] = {}
    if predicted:
        predictions = read_predictions(cell.folder / layout.PREDICTIONS)
        groups = {c.id: c.group or c.id for c in cell.cases}
        for split in config.splits:
            part = predictions.of(split)
            scores[split] = metrics.evaluate(part.labels, part.logits, index,
                                             clusters_of([groups[str(i)] for i in part.ids]))
    time = _latency(cell, outcome)
    measurement = Measurement(
        variant=cell.variant.id, model=cell.variant.model, scheme=cell.variant.scheme_id,
        target=cell.target.id, status=outcome.status, reason=outcome.reason,
        evidence=_evidence(cell, time, predicted), compute_dtype=made.compute_dtype,
        size_bytes=cell.variant.size_bytes, latency_ms=time,
        peak_memory_bytes=(outcome.peak_memory_bytes or None
                           if ok and "memory" in made.measures else None),
        delegated_fraction=made.delegated_fraction,
        build=layout.cell_name(made.variant, made.target),
        variant_sha256=cell.variant.sha256,
        build_key=artefact.record(cell.build_dir, "build").key,
        timeout_s=config.timeout_s if outcome.status == "failed" else None,
        predictions=layout.PREDICTIONS if predicted else None, metrics=scores,
        machine=outcome.machine or machine(), latency_note=made.latency_note,
        partitions=made.partitions, quantizer=made.quantizer, images=outcome.images,
        images_total=total,
        agreement=outcome.agreement, agreement_float32=outcome.agreement_float32,
        facts=dict(made.facts))
    if (artefact.finished(cell.folder, "evaluate")
            and not artefact.finished(cell.folder, "predict", cell.key)):
        # A cell without predictions now (its build fails) does not erase earlier ones.
        artefact.keep_history(cell.folder)
    with artefact.writing(cell.folder, "evaluate", cell.key) as scratch:
        artefact.write_text(scratch / layout.MEASUREMENT, codec.to_json(measurement))
        latency.write(scratch / layout.LATENCY, outcome.samples)
