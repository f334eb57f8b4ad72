"""Running child processes; a crash or timeout is returned as a fault, not raised.

Native code that crashes, hangs or takes all memory ends its own process; the parent reads why.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bedside.core import codec
from bedside.runtime.files import write_text
from bedside.runtime.limits import out_of_memory
from bedside.runtime.worker import Job, JobResult

OnProgress = Callable[[int, int], None]


def run(command: Sequence[str], work: Path, timeout_s: float,
        environment: Mapping[str, str] | None = None, on_progress: OnProgress | None = None
        ) -> str | None:
    """Run a command to its end; its standard error goes to ``work/stderr.txt``.

    Lines of two whole numbers on its standard output are progress. The command runs in a
    session of its own, so that what it started ends with it.

    Returns:
        None where it ended with code 0, else what ended it in a clause.
    """
    late = threading.Event()
    with (work / "stderr.txt").open("w+", errors="replace") as errors:
        process = subprocess.Popen(
            list(command), stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL,
            text=True, errors="replace", start_new_session=True,
            env={**os.environ, **(environment or {})})

        def end() -> None:
            late.set()
            _kill(process)

        clock = threading.Timer(timeout_s, end)
        clock.start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                numbers = line.split()
                if on_progress and len(numbers) == 2 and all(n.isdigit() for n in numbers):
                    on_progress(int(numbers[0]), int(numbers[1]))
            # Not reaped yet, so that the group's number cannot belong to another process.
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        finally:
            clock.cancel()
            _kill(process)
            process.wait()
        if late.is_set():
            return f"it was stopped after {timeout_s:g} s without an end"
        if process.returncode == 0:
            return None
        errors.seek(0)
        return _death(process.returncode, errors.read())


def _kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


# Messages of allocators and Python when memory is refused.
_NO_MEMORY = ("std::bad_alloc", "MemoryError", "Cannot allocate memory", "Unable to allocate")


def _death(code: int, errors: str) -> str:
    if any(sign in errors[-4000:] for sign in _NO_MEMORY):
        return out_of_memory()
    last = errors.strip().splitlines()[-1][:200] if errors.strip() else "no message"
    if code < 0:
        return f"the process was ended by {signal.Signals(-code).name} ({last})"
    return f"the process ended with code {code} ({last})"


def run_worker(job: Job, work: Path, on_progress: OnProgress | None = None,
               timeout_s: float = 21600.0) -> JobResult:
    """Run one job of :mod:`bedside.runtime.worker` in a fresh process.

    A crash or a timeout comes back as a fault, not as an exception.
    """
    job_file = work / "job.json"
    write_text(job_file, codec.to_json(job))
    Path(job.result).unlink(missing_ok=True)
    fault = run([sys.executable, "-m", "bedside.runtime.worker", str(job_file)], work, timeout_s,
                {"OMP_NUM_THREADS": str(job.threads), "PYTHONHASHSEED": "0"}, on_progress)
    if Path(job.result).is_file():
        return codec.read_json(JobResult, Path(job.result))
    return JobResult(fault=fault or "the process ended without a result")
