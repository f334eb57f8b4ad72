"""A run with one network and made-up log-odds, for tests of the evidence and its report."""

from __future__ import annotations

import numpy as np

from bedside.core import codec
from bedside.core.build import Measurement, ModelSpec, Variant
from bedside.core.study import EvidenceConfig, ModelConfig, Study
from bedside.core.types import Case, Preprocess, Task
from bedside.runfolder import artefact, layout
from bedside.runfolder.cases import cases_to_csv

TASK = Task(("benign", "malignant"), "malignant")
CONFIG = EvidenceConfig()


def stage(folder, name, files):
    with artefact.writing(folder, name, "k") as scratch:
        for file, text in files.items():
            artefact.write_text(scratch / file, text)


def make(run, labels, splits, variants, groups=None, ages=None, devices=None):
    """A run with one network and predictions given as {scheme: log-odds or (ids, log-odds)}."""
    labels = np.asarray(labels, np.int64)
    names = [f"c{i:05d}" for i in range(len(labels))]
    cases = [Case(n, f"{n}.png", TASK.classes[v], group=groups[i] if groups else f"g{i}",
                  split=splits[i], age=ages[i] if ages else None,
                  device=devices[i] if devices else None)
             for i, (n, v) in enumerate(zip(names, labels, strict=True))]
    artefact.write_text(layout.study_file(run), codec.to_toml(Study(models=(ModelConfig("net"),))))
    stage(layout.data_dir(run), "data", {layout.CASES: cases_to_csv(cases),
                                         layout.TASK: codec.to_json(TASK)})
    stage(layout.model_dir(run, "net"), "convert", {layout.SPEC: codec.to_json(
        ModelSpec("net", "net", Preprocess(), TASK, ModelConfig("net")))})
    for scheme, odds in variants.items():
        name = f"net-{scheme}"
        stage(layout.variant_dir(run, name), "quantize", {layout.VARIANT: codec.to_json(Variant(
            name, "net", scheme, "m.tflite", "0", 1, "float32", "float32", TASK, Preprocess()))})
        rows = np.arange(len(labels)) if not isinstance(odds, tuple) else odds[0]
        values = np.asarray(odds[1] if isinstance(odds, tuple) else odds, np.float32)
        logits = np.stack([-values / 2, values / 2], axis=1)
        with artefact.writing(layout.measurement_dir(run, name, "cpu"), "evaluate", "k") as out:
            artefact.write_text(out / layout.MEASUREMENT, codec.to_json(Measurement(
                name, "net", scheme, "cpu", "ok", predictions="predictions.npz")))
            np.savez(out / layout.PREDICTIONS, ids=np.array(names)[rows],
                     split=np.array(splits)[rows], labels=labels[rows], logits=logits)
    return run


def sample(n, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    return rng, labels, 3 * (labels - 0.5) + rng.normal(0, 1, n)
