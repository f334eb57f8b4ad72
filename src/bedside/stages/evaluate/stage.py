"""Stage ``evaluate``: logits of every image and the latency of every build.

Predictions and latencies come from worker processes (:mod:`bedside.runtime.worker`): one
process per cell, so native memory and crashes of one build touch no other.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bedside import targets
from bedside.core import codec
from bedside.core.build import Agreement, Build, Measurement, Variant
from bedside.core.errors import BadInput
from bedside.core.progress import Progress
from bedside.core.study import EvaluateConfig
from bedside.core.types import Case
from bedside.metrics.agreement import agree
from bedside.runfolder import artefact, layout, protocol, stored
from bedside.runtime import grid
from bedside.runtime.launch import run_worker
from bedside.runtime.worker import Job, JobResult
from bedside.stages.evaluate.cell import Cell, Outcome, publish
from bedside.targets.sample import stratified

# A target's float32 logits may differ from the CPU's by this share of their range: more than
# half precision does, less than a wrong computation does.
_UNLIKE = 0.1


def evaluate(run: Path, pairs: Sequence[tuple[str, str]], config: EvaluateConfig,
             progress: Progress | None = None) -> list[str]:
    """Measure the given (variant, target) cells; finished ones are left as they are.

    A cell that cannot run becomes a measurement with its status and the reason. One that failed
    on a device which may have been off is tried again (``TRIES_AGAIN``).

    Returns:
        Names of the cells that were measured now.
    """
    cases = [c for c in stored.cases(run) if c.split in config.splits]
    if not cases:
        raise BadInput(f"no images in the splits {', '.join(config.splits)}", where=run,
                       remedy="Change evaluate.splits or the split.")
    waiting = [c for c in (_cell(run, v, t, config, cases) for v, t in pairs)
               if not artefact.intact(c.folder, "evaluate", c.key) or _damaged(c)
               or _again(c, config)]
    outcomes = {c.name: _predict(run, c, config, progress, i, len(waiting))
             for i, c in enumerate(waiting)}
    timed = [c for c in waiting
             if outcomes[c.name].status == "ok" and "latency" in c.build.measures]
    _latencies(run, timed, config, cases, outcomes, progress)
    for cell in waiting:
        publish(cell, config, outcomes[cell.name], len(cases))
    return [c.name for c in waiting]


def _damaged(cell: Cell) -> bool:
    """Return whether a cell's predictions differ from what was published."""
    return (artefact.recorded(cell.folder, "predict")
            and not artefact.intact(cell.folder, "predict"))


def _again(cell: Cell, config: EvaluateConfig) -> bool:
    """Return whether a failed cell may succeed now: a board is back, or there is more time."""
    last = codec.read_json(Measurement, cell.folder / layout.MEASUREMENT)
    more = last.timeout_s is not None and config.timeout_s > last.timeout_s
    return last.status == "failed" and (more or getattr(cell.module, "TRIES_AGAIN", False))


def _cell(run: Path, variant_id: str, target_id: str, config: EvaluateConfig,
          cases: Sequence[Case]) -> Cell:
    folder = layout.build_dir(run, variant_id, target_id)
    entry = artefact.check(folder, "build")
    variant = codec.read_json(Variant, layout.variant_dir(run, variant_id) / layout.VARIANT)
    target = targets.load(target_id, run)
    module = targets.backend(target)
    count = config.images or getattr(module, "IMAGES", None)
    if count is None and getattr(module, "BUDGET_S", None) is not None:
        count = len(cases)  # all, in an order that a time budget may cut short
    chosen = tuple(stratified(cases, count))
    ids = [[c.id, c.split, c.label, c.group] for c in chosen]
    key = artefact.stage_key("evaluate 5", entry.key, config.splits, config.rounds,
                             config.warmup, config.samples, ids, variant.preprocess,
                             variant.task)
    made = codec.read_json(Build, folder / layout.BUILD)
    if not variant.task.classes:  # it classifies nothing, so there are no logits
        made = replace(made, measures=tuple(q for q in made.measures if q == "latency"))
    results = layout.measurement_dir(run, variant_id, target_id)
    return Cell(variant, target, made, folder, results, key, chosen)


# ------------------------------------------------------------------ workers


def _job(run: Path, cell: Cell, mode: str, ids: Sequence[str], result: Path, warmup: int) -> Job:
    files = {str(cell.build_dir / name): sha256 for name, sha256 in cell.build.files.items()}
    main = str(cell.build_dir / (cell.build.main or next(iter(cell.build.files))))
    return codec.decode(Job, {  # type: ignore[no-any-return]
        "mode": mode, "runner": cell.build.runner or cell.module.RUNNER, "file": main,
        "sha256": files.pop(main), "beside": files, "threads": cell.target.threads,
        "store": str(layout.cache_dir(run, cell.variant.preprocess)), "ids": list(ids),
        "result": str(result), "warmup": warmup,
        "budget_s": getattr(cell.module, "BUDGET_S", None) if mode == "predict" else None})


def _launch(cell: Cell, job: Job, work: Path, timeout_s: float,
            on_progress: Callable[[int, int], None] | None = None) -> JobResult:
    elsewhere = getattr(cell.module, "run_job", None)
    if elsewhere is not None:
        result: JobResult = elsewhere(cell.target, job, work, on_progress, timeout_s)
        return result
    return run_worker(job, work, on_progress, timeout_s)


def _fault(result: JobResult) -> Outcome:
    return Outcome("unsupported" if result.unsupported else "failed", result.fault)


def _predict(run: Path, cell: Cell, config: EvaluateConfig, progress: Progress | None,
             number: int, total: int) -> Outcome:
    """Publish ``predictions.npz`` of one cell, unless it is there for the same key."""
    if cell.build.status != "ok":
        return Outcome(cell.build.status, cell.build.reason)
    if "accuracy" not in cell.build.measures:
        return Outcome()
    if artefact.intact(cell.folder, "predict", cell.key):
        return codec.read_json(Outcome, cell.folder / "predict.json")
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
            return Outcome("failed", "the logits are not finite numbers")
        done = cell.cases[:len(logits)]
        outcome = _against_cpu(run, cell, job, logits, work, config.timeout_s)
    outcome = replace(outcome, images=len(done), peak_memory_bytes=result.peak_memory_bytes,
                    machine=result.machine)
    if outcome.status != "ok":
        return outcome
    classes = {c: i for i, c in enumerate(cell.variant.task.classes)}
    with artefact.writing(cell.folder, "predict", cell.key,
                          facts=protocol.fact(run)) as scratch:
        np.savez(scratch / layout.PREDICTIONS, ids=np.array([c.id for c in done]),
                 split=np.array([c.split for c in done]),
                 labels=np.array([classes[c.label] for c in done], np.int64),
                 # Float64 where they lie on an integer grid: float32 cannot hold its ties.
                 logits=logits if grid.scale_of(logits) is None else grid.exact(logits))
        artefact.write_text(scratch / "predict.json", codec.to_json(outcome))
        # Before they are published: no answer of a test image without its line.
        protocol.opened(run, "evaluate", cell.name, sum(c.split == "test" for c in done),
                        {cell.name: artefact.sha256_file(scratch / layout.PREDICTIONS)})
    if progress:
        progress(label, len(ids), len(ids))
    return outcome


def _against_cpu(run: Path, cell: Cell, job: Job, logits: npt.NDArray[np.float32], work: Path,
                 timeout_s: float) -> Outcome:
    """Compare with the variant's own file and with the float32 model on this machine's CPU.

    The same images in the same order, for backends that ask for it (``REFERENCE``).
    """
    runner = getattr(cell.module, "REFERENCE", None)
    if runner is None:
        return Outcome()
    model = layout.model_dir(run, cell.variant.model)
    if layout.FLOAT_MODEL not in artefact.record(model, "convert").files:
        return Outcome()  # quantized elsewhere, and its float model is not known
    float_sha256 = artefact.record(model, "convert").files[layout.FLOAT_MODEL].sha256
    agreements: dict[str, Agreement] = {}
    for file, sha256 in ((layout.variant_dir(run, cell.variant.id) / cell.variant.file,
                          cell.variant.sha256), (model / layout.FLOAT_MODEL, float_sha256)):
        if sha256 in agreements:
            continue
        result = run_worker(replace(
            job, runner=runner, file=str(file), sha256=sha256, beside={}, budget_s=None,
            ids=job.ids[:len(logits)], result=str(work / "cpu.json")), work, None, timeout_s)
        if result.fault is not None:
            return Outcome("failed", f"the CPU's logits to compare with are missing "
                                   f"({result.fault})")
        agreements[sha256] = agree(logits, np.load(work / "cpu.json.npy", allow_pickle=False))
    own = agreements[cell.variant.sha256]
    accept = getattr(cell.module, "accept", None)
    refused = accept(own) if accept is not None else (
        _no_original(own) if cell.variant.scheme == layout.BASELINE else None)
    return Outcome("ok" if refused is None else "failed", refused, agreement=own,
                 agreement_float32=agreements[float_sha256])


def _no_original(agreement: Agreement) -> str | None:
    """Return why a target's float32 logits cannot serve as its reference."""
    if agreement.rmse <= _UNLIKE * agreement.logit_range:
        return None
    share = agreement.rmse / agreement.logit_range if agreement.logit_range else float("inf")
    return (f"its float32 logits differ from this machine's CPU's by {share:.0%} of their range "
            f"(RMSE, {agreement.n} images); {_UNLIKE:.0%} is allowed")


def _latencies(run: Path, cells: Sequence[Cell], config: EvaluateConfig, cases: Sequence[Case],
               outcomes: dict[str, Outcome], progress: Progress | None) -> None:
    """Time the cells: rounds over all of them in shuffled order, samples added to ``outcomes``."""
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
            before = outcomes[cell.name]
            if result.fault is not None and before.status == "ok":
                before = replace(before, status=_fault(result).status, reason=result.fault)
            new = tuple((number, i, ms) for i, ms in enumerate(result.samples_ms))
            outcomes[cell.name] = replace(before, samples=before.samples + new,
                                       machine=before.machine or result.machine)
            done += 1
            if progress:
                progress("latency", done, total)
