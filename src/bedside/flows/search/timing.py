"""Timing of search candidates on this machine's CPU, as ``evaluate`` times variants.

Fresh processes, a fixed number of threads, warm-up, rounds in shuffled order: a measurement, where
the milliseconds in ``evaluations.csv`` are a by-product of scoring and only a guide.
"""

from __future__ import annotations

import hashlib
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bedside.core.errors import BadInput
from bedside.core.progress import Progress
from bedside.core.types import Preprocess
from bedside.runfolder import latency, layout
from bedside.runtime.launch import run_worker
from bedside.runtime.worker import Job

RUNNER = "bedside.runtime.litert:LiteRTModel"
ROUNDS, WARMUP, SAMPLES, THREADS = 5, 5, 10, 2


@dataclass(frozen=True, slots=True)
class Timed:
    """Latency of one candidate on this CPU: median of its rounds' medians, and their range."""

    kept: tuple[str, ...]
    size_bytes: int
    ms: float
    low_ms: float
    high_ms: float


def measure(run: Path, preprocess: Preprocess, ids: Sequence[str],
            candidates: Sequence[tuple[tuple[str, ...], bytes]],
            progress: Progress | None = None) -> tuple[Timed, ...]:
    """Time every candidate, in the given order.

    Args:
        run: the run folder, whose cached images are used.
        preprocess: of the model.
        ids: images of the cache.
        candidates: the layers kept out of int8, and the ``.tflite``.
        progress: called with (stage, done, total).

    Raises:
        BadInput: a candidate does not run.
    """
    order = np.random.default_rng(0)
    samples: list[list[latency.Sample]] = [[] for _ in candidates]
    with tempfile.TemporaryDirectory(prefix="bedside-") as name:
        work = Path(name)
        for number, (_, data) in enumerate(candidates):
            (work / f"{number}.tflite").write_bytes(data)
        for turn in range(ROUNDS):
            for k in order.permutation(len(candidates)):
                file = work / f"{int(k)}.tflite"
                result = run_worker(Job(
                    "latency", RUNNER, str(file),
                    hashlib.sha256(candidates[int(k)][1]).hexdigest(), THREADS,
                    str(layout.cache_dir(run, preprocess)),
                    tuple(ids[i % len(ids)] for i in range(SAMPLES)),
                    str(work / "result.json"), WARMUP), work)
                if result.fault is not None:
                    raise BadInput(f"a mixture cannot be timed: {result.fault}", where=run,
                                   remedy="Search with --goal smallest.")
                samples[int(k)] += [(turn, i, ms) for i, ms in enumerate(result.samples_ms)]
            if progress:
                progress("time mixtures", turn + 1, ROUNDS)
    medians = [latency.round_medians(s) for s in samples]
    return tuple(Timed(float_layers, len(data), statistics.median(m), min(m), max(m))
                 for (float_layers, data), m in zip(candidates, medians, strict=True))


def fastest(timed: Sequence[Timed], same: float) -> Timed:
    """Return the fastest; of those indistinguishable from it, the smallest file.

    Args:
        timed: at least one.
        same: share of the fastest's time within which medians count as equal. Ranges of rounds
            that overlap count as equal too.
    """
    first = min(timed, key=lambda t: (t.ms, t.size_bytes))
    near = [t for t in timed if t.ms <= first.ms * (1 + same) or t.low_ms <= first.high_ms]
    return min(near, key=lambda t: (t.size_bytes, t.ms))
