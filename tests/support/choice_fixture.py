"""Runs with made-up log-odds, sizes and latencies, for tests of recommend, gate and diff."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bedside import metrics
from bedside.core import codec
from bedside.core.build import Latency, Measurement, ModelSpec, Variant
from bedside.core.study import BudgetConfig, ModelConfig, Study
from bedside.core.types import Case, Preprocess, Task
from bedside.runfolder import artefact, layout, protocol, protocol_file
from bedside.runfolder.cases import cases_to_csv
from bedside.stages.evidence import stage as evidence
from bedside.stages.recommend import stage

TASK = Task(("benign", "malignant"), "malignant")
MACHINE = {"processor": "a test's CPU", "system": "Linux"}


@dataclass
class Cell:
    """One variant: log-odds of every image, milliseconds, bytes."""

    odds: object
    ms: float = 10.0
    size: int = 1_000_000
    how: str = "measured"
    status: str = "ok"


def sample(n, seed=0, noise=1.0):
    """Labels and log-odds of ``n`` images, AUC about 0.98."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    return rng, labels, 3 * (labels - 0.5) + rng.normal(0, noise, n)


def _stage(folder, name, files):
    with artefact.writing(folder, name, "k") as scratch:
        for file, text in files.items():
            artefact.write_text(scratch / file, text)


def make(run, labels, splits, cells, budget=None, ids=None, task=TASK, finish=True, locked=True):
    """A run of one network, its evidence and recommendation made by the real stages.

    ``locked``: with a protocol; without one it is as an earlier version left it.
    """
    labels, splits = np.asarray(labels, np.int64), np.asarray(splits)
    names = [f"c{i:05d}" for i in (range(len(labels)) if ids is None else ids)]
    cases = [Case(n, f"{n}.png", task.classes[v], group=n, split=s)
             for n, v, s in zip(names, labels, splits, strict=True)]
    study = Study(models=(ModelConfig("resnet34", id="net"),), budget=budget or BudgetConfig(),
                  schemes=tuple(cells))
    artefact.write_text(layout.study_file(run), codec.to_toml(study))
    _stage(layout.data_dir(run), "data", {layout.CASES: cases_to_csv(cases),
                                          layout.TASK: codec.to_json(task)})
    _stage(layout.model_dir(run, "net"), "convert", {layout.SPEC: codec.to_json(
        ModelSpec("net", "resnet34", Preprocess(), task, ModelConfig("resnet34", id="net")))})
    if locked:
        protocol_file.lock(run, protocol_file.compose(run, study), "bedside run")
    for scheme, cell in cells.items():
        measure(run, task, scheme, cell, np.array(names), splits, labels)
    if finish:
        evidence.evidence(run, study.evidence)
        stage.recommend(run, study)
    return run


def measure(run, task, scheme, cell, names, splits, labels):
    """Publish a variant and its measurement, as ``evaluate`` does."""
    name = f"net-{scheme}"
    _stage(layout.variant_dir(run, name), "quantize", {layout.VARIANT: codec.to_json(Variant(
        name, "net", scheme, "m.tflite", "0", cell.size, "float32", "float32", task,
        Preprocess()))})
    odds = np.asarray(cell.odds, np.float32)
    logits = np.stack([-odds / 2, odds / 2], axis=1)
    ok = cell.status == "ok"
    found = {s: metrics.evaluate(labels[splits == s], logits[splits == s], 1)
             for s in ("val", "test")}
    place, kept = layout.measurement_dir(run, name, "cpu"), layout.protocol_file(run).is_file()
    with artefact.writing(place, "evaluate", "k",
                          facts=protocol.fact(run) if kept else None) as out:
        artefact.write_text(out / layout.MEASUREMENT, codec.to_json(Measurement(
            name, "net", scheme, "cpu", cell.status, None if ok else "no kernel",
            {"accuracy": "measured", "latency": cell.how} if ok else {}, size_bytes=cell.size,
            latency_ms=Latency(cell.ms, cell.ms * 1.1, 15, 2) if ok else None,
            predictions=layout.PREDICTIONS if ok else None, metrics=found if ok else {},
            machine=MACHINE)))
        artefact.write_text(out / layout.LATENCY, "round,sample,ms\n" + "".join(
            f"{r},0,{cell.ms * (0.99 + 0.01 * r)}\n" for r in range(3)))
        np.savez(out / layout.PREDICTIONS, ids=names, split=splits, labels=labels, logits=logits)
        protocol.opened(run, "evaluate", place.name, int((np.asarray(splits) == "test").sum()),
                        {place.name: artefact.sha256_file(out / layout.PREDICTIONS)})
