"""Worker for one cell in a fresh process: ``python -m bedside.runtime.worker JOB.json``.

A crash of native code ends this process only; the parent turns it into a row with a reason.
Progress goes to standard output as ``done total`` lines, the result to the job's file.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from bedside.core import codec, registry
from bedside.core.errors import EXIT_BAD_INPUT, BadInput, BedsideError, Unsupported
from bedside.runtime.files import sha256_file, write_text
from bedside.runtime.limits import limit_memory, out_of_memory
from bedside.runtime.litert import LOGITS
from bedside.runtime.machine import machine
from bedside.runtime.pixels import PixelStore

Image = npt.NDArray[np.float32]


class Runner(Protocol):
    """A loaded build: one image in, outputs by name out."""

    def run(self, image: Image) -> Mapping[str, Image]:
        """Run one (1, H, W, C) float32 image."""


@dataclass(frozen=True, slots=True)
class Job:
    """Task of one worker. ``runner`` is a lazy name from the table of targets.

    ``beside``: files that ``file`` needs, by path, with their SHA-256. ``budget_s``: predict
    no further image once so many seconds have gone.
    """

    mode: Literal["predict", "latency"]
    runner: str
    file: str
    sha256: str
    threads: int
    store: str
    ids: tuple[str, ...]
    result: str
    warmup: int = 0
    beside: dict[str, str] = field(default_factory=dict)
    budget_s: float | None = None


@dataclass(frozen=True, slots=True)
class JobResult:
    """Result of a worker; ``fault`` is set where it could not run.

    ``unsupported``: the target cannot run this build, rather than failing at it. ``machine``
    is what it ran on.
    """

    peak_memory_bytes: int = 0
    samples_ms: tuple[float, ...] = ()
    fault: str | None = None
    unsupported: bool = False
    machine: dict[str, str] = field(default_factory=dict)


def peak_memory_bytes() -> int:
    """Return the largest resident size of this process.

    Linux's VmHWM is reset at exec; ``ru_maxrss`` there carries the parent's over.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def run_job(job: Job) -> JobResult:
    """Load the build (after comparing its hash) and predict or time the images.

    Predictions go to ``<result>.npy``, (n, K) float32 in the order of ``ids``; n is less than
    their number where the time budget ran out.
    """
    path = Path(job.file)
    for name, expected in {job.file: job.sha256, **job.beside}.items():
        if not Path(name).is_file() or sha256_file(Path(name)) != expected:
            raise BadInput("differs from the hash of its build", where=name,
                           remedy="Delete the build's folder and run again.")
    runner: Runner = registry.resolve(job.runner)(path, job.threads)
    with PixelStore(Path(job.store)) as store:
        if job.mode == "latency":
            samples = _time(runner, store, job)
            return JobResult(peak_memory_bytes(), samples, machine=machine())
        _predict(runner, store, job)
    return JobResult(peak_memory_bytes(), machine=machine())


def _predict(runner: Runner, store: PixelStore, job: Job) -> None:
    rows: npt.NDArray[np.float32] | None = None
    start = last = time.monotonic()
    done = 0
    for i, case_id in enumerate(job.ids):
        if done and job.budget_s is not None and time.monotonic() - start > job.budget_s:
            break
        logits = runner.run(store.tensor(case_id))[LOGITS][0]
        if rows is None:
            rows = np.empty((len(job.ids), logits.size), np.float32)
        rows[i] = logits
        done += 1
        if time.monotonic() - last > 0.2:
            last = time.monotonic()
            print(i + 1, len(job.ids), flush=True)
    if rows is not None:
        np.save(f"{job.result}.npy", rows[:done], allow_pickle=False)


def _time(runner: Runner, store: PixelStore, job: Job) -> tuple[float, ...]:
    images = [store.tensor(i) for i in job.ids]
    for i in range(job.warmup):
        runner.run(images[i % len(images)])
    samples = []
    for image in images:
        start = time.perf_counter_ns()
        runner.run(image)
        samples.append((time.perf_counter_ns() - start) / 1e6)
    return tuple(samples)


def main(argv: list[str]) -> int:
    """Run the job file named on the command line."""
    limit_memory()
    job = codec.read_json(Job, Path(argv[0]))
    try:
        outcome, code = run_job(job), 0
    except MemoryError:
        outcome, code = JobResult(fault=out_of_memory()), EXIT_BAD_INPUT
    except BedsideError as error:
        outcome, code = JobResult(fault=error.message,
                                  unsupported=isinstance(error, Unsupported)), EXIT_BAD_INPUT
    write_text(Path(job.result), codec.to_json(outcome))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
