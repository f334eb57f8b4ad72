"""A run whose cases a tiny network can learn, and what its training published."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from bedside.core import codec
from bedside.core.study import ModelConfig, Study, TrainConfig
from bedside.core.types import Case, Task
from bedside.models import preprocess_of
from bedside.runfolder import artefact, layout
from bedside.runfolder.cases import cases_to_csv

PX = 32
NET = ModelConfig("resnet34", image_px=PX, width=0.125, epochs=3, batch_size=8,
                  learning_rate=2e-3)
STUDY = Study(seed=3, train=TrainConfig(threads=1), models=(NET,))


def make_run(run: Path, classes=("benign", "malignant"), drop=(), count=48) -> Path:
    """A run whose cases are bright or dark discs in noise: a network can learn them."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:PX, :PX]
    cases, planes = [], []
    for i in range(count):
        split = "val" if i % 3 == 2 else "train"
        label = (i // 3) % len(classes)
        if (split, classes[label]) in drop or split in drop:
            continue
        disc = (rows - PX / 2) ** 2 + (columns - PX / 2) ** 2 < (PX / 4) ** 2
        plane = rng.normal(120, 30, (PX, PX)) + disc * (60 * label - 30)
        planes.append(np.clip(plane, 1, 255).astype(np.uint8).tobytes())
        cases.append(Case(f"c{i:03d}", f"{i}.png", classes[label], split=split))
    with artefact.writing(layout.data_dir(run), "data", "test") as scratch:
        artefact.write_text(scratch / layout.CASES, cases_to_csv(cases))
        artefact.write_text(scratch / layout.TASK, codec.to_json(
            Task(classes, classes[-1] if len(classes) == 2 else None)))
    preprocess = preprocess_of(NET)
    with artefact.writing(layout.cache_dir(run, preprocess), "cache", "test") as scratch:
        (scratch / "pixels.bin").write_bytes(b"".join(planes))
        artefact.write_text(scratch / "index.json", codec.to_json(
            {"preprocess": preprocess, "dtype": "uint8", "ids": [c.id for c in cases]}))
    return run


def published(run: Path, model="resnet34") -> tuple[bytes, str]:
    folder = layout.model_dir(run, model)
    artefact.check(folder, "train")
    return (folder / layout.WEIGHTS).read_bytes(), (folder / layout.HISTORY).read_text()


def history(run: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(published(run)[1].splitlines()))
