"""Stage ``evaluate``: logits of every image and the latency of every build.

Predictions and latencies come from worker processes (:mod:`bedside.runtime.worker`): one
process a cell, so native memory and crashes of one build touch no other.
"""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt

from bedside import artefact, codec, metrics, rundir, targets
from bedside.errors import BadInput
from bedside.metrics.agreement import agree
from bedside.runtime.launch import run_worker
from bedside.runtime.machine import machine
from bedside.runtime.worker import Job, JobResult
from bedside.targets.sample import stratified
from bedside.types import (
    Agreement,
    Build,
    Case,
    Estimate,
    EvaluateConfig,
    Evidence,
    Latency,
    Measurement,
    Status,
    Target,
    Variant,
)

Progress = Callable[[str, int, int], None]


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
        return rundir.cell_name(self.variant.id, self.target.id)

    @property
    def module(self) -> ModuleType:
        """The backend behind its target."""
        return targets.backend(self.target)

    def sampling(self, config: EvaluateConfig) -> tuple[int, int, int]:
        """Rounds, warm-up and samples of its latency."""
        return self.build.sampling or (config.rounds, config.warmup, config.samples)


@dataclass(frozen=True, slots=True)
class Found:
    """What became of a cell so far; published as ``predict.json`` once it has predictions."""

    status: Status = "ok"
    reason: str | None = None
    peak_memory_bytes: int = 0
    images: int = 0
    agreement: Agreement | None = None
    agreement_float32: Agreement | None = None
    samples: tuple[tuple[int, int, float], ...] = field(default=())


def evaluate(run: Path, pairs: Sequence[tuple[str, str]], config: EvaluateConfig,
             progress: Progress | None = None) -> list[str]:
    """Measure the given (variant, target) cells; finished ones are left as they are.

    A cell that cannot run becomes a measurement with its status and the reason.

    Returns:
        Names of the cells that were measured now.
    """
    cases = [c for c in rundir.cases(run) if c.split in config.splits]
    if not cases:
        raise BadInput(f"no images in the splits {', '.join(config.splits)}", where=run,
                       remedy="Change evaluate.splits or the split.")
    waiting = [c for c in (_cell(run, v, t, config, cases) for v, t in pairs)
               if not artefact.finished(c.folder, "evaluate", c.key)]
    found = {c.name: _predict(run, c, config, progress, i, len(waiting))
             for i, c in enumerate(waiting)}
    timed = [c for c in waiting
             if found[c.name].status == "ok" and "latency" in c.build.measures]
    _latencies(run, timed, config, cases, found, progress)
    for cell in waiting:
        _publish(cell, config, found[cell.name], len(cases))
    return [c.name for c in waiting]


def _cell(run: Path, variant_id: str, target_id: str, config: EvaluateConfig,
          cases: Sequence[Case]) -> Cell:
    folder = rundir.build_dir(run, variant_id, target_id)
    entry = artefact.check(folder, "build")
    variant = codec.read_json(Variant, rundir.variant_dir(run, variant_id) / rundir.VARIANT)
    target = targets.load(target_id, run)
    module = targets.backend(target)
    count = config.images or getattr(module, "IMAGES", None)
    if count is None and getattr(module, "BUDGET_S", None) is not None:
        count = len(cases)  # all, in an order that a time budget may cut short
    chosen = tuple(stratified(cases, count))
    ids = [[c.id, c.split, c.label] for c in chosen]
    key = artefact.stage_key("evaluate 2", entry.key, config.splits, config.rounds,
                             config.warmup, config.samples, ids, variant.preprocess)
    made = codec.read_json(Build, folder / rundir.BUILD)
    place = rundir.measurement_dir(run, variant_id, target_id)
    return Cell(variant, target, made, folder, place, key, chosen)


# ------------------------------------------------------------------ workers


def _job(run: Path, cell: Cell, mode: str, ids: Sequence[str], result: Path, warmup: int) -> Job:
    files = {str(cell.build_dir / name): sha256 for name, sha256 in cell.build.files.items()}
    main = str(cell.build_dir / (cell.build.main or next(iter(cell.build.files))))
    return codec.decode(Job, {  # type: ignore[no-any-return]
        "mode": mode, "runner": cell.module.RUNNER, "file": main, "sha256": files.pop(main),
        "beside": files, "threads": cell.target.threads,
        "store": str(rundir.cache_dir(run, cell.variant.preprocess)), "ids": list(ids),
        "result": str(result), "warmup": warmup,
        "budget_s": getattr(cell.module, "BUDGET_S", None) if mode == "predict" else None})


def _launch(cell: Cell, job: Job, work: Path, timeout_s: float,
            on_progress: Callable[[int, int], None] | None = None) -> JobResult:
    elsewhere = getattr(cell.module, "run_job", None)
    if elsewhere is not None:
        result: JobResult = elsewhere(cell.target, job, work, on_progress, timeout_s)
        return result
    return run_worker(job, work, on_progress, timeout_s)


def _fault(result: JobResult) -> Found:
    return Found("unsupported" if result.unsupported else "failed", result.fault)

def _predict(run: Path, cell: Cell, config: EvaluateConfig, progress: Progress | None,
             number: int, total: int) -> Found:
    """Publish ``predictions.npz`` of one cell, unless it is there for the same key."""
    if cell.build.status != "ok":
        return Found(cell.build.status, cell.build.reason)
    if "accuracy" not in cell.build.measures:
        return Found()
    if artefact.finished(cell.folder, "predict", cell.key):
        return codec.read_json(Found, cell.folder / "predict.json")
    if artefact.finished(cell.folder, "evaluate"):
        artefact.keep_history(cell.folder)
    label = f"predict {cell.name} ({number + 1}/{total})"
    with tempfile.TemporaryDirectory(prefix="bedside-") as name:
        work = Path(name)
        ids = [c.id for c in cell.cases]
        job = _job(run, cell, "predict", ids, work / "result.json", 0)
        result = _launch(cell, job, work, config.timeout_s,
                         lambda d, t: progress(label, d, t) if progress else None)
        if result.fault is not None:
            return _fault(result)
        logits = np.load(work / "result.json.npy", allow_pickle=False)
        if not np.isfinite(logits).all():
            return Found("failed", "the logits are not finite numbers")
        done = cell.cases[:len(logits)]
        found = _against_cpu(run, cell, job, logits, work, config.timeout_s)
    found = replace(found, images=len(done), peak_memory_bytes=result.peak_memory_bytes)
    if found.status != "ok":
        return found
    classes = {c: i for i, c in enumerate(cell.variant.task.classes)}
    with artefact.writing(cell.folder, "predict", cell.key) as scratch:
        np.savez(scratch / rundir.PREDICTIONS, ids=np.array([c.id for c in done]),
                 split=np.array([c.split for c in done]),
                 labels=np.array([classes[c.label] for c in done], np.int64), logits=logits)
        artefact.write_text(scratch / "predict.json", codec.to_json(found))
    if progress:
        progress(label, len(ids), len(ids))
    return found


def _against_cpu(run: Path, cell: Cell, job: Job, logits: npt.NDArray[np.float32], work: Path,
                 timeout_s: float) -> Found:
    """Compare with the variant's own file and with the float32 model on this machine's CPU.

    The same images in the same order, for backends that ask for it (``REFERENCE``).
    """
    runner = getattr(cell.module, "REFERENCE", None)
    if runner is None:
        return Found()
    model = rundir.model_dir(run, cell.variant.model)
    exact = artefact.record(model, "convert").files[rundir.FLOAT_MODEL].sha256
    found: dict[str, Agreement] = {}
    for file, sha256 in ((rundir.variant_dir(run, cell.variant.id) / cell.variant.file,
                          cell.variant.sha256), (model / rundir.FLOAT_MODEL, exact)):
        if sha256 in found:
            continue
        result = run_worker(replace(
            job, runner=runner, file=str(file), sha256=sha256, beside={}, budget_s=None,
            ids=job.ids[:len(logits)], result=str(work / "cpu.json")), work, None, timeout_s)
        if result.fault is not None:
            return Found("failed", f"the CPU's logits to compare with are missing "
                                   f"({result.fault})")
        found[sha256] = agree(logits, np.load(work / "cpu.json.npy", allow_pickle=False))
    own = found[cell.variant.sha256]
    accept = getattr(cell.module, "accept", None)
    refused = accept(own) if accept is not None else None
    return Found("ok" if refused is None else "failed", refused, agreement=own,
                 agreement_float32=found[exact])


def _latencies(run: Path, cells: Sequence[Cell], config: EvaluateConfig, cases: Sequence[Case],
               found: dict[str, Found], progress: Progress | None) -> None:
    """Raw samples (round, sample, ms) by cell: rounds over all cells in shuffled order."""
    order = np.random.default_rng(0)
    first = [c.id for c in sorted(cases, key=lambda c: c.id)]
    rounds = {c.name: c.sampling(config)[0] for c in cells}
    done, total = 0, sum(rounds.values())
    for number in range(max(rounds.values(), default=0)):
        for k in order.permutation(len(cells)):
            cell = cells[int(k)]
            if number >= rounds[cell.name]:
                continue
            _, warmup, count = cell.sampling(config)
            ids = [first[i % min(len(first), count)] for i in range(count)]
            with tempfile.TemporaryDirectory(prefix="bedside-") as name:
                work = Path(name)
                job = _job(run, cell, "latency", ids, work / "result.json", warmup)
                result = _launch(cell, job, work, config.timeout_s)
            before = found[cell.name]
            if result.fault is not None and before.status == "ok":
                before = replace(before, status=_fault(result).status, reason=result.fault)
            new = tuple((number, i, ms) for i, ms in enumerate(result.samples_ms))
            found[cell.name] = replace(before, samples=before.samples + new)
            done += 1
            if progress:
                progress("latency", done, total)


# ------------------------------------------------------------------ publishing


def _latency(cell: Cell, found: Found) -> Latency | None:
    if found.status != "ok":
        return None
    times = np.array([ms for _, _, ms in found.samples])
    if not times.size:
        return cell.build.latency_ms
    return Latency(float(np.median(times)), float(np.percentile(times, 95)), len(times),
                   cell.target.threads)


def _evidence(cell: Cell, latency: Latency | None, predicted: bool) -> dict[str, Evidence]:
    """How each quantity that is there came about; what is not there has no evidence."""
    told: dict[str, Evidence] = {**cell.module.EVIDENCE, **cell.build.evidence}
    there = {"accuracy": predicted, "latency": latency is not None}
    return {k: v for k, v in told.items() if there.get(k, True)}


def _publish(cell: Cell, config: EvaluateConfig, found: Found, total: int) -> None:
    ok, made = found.status == "ok", cell.build
    positive = cell.variant.task.positive
    index = cell.variant.task.classes.index(positive) if positive is not None else None
    predicted = ok and "accuracy" in made.measures
    scores: dict[str, dict[str, Estimate]] = {}
    if predicted:
        predictions = rundir.read_predictions(cell.folder / rundir.PREDICTIONS)
        for split in config.splits:
            part = predictions.of(split)
            scores[split] = metrics.evaluate(part.labels, part.logits, index)
    latency = _latency(cell, found)
    measurement = Measurement(
        variant=cell.variant.id, model=cell.variant.model, scheme=scheme_id(cell.variant),
        target=cell.target.id, status=found.status, reason=found.reason,
        evidence=_evidence(cell, latency, predicted), compute_dtype=made.compute_dtype,
        size_bytes=cell.variant.size_bytes, latency_ms=latency,
        peak_memory_bytes=(found.peak_memory_bytes or None
                           if ok and "memory" in made.measures else None),
        delegated_fraction=made.delegated_fraction,
        build=rundir.cell_name(made.variant, made.target),
        variant_sha256=cell.variant.sha256,
        predictions=rundir.PREDICTIONS if predicted else None, metrics=scores,
        machine=machine(), latency_note=made.latency_note, partitions=made.partitions,
        quantizer=made.quantizer, images=found.images, images_total=total,
        agreement=found.agreement, agreement_float32=found.agreement_float32,
        facts=dict(made.facts))
    with artefact.writing(cell.folder, "evaluate", cell.key) as scratch:
        artefact.write_text(scratch / rundir.MEASUREMENT, codec.to_json(measurement))
        artefact.write_text(scratch / rundir.LATENCY, _latency_csv(found.samples))


def scheme_id(variant: Variant) -> str:
    """``int8+io8``: the scheme with its options."""
    return "+".join([variant.scheme, *variant.options])


def _latency_csv(samples: Sequence[tuple[int, int, float]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["round", "sample", "ms"])
    writer.writerows((r, s, f"{ms:.6f}") for r, s, ms in samples)
    return buffer.getvalue()
