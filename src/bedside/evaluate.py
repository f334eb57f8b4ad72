"""Stage ``evaluate``: logits of every image and the latency of every build.

Predictions and latencies come from worker processes (:mod:`bedside.runtime.worker`): one
process a cell, so native memory and crashes of one build touch no other.
"""

from __future__ import annotations

import csv
import io
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bedside import artefact, codec, metrics, rundir, targets
from bedside.errors import BadInput
from bedside.runtime.worker import Job, JobResult
from bedside.types import (
    Build,
    Case,
    Estimate,
    EvaluateConfig,
    Latency,
    Measurement,
    Target,
    Variant,
)

Progress = Callable[[str, int, int], None]
TIMEOUT_S = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class Cell:
    """A build to be measured, with everything a worker needs."""

    variant: Variant
    target: Target
    build: Build
    build_dir: Path
    folder: Path
    key: str

    @property
    def name(self) -> str:
        """``<variant>@<target>``."""
        return rundir.cell_name(self.variant.id, self.target.id)


def evaluate(run: Path, pairs: Sequence[tuple[str, str]], config: EvaluateConfig,
             progress: Progress | None = None) -> list[str]:
    """Measure the given (variant, target) cells; finished ones are left as they are.

    A cell that cannot run becomes a measurement with status ``failed`` and the reason.

    Returns:
        Names of the cells that were measured now.
    """
    cases = [c for c in rundir.cases(run) if c.split in config.splits]
    if not cases:
        raise BadInput(f"no images in the splits {', '.join(config.splits)}", where=run,
                       remedy="Change evaluate.splits or the split.")
    waiting = [c for c in (_cell(run, v, t, config, cases) for v, t in pairs)
               if not artefact.finished(c.folder, "evaluate", c.key)]
    faults: dict[str, str] = {}
    peaks: dict[str, int] = {}
    for number, cell in enumerate(waiting):
        result = _predict(run, cell, cases, progress, number, len(waiting))
        if result.fault is not None:
            faults[cell.name] = result.fault
        peaks[cell.name] = result.peak_memory_bytes
    running = [c for c in waiting if c.name not in faults]
    samples = _latencies(run, running, config, cases, faults, progress)
    for cell in waiting:
        _publish(run, cell, config, faults.get(cell.name), samples.get(cell.name, []),
                 peaks[cell.name])
    return [c.name for c in waiting]


def _cell(run: Path, variant_id: str, target_id: str, config: EvaluateConfig,
          cases: Sequence[Case]) -> Cell:
    folder = rundir.build_dir(run, variant_id, target_id)
    entry = artefact.check(folder, "build")
    variant = codec.read_json(Variant, rundir.variant_dir(run, variant_id) / rundir.VARIANT)
    ids = [[c.id, c.split, c.label] for c in cases]
    key = artefact.stage_key("evaluate", entry.key, config, ids, variant.preprocess)
    made = codec.read_json(Build, folder / rundir.BUILD)
    place = rundir.measurement_dir(run, variant_id, target_id)
    return Cell(variant, targets.load(target_id, run), made, folder, place, key)


# ------------------------------------------------------------------ workers


def _job(run: Path, cell: Cell, mode: str, ids: Sequence[str], result: Path, warmup: int) -> Job:
    file, sha256 = next(iter(cell.build.files.items()))
    return codec.decode(Job, {  # type: ignore[no-any-return]
        "mode": mode, "runner": targets.backend(cell.target).RUNNER,
        "file": str(cell.build_dir / file), "sha256": sha256, "threads": cell.target.threads,
        "store": str(rundir.cache_dir(run, cell.variant.preprocess)), "ids": list(ids),
        "result": str(result), "warmup": warmup})


def run_worker(job: Job, work: Path, on_progress: Callable[[int, int], None] | None = None
               ) -> JobResult:
    """Run one job in a fresh process; a crash comes back as a fault, not as an exception."""
    job_file = work / "job.json"
    artefact.write_text(job_file, codec.to_json(job))
    environment = {**os.environ, "OMP_NUM_THREADS": str(job.threads), "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-m", "bedside.runtime.worker", str(job_file)]
    with (work / "stderr.txt").open("w+") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True,
                                   env=environment)
        try:
            assert process.stdout is not None
            for line in process.stdout:
                numbers = line.split()
                if on_progress and len(numbers) == 2 and all(n.isdigit() for n in numbers):
                    on_progress(int(numbers[0]), int(numbers[1]))
            process.wait(timeout=TIMEOUT_S)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        result = Path(job.result)
        if result.is_file():
            return codec.read_json(JobResult, result)
        errors.seek(0)
        return JobResult(fault=_death(process.returncode, errors.read()))


def _death(code: int, errors: str) -> str:
    last = errors.strip().splitlines()[-1][:200] if errors.strip() else "no message"
    if code < 0:
        return f"the process was ended by {signal.Signals(-code).name} ({last})"
    return f"the process ended with code {code} ({last})"


def _predict(run: Path, cell: Cell, cases: Sequence[Case], progress: Progress | None,
             number: int, total: int) -> JobResult:
    """Publish ``predictions.npz`` of one cell, unless it is there for the same key."""
    label = f"predict {cell.name} ({number + 1}/{total})"
    if artefact.finished(cell.folder, "predict", cell.key):
        return codec.read_json(JobResult, cell.folder / "predict.json")
    if artefact.finished(cell.folder, "evaluate"):
        artefact.keep_history(cell.folder)
    with tempfile.TemporaryDirectory(prefix="bedside-") as name:
        work = Path(name)
        ids = [c.id for c in cases]
        job = _job(run, cell, "predict", ids, work / "result.json", 0)
        result = run_worker(job, work, lambda d, t: progress(label, d, t) if progress else None)
        if result.fault is not None:
            return result
        logits = np.load(work / "result.json.npy", allow_pickle=False)
    if not np.isfinite(logits).all():
        return JobResult(result.peak_memory_bytes, fault="the logits are not finite numbers")
    classes = {c: i for i, c in enumerate(cell.variant.task.classes)}
    with artefact.writing(cell.folder, "predict", cell.key) as scratch:
        np.savez(scratch / rundir.PREDICTIONS, ids=np.array(ids),
                 split=np.array([c.split for c in cases]),
                 labels=np.array([classes[c.label] for c in cases], np.int64), logits=logits)
        artefact.write_text(scratch / "predict.json", codec.to_json(result))
    if progress:
        progress(label, len(ids), len(ids))
    return result


def _latencies(run: Path, cells: Sequence[Cell], config: EvaluateConfig, cases: Sequence[Case],
               faults: dict[str, str], progress: Progress | None
               ) -> dict[str, list[tuple[int, int, float]]]:
    """Raw samples (round, sample, ms) by cell: rounds over all cells in shuffled order."""
    rows: dict[str, list[tuple[int, int, float]]] = {c.name: [] for c in cells}
    order = np.random.default_rng(0)
    ids = [c.id for c in sorted(cases, key=lambda c: c.id)][:config.samples]
    ids = [ids[i % len(ids)] for i in range(config.samples)]
    done, total = 0, config.rounds * len(cells)
    for number in range(config.rounds):
        for k in order.permutation(len(cells)):
            cell = cells[int(k)]
            with tempfile.TemporaryDirectory(prefix="bedside-") as name:
                work = Path(name)
                job = _job(run, cell, "latency", ids, work / "result.json", config.warmup)
                result = run_worker(job, work)
            if result.fault is not None:
                faults.setdefault(cell.name, result.fault)
            rows[cell.name] += [(number, i, ms) for i, ms in enumerate(result.samples_ms)]
            done += 1
            if progress:
                progress("latency", done, total)
    return rows


# ------------------------------------------------------------------ publishing


def _publish(run: Path, cell: Cell, config: EvaluateConfig, fault: str | None,
             samples: list[tuple[int, int, float]], peak: int) -> None:
    module = targets.backend(cell.target)
    times = np.array([ms for _, _, ms in samples])
    latency = (Latency(float(np.median(times)), float(np.percentile(times, 95)), len(times),
                       cell.target.threads) if fault is None and times.size else None)
    positive = cell.variant.task.positive
    index = cell.variant.task.classes.index(positive) if positive is not None else None
    found: dict[str, dict[str, Estimate]] = {}
    if fault is None:
        predictions = rundir.read_predictions(cell.folder / rundir.PREDICTIONS)
        for split in config.splits:
            part = predictions.of(split)
            found[split] = metrics.evaluate(part.labels, part.logits, index)
    measurement = Measurement(
        variant=cell.variant.id, model=cell.variant.model, scheme=scheme_id(cell.variant),
        target=cell.target.id, status="ok" if fault is None else "failed", reason=fault,
        evidence=dict(module.EVIDENCE), compute_dtype=cell.build.compute_dtype,
        size_bytes=cell.variant.size_bytes, latency_ms=latency,
        peak_memory_bytes=peak if fault is None else None,
        delegated_fraction=cell.build.delegated_fraction,
        build=rundir.cell_name(cell.build.variant, cell.build.target),
        variant_sha256=cell.variant.sha256,
        predictions=rundir.PREDICTIONS if fault is None else None, metrics=found,
        machine=machine())
    with artefact.writing(cell.folder, "evaluate", cell.key) as scratch:
        artefact.write_text(scratch / rundir.MEASUREMENT, codec.to_json(measurement))
        artefact.write_text(scratch / rundir.LATENCY, _latency_csv(samples))


def scheme_id(variant: Variant) -> str:
    """``int8+io8``: the scheme with its options."""
    return "+".join([variant.scheme, *variant.options])


def _latency_csv(samples: list[tuple[int, int, float]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["round", "sample", "ms"])
    writer.writerows((r, s, f"{ms:.6f}") for r, s, ms in samples)
    return buffer.getvalue()


def machine() -> dict[str, str]:
    """What this machine is, without its name."""
    from importlib.metadata import version

    facts = {"system": platform.system(), "architecture": platform.machine(),
             "cores": str(os.cpu_count()), "python": platform.python_version(),
             "litert": version("ai-edge-litert")}
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                facts["processor"] = line.partition(":")[2].strip()
                break
    return facts
