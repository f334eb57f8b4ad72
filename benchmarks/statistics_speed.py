"""Seconds for every statistic of a study: paired tests, probabilities, subgroups, Holm.

``python benchmarks/statistics_speed.py [IMAGES VARIANTS] [--save statistics-speed]``: made-up
log-odds of 10,000 test images (and a tenth as many for validation) of 20 variants and their
float32 model, through the stage ``evidence`` as ``bedside run`` calls it, from predictions on
disk to the published answers: once with one image a patient, once with two, where every interval
counts patients.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
from common import finish, positional

from bedside.core import codec
from bedside.core.build import Measurement, ModelSpec, Variant
from bedside.core.study import EvidenceConfig, ModelConfig, Study
from bedside.core.types import Case, Preprocess, Task
from bedside.runfolder import artefact, layout, stored
from bedside.runfolder.cases import cases_to_csv
from bedside.stages.evidence import stage as evidence

GOAL_S = 30
TASK = Task(("benign", "malignant"), "malignant")
MAKERS = ("GE", "Philips", "Siemens")


def publish(folder: Path, stage: str, files: dict[str, str]) -> None:
    with artefact.writing(folder, stage, "k") as scratch:
        for name, text in files.items():
            artefact.write_text(scratch / name, text)


def make(run: Path, images: int, variants: int, a_patient: int) -> None:
    """A run with predictions alone; every variant is float32 with noise of its own."""
    rng = np.random.default_rng(0)
    n = images + images // 10
    patients = np.arange(n) // a_patient
    labels = patients % 2
    odds = 3 * (labels - 0.5) + rng.normal(0, 1, n)
    splits = np.where(np.arange(n) < images // 10, "val", "test")
    ids = np.array([f"c{i:06d}" for i in range(n)])
    cases = [Case(i, f"{i}.png", TASK.classes[v], group=f"g{g}", split=s, age=30 + k % 50,
                  size_mm=5 + k % 30, device=MAKERS[k % 3])
             for k, (i, v, g, s) in enumerate(zip(
                 ids.tolist(), labels.tolist(), patients.tolist(), splits.tolist(), strict=True))]
    artefact.write_text(layout.study_file(run), codec.to_toml(Study(models=(ModelConfig("net"),))))
    publish(layout.data_dir(run), "data", {layout.CASES: cases_to_csv(cases),
                                           layout.TASK: codec.to_json(TASK)})
    publish(layout.model_dir(run, "net"), "convert", {layout.SPEC: codec.to_json(
        ModelSpec("net", "net", Preprocess(), TASK, ModelConfig("net")))})
    for k in range(variants + 1):
        scheme = "int8" if k else "float32"
        name = f"net-{scheme}" + (f"+v{k}" if k else "")
        values = (odds + (0.05 * k * rng.normal(0, 1, n) if k else 0)).astype(np.float32)
        publish(layout.variant_dir(run, name), "quantize", {layout.VARIANT: codec.to_json(Variant(
            name, "net", scheme, "m.tflite", "0", 1, "float32", "float32", TASK, Preprocess()))})
        with artefact.writing(layout.measurement_dir(run, name, "cpu"), "evaluate", "k") as out:
            artefact.write_text(out / layout.MEASUREMENT, codec.to_json(Measurement(
                name, "net", scheme, "cpu", "ok", predictions=layout.PREDICTIONS)))
            np.savez(out / layout.PREDICTIONS, ids=ids, split=splits, labels=labels,
                     logits=np.stack([-values / 2, values / 2], axis=1))


def main() -> None:
    words = positional()
    images, variants = (int(w) for w in words) if words else (10_000, 20)
    seconds, processor, answers = {}, {}, {}
    for a_patient in (1, 2):
        with tempfile.TemporaryDirectory() as scratch:
            run = Path(scratch) / "run"
            make(run, images, variants, a_patient)
            start, spent = time.perf_counter(), time.process_time()
            evidence.evidence(run, EvidenceConfig())
            name = "one image a patient" if a_patient == 1 else "two images a patient"
            seconds[name] = round(time.perf_counter() - start, 1)
            processor[name] = round(time.process_time() - spent, 1)
            found = [c for c in stored.comparisons(run) if c.split == "test"]
            answers[name] = {a: sum(c.answer == a for c in found)
                             for a in ("shown", "not shown", "worse")}
            assert len(found) == variants and all(c.n == images for c in found)
    finish({"what": "every statistic of a study, from predictions on disk to published answers",
            "test_images": images, "validation_images": images // 10, "variants": variants,
            "seconds": seconds,
            "processor_seconds": processor,
            "answers": answers, "goal_s": GOAL_S})


if __name__ == "__main__":
    main()
