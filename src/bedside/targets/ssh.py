"""Target: a Linux board over ``ssh``, running the same worker as target ``cpu``.

The runtime's own modules are copied (the import rule makes them a closed set). What
they need (LiteRT, numpy, Pillow, tomli-w) is on the board already, installed there by pip, or
comes from a folder of wheels here (``wheels``) and is unpacked in the board's folder. Images go
as resized pixels under numbers, and only for as long as a job runs.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import numpy as np

from bedside.core import codec
from bedside.core.build import Agreement, Build, Target
from bedside.core.errors import BadInput, BedsideError
from bedside.core.types import Evidence
from bedside.runtime.files import sha256_file
from bedside.runtime.graph import read_graph
from bedside.runtime.launch import OnProgress
from bedside.runtime.pixels import INDEX, PIXELS, PixelIndex, PixelStore
from bedside.runtime.worker import Job, JobResult
from bedside.targets import cpu
from bedside.targets.base import Availability, BuildRequest, Placed
from bedside.targets.board_link import Connection, Lost, Settings, settings
from bedside.targets.subprocess_build import Outcome, Task

RUNNER = cpu.RUNNER
REFERENCE = cpu.RUNNER
EVIDENCE: dict[str, Evidence] = {"accuracy": "measured", "latency": "measured"}
# A board that was off is asked again at the next run.
TRIES_AGAIN = True
BUILD_TIMEOUT_S = 900.0
CHECK_TIMEOUT_S = 300.0
# Root mean square difference of a board's logits from this machine's, as a share of their range,
# above which the board does not compute the file. Sound processors round differently by a
# step or two of an integer file's logits; an emulator whose vector unit was wrong was 108% off.
TOLERANCE = 0.25
MODEL = cpu.MODEL
# (rounds, warm-up, samples) of a latency that only shows that the build runs.
EMULATED_SAMPLING = (1, 0, 1)
NEEDED = ("ai-edge-litert", "numpy", "Pillow", "tomli-w")
# Modules a board must be able to import, and the version that it reports.
_FOUND = ("import ai_edge_litert.interpreter, numpy, PIL, tomli_w\n"
          "from importlib.metadata import version\n"
          "open('found.txt', 'w').write(version('ai-edge-litert'))")
_MODULES = ("__init__", "targets/__init__", "targets/base", "targets/subprocess_build",
            "targets/cpu")


def available() -> Availability:
    """Return whether ``ssh`` is installed; a board is asked only when it is used."""
    if shutil.which("ssh") is None:
        return Availability(False, "the program ssh is not installed",
                            "Install it: apt-get install openssh-client.")
    return Availability(True, "the system's ssh; boards are described in RUN/targets/*.toml "
                              "(docs/targets.md), and bedside doctor --run RUN asks each of them",
                        version="ssh 1")


def accept(agreement: Agreement) -> str | None:
    """Return why a board's logits cannot be the file's."""
    if agreement.rmse <= TOLERANCE * agreement.logit_range:
        return None
    share = agreement.rmse / agreement.logit_range if agreement.logit_range else float("inf")
    return (f"the board's logits differ from this machine's by {share:.0%} of their range (RMSE, "
            f"{agreement.n} images); {TOLERANCE:.0%} is allowed: its processor, or what emulates "
            "it, does not compute the file")


def check(target: Target) -> Availability:
    """Ask the board itself: reachable, a Python that is new enough, LiteRT and numpy there.

    Wheels that the profile names are copied first, as a measurement would.

    Raises:
        BadInput: the profile's options cannot be.
    """
    board = settings(target)
    try:
        with Connection(board, CHECK_TIMEOUT_S) as link:
            facts, emulated = dict(link.facts), link.emulated
            packages = _packages(board)
            link.send(packages)
            head, blob = link.ask(
                {"op": "run", "python": board.python, "arguments": ["-c", _FOUND], "objects": {},
                 "files": [], "packages": [sha256 for sha256, _ in packages],
                 "results": ["found.txt"], "environment": {}, "timeout_s": CHECK_TIMEOUT_S / 2})
        if not blob:
            raise Lost(_end(head, CHECK_TIMEOUT_S / 2))
    except Lost as error:
        return Availability(False, str(error), "Mend that, or the target's [options] "
                            "(docs/targets.md, 'A board through ssh').")
    version = " ".join(blob.decode(errors="replace").split())[:40]
    where = f"Python {facts.get('python')} on {facts.get('machine')}"
    return Availability(True, f"the board answers: {where}{', emulated' if emulated else ''}, "
                              f"LiteRT {version}")


# ------------------------------------------------------------------ what is copied


def runtime_archive() -> bytes:
    """Return the runtime's modules as a zip, the same bytes for the same modules."""
    root = Path(str(resources.files("bedside")))
    files = {f"bedside/{m}.py": root / f"{m}.py" for m in _MODULES}
    files |= {f"bedside/{p.relative_to(root).as_posix()}": p
              for room in ("core", "runtime") for p in (root / room).rglob("*.py")}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name), files[name].read_bytes())
    return buffer.getvalue()


def _packages(board: Settings) -> list[tuple[str, Path | bytes]]:
    """Return (SHA-256, content) of the zips for the board's module path."""
    runtime = runtime_archive()
    found: list[tuple[str, Path | bytes]] = [(hashlib.sha256(runtime).hexdigest(), runtime)]
    if board.wheels is not None:
        wheels = sorted(board.wheels.glob("*.whl"))
        if not wheels:
            raise BadInput("the folder of wheels is empty",
                           remedy="Fill it: pip download --only-binary=:all: --platform "
                                  f"manylinux_2_28_aarch64 -d FOLDER {_requirements()}.")
        found += [(sha256_file(w), w) for w in wheels]
    return found


def _requirements() -> str:
    return " ".join(f"{name}=={metadata.version(name)}" for name in NEEDED)


def _run(link: Connection, module: str, document: str, objects: dict[str, Path],
         files: list[tuple[str, int]], data: Iterator[bytes], results: tuple[str, ...],
         threads: int, timeout_s: float, on_progress: OnProgress | None = None
         ) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Run ``python -m module task.json`` on the board; how it ended and its result files."""
    packages = _packages(link.board)
    named = {name: (sha256_file(path), path) for name, path in objects.items()}
    link.send([*packages, *named.values()])
    text = document.encode()
    sizes = [("task.json", len(text)), *files]

    def stream() -> Iterator[bytes]:
        yield text
        yield from data

    head, blob = link.ask(
        {"op": "run", "python": link.board.python, "arguments": ["-m", module, "task.json"],
         "objects": {name: sha256 for name, (sha256, _) in named.items()}, "files": sizes,
         "packages": [sha256 for sha256, _ in packages], "results": list(results),
         "environment": {"OMP_NUM_THREADS": str(threads), "PYTHONHASHSEED": "0"},
         "timeout_s": timeout_s}, stream(), sum(size for _, size in sizes), on_progress)
    found, at = {}, 0
    try:
        for name in results:
            if name in head["results"]:
                found[name] = blob[at:at + int(head["results"][name])]
                at += int(head["results"][name])
    except (KeyError, TypeError, ValueError):
        raise Lost("the board's answer is unreadable") from None
    return head, found


def _end(head: dict[str, Any], timeout_s: float) -> str:
    """Return why a process on the board gave no result."""
    if head.get("late"):
        return f"it was stopped on the board after {timeout_s:g} s without an end"
    said = str(head.get("stderr", "")).strip()
    last = said.splitlines()[-1][:200] if said else "no message"
    if last.startswith("ModuleNotFoundError"):
        return (f"the board's Python lacks a package ({last}). Install it there (python3 -m venv "
                f"bedside && bedside/bin/pip install {_requirements()}) and name bedside/bin/"
                "python as 'python' in the target's [options], or give a folder of 'wheels'")
    return f"the process on the board ended with code {head.get('code')} ({last})"


# ------------------------------------------------------------------ build, place, run


def _place(board: Settings, file: Path, threads: int) -> tuple[Outcome, bool]:
    """Find where the board's LiteRT runs the operations, and whether the board is emulated.

    Raises:
        BadInput: the board does not answer, or cannot load the file.
    """
    task = Task("place", Target("board", "cpu", threads), "", "outcome.json", MODEL)
    limit = BUILD_TIMEOUT_S / 2
    try:
        with Connection(board, limit + 60) as link:
            head, found = _run(link, "bedside.targets.subprocess_build", codec.to_json(task),
                               {MODEL: file}, [], iter(()), ("outcome.json",), threads, limit)
            emulated = link.emulated
        if "outcome.json" not in found:
            raise Lost(_end(head, limit))
    except Lost as error:
        raise BadInput(str(error)) from None
    try:
        outcome = codec.decode(Outcome, codec.parse_json(
            found["outcome.json"].decode("utf-8", "replace"), "the board's answer"))
    except BadInput:
        raise BadInput("the board's answer is unreadable") from None
    if outcome.placed is None:
        raise BadInput(outcome.reason or "the board cannot load the file")
    return outcome, emulated


def build(request: BuildRequest) -> Build:
    """Take the variant's own file as the build, and ask the board where its operations run."""
    board = settings(request.target)
    outcome, emulated = _place(board, request.file, request.target.threads)
    assert outcome.placed is not None
    shutil.copyfile(request.file, request.scratch / MODEL)
    return Build(
        variant=request.variant.id, target=request.target.id, format="tflite",
        files={MODEL: request.variant.sha256},
        quantizer=request.quantizer,
        delegated_fraction=outcome.placed.delegated_fraction,
        partitions=outcome.placed.partitions, placement=outcome.placed.placement,
        compute_dtype=cpu.compute_dtype(read_graph(request.file)),
        evidence={"accuracy": "emulated", "latency": "emulated"} if emulated else {},
        sampling=EMULATED_SAMPLING if emulated else None,
        latency_note="the board's processor is emulated: this time says nothing about a board"
        if emulated else None)


def place(file: Path, target: Target, scratch: Path) -> Placed:
    """Ask the board's LiteRT where it would run the operations."""
    del scratch
    outcome, _ = _place(settings(target), file, target.threads)
    assert outcome.placed is not None
    return outcome.placed


def run_job(target: Target, job: Job, work: Path, on_progress: OnProgress | None,
            timeout_s: float) -> JobResult:
    """Do a worker's job on the board; a lost connection or a timeout is a fault.

    Predictions come to ``<job.result>.npy`` as from a worker here.
    """
    del work
    try:
        return _job(settings(target), job, on_progress, timeout_s)
    except Lost as error:
        return JobResult(fault=str(error))
    except BedsideError as error:
        return JobResult(fault=error.fault)


def _job(board: Settings, job: Job, on_progress: OnProgress | None, timeout_s: float) -> JobResult:
    if sha256_file(Path(job.file)) != job.sha256:
        raise BadInput("differs from the hash of its build", where=job.file,
                       remedy="Delete the build's folder and run again.")
    numbers = tuple(str(i) for i in range(len(job.ids)))
    there = replace(job, file=MODEL, store="store", ids=numbers, result="result.json", beside={})
    # An image used several times is sent as often: there are few images then.
    with PixelStore(Path(job.store)) as store, Connection(board, timeout_s + 300) as link:
        index = codec.to_json(PixelIndex(store.preprocess, store.index.dtype, numbers)).encode()
        size = sum(store.pixels(i).nbytes for i in job.ids[:1]) * len(job.ids)

        def pixels() -> Iterator[bytes]:
            yield index
            for case_id in job.ids:
                yield store.pixels(case_id).tobytes()

        head, found = _run(
            link, "bedside.runtime.worker", codec.to_json(there), {MODEL: Path(job.file)},
            [(f"store/{INDEX}", len(index)), (f"store/{PIXELS}", size)], pixels(),
            ("result.json", "result.json.npy"), job.threads, timeout_s, on_progress)
    if "result.json" not in found:
        return JobResult(fault=_end(head, timeout_s))
    result: JobResult = codec.decode(JobResult, codec.parse_json(
        found["result.json"].decode("utf-8", "replace"), "the board's answer"))
    if result.fault is None and job.mode == "predict":
        _keep(found.get("result.json.npy", b""), len(job.ids), Path(f"{job.result}.npy"))
    return result


def _keep(data: bytes, count: int, path: Path) -> None:
    """Write the board's logits, (count, K) float32, once they are seen to be that."""
    try:
        logits = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise Lost(f"the board's logits are unreadable ({type(error).__name__})") from None
    if logits.ndim != 2 or len(logits) != count or logits.dtype != np.float32:
        raise Lost(f"the board's logits have the shape {list(logits.shape)} of {logits.dtype}; "
                   f"{count} rows of float32 are needed")
    np.save(path, logits, allow_pickle=False)
