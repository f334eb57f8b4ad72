"""Build or placement of one file in a fresh process (this module is its ``__main__``).

Compilers and runtimes are native code that may crash, hang or print; what they do to this
process reaches the caller as a reason.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bedside import targets
from bedside.core import codec
from bedside.core.build import Build, Target, Variant
from bedside.core.errors import BedsideError, MissingComponent, Unsupported
from bedside.core.types import Status
from bedside.runtime import launch
from bedside.runtime.files import write_text
from bedside.runtime.limits import limit_memory, out_of_memory
from bedside.targets.base import BuildRequest, Placed

BUILD_TIMEOUT_S = 1800.0


@dataclass(frozen=True, slots=True)
class Task:
    """Task of one child process; paths as text."""

    mode: Literal["build", "place"]
    target: Target
    scratch: str
    result: str
    file: str = ""
    run: str = ""
    variant_dir: str = ""
    variant: Variant | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of a child process: a build or a placement, or a row's status and reason."""

    status: Status = "ok"
    reason: str | None = None
    missing: bool = False
    build: Build | None = None
    placed: Placed | None = None


def build(request: BuildRequest, timeout_s: float | None = None) -> Outcome:
    """Make a build in a child process; whatever goes wrong becomes the outcome's reason."""
    return _call(Task("build", request.target, str(request.scratch), "", str(request.file),
                      str(request.run), str(request.variant_dir), request.variant), timeout_s)


def place(file: Path, target: Target, timeout_s: float | None = None) -> Outcome:
    """Find in a child process where a target runs the operations of a file."""
    with tempfile.TemporaryDirectory(prefix="bedside-") as scratch:
        return _call(Task("place", target, scratch, "", str(file)), timeout_s)


def _call(task: Task, timeout_s: float | None) -> Outcome:
    module = targets.backend(task.target)
    limit = timeout_s or float(getattr(module, "BUILD_TIMEOUT_S", BUILD_TIMEOUT_S))
    with tempfile.TemporaryDirectory(prefix="bedside-") as name:
        work = Path(name)
        result = work / "outcome.json"
        given = Task(task.mode, task.target, task.scratch, str(result), task.file, task.run,
                     task.variant_dir, task.variant)
        write_text(work / "task.json", codec.to_json(given))
        fault = launch.run([sys.executable, "-m", "bedside.targets.subprocess_build",
                            str(work / "task.json")], work, limit,
                           {"OMP_NUM_THREADS": str(task.target.threads)})
        if result.is_file():
            return codec.read_json(Outcome, result)
    what = "build" if task.mode == "build" else "load"
    return Outcome("failed", f"the {what} ended early: {fault or 'no result'}")


def perform(task: Task) -> Outcome:
    """Do the task in this process."""
    module = targets.backend(task.target)
    try:
        if task.mode == "place":
            return Outcome(placed=module.place(Path(task.file), task.target, Path(task.scratch)))
        assert task.variant is not None
        made = module.build(BuildRequest(task.variant, task.target, Path(task.variant_dir),
                                  Path(task.run), Path(task.scratch)))
        return Outcome(made.status, made.reason, build=made)
    except Unsupported as error:
        return Outcome("unsupported", _reason(error))
    except MissingComponent as error:
        return Outcome("unsupported", _reason(error), missing=True)
    except BedsideError as error:
        return Outcome("failed", _reason(error))
    except MemoryError:
        return Outcome("failed", out_of_memory())


def _reason(error: BedsideError) -> str:
    # Without the file: a row names its cell, and no path of this machine goes into a report.
    fault = error.fault.rstrip(".")
    return " ".join(f"{fault}. {error.remedy or ''}".split()) if error.remedy else fault


def main(argv: list[str]) -> int:
    """Perform the task file named on the command line."""
    limit_memory()
    task = codec.read_json(Task, Path(argv[0]))
    write_text(Path(task.result), codec.to_json(perform(task)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
