"""Evaluation against a bare LiteRT loop over preprocessed arrays: images a second, one ratio.

    python benchmarks/evaluate_rate.py [--save evaluate-rate]

EfficientNet-Lite0 at 224 (random weights) on random images; the two take turns.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
from common import finish

from bedside.core import codec
from bedside.core.types import Preprocess
from bedside.runfolder import artefact, layout, stored
from bedside.runtime.launch import run_worker
from bedside.runtime.litert import LiteRTModel
from bedside.runtime.worker import Job

IMAGES = 300
ROUNDS = 5


def _model(folder: Path) -> Path:
    from bedside.models import default_config
    from bedside.models.efficientnet_lite0 import build
    from bedside.stages.convert import _export

    path = folder / "model.tflite"
    _export(build(default_config("efficientnet_lite0"), 2).eval(), Preprocess(), path)
    return path


def _store(run: Path) -> tuple[Path, list[str]]:
    ids = [f"c{i}" for i in range(IMAGES)]
    rng = np.random.default_rng(0)
    folder = layout.cache_dir(run, Preprocess())
    with artefact.writing(folder, "cache", "benchmark") as scratch:
        rng.integers(0, 256, (IMAGES, 224, 224, 1), np.uint8).tofile(scratch / "pixels.bin")
        artefact.write_text(scratch / "index.json", codec.to_json(
            {"preprocess": Preprocess(), "dtype": "uint8", "ids": ids}))
    return folder, ids


def _worker_rate(model: Path, store: Path, ids: list[str], work: Path) -> float:
    """Steady rate inside the worker: a long job less a short one, so start-up cancels."""
    seconds = []
    for count in (len(ids) // 10, len(ids)):
        job = Job("predict", "bedside.runtime.litert:LiteRTModel", str(model),
                  artefact.sha256_file(model), 2, str(store), tuple(ids[:count]),
                  str(work / "result.json"))
        start = time.perf_counter()
        assert run_worker(job, work).fault is None
        seconds.append(time.perf_counter() - start)
    return (len(ids) - len(ids) // 10) / (seconds[1] - seconds[0])


def _bare_rate(model: Path, tensors: list[np.ndarray]) -> float:
    loaded = LiteRTModel(model, 2)
    start = time.perf_counter()
    for tensor in tensors:
        loaded.run(tensor)
    return len(tensors) / (time.perf_counter() - start)


def main() -> None:
    """Measure and print (or save) the ratio."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        model = _model(work)
        store, ids = _store(work)
        with stored.pixel_store(work, Preprocess()) as pixels:
            tensors = [pixels.tensor(i) for i in ids]
        rates = [(_worker_rate(model, store, ids, work), _bare_rate(model, tensors))
                 for _ in range(ROUNDS)]
    ratios = [a / b for a, b in rates]
    facts = {"what": "images a second, evaluation worker over bare LiteRT loop",
             "worker": round(float(np.median([a for a, _ in rates])), 1),
             "bare": round(float(np.median([b for _, b in rates])), 1),
             "ratio_median": round(float(np.median(ratios)), 3),
             "ratios": [round(r, 3) for r in ratios], "goal": 0.90}
    finish(facts)


if __name__ == "__main__":
    main()
