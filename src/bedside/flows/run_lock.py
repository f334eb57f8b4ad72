"""Hold a run folder for one writer, and leave nothing behind where nothing was written."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bedside.core.errors import BadInput
from bedside.runfolder import artefact, layout


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Hold the run folder for one writer.

    Raises:
        BadInput: another process holds it, or the folder cannot be made.
    """
    from filelock import FileLock, Timeout

    with artefact.disk_errors(run):
        fresh = not run.is_dir() or not any(run.iterdir())
        made = [p for p in run.absolute().parents if not p.exists()]
        try:
            run.mkdir(parents=True, exist_ok=True)
        except FileNotFoundError as error:  # as below /proc
            raise BadInput("the folder cannot be made", where=run,
                           remedy="Choose another --out.") from error
        lock = FileLock(run / ".lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise BadInput("another bedside process is writing this run", where=run,
                           remedy="Wait for it, or give another --out.") from None
    try:
        yield
    finally:
        lock.release()
        if fresh:
            _leave_nothing(run, made)
        elif not layout.study_file(run).is_file():
            (run / ".lock").unlink(missing_ok=True)  # not a run: leave it as it was found


def _leave_nothing(run: Path, made: Sequence[Path]) -> None:
    """Remove a run folder in which no file was written, and the folders ``made`` above it."""
    with contextlib.suppress(OSError):
        if all(p.is_dir() or p == run / ".lock" for p in run.rglob("*")):
            shutil.rmtree(run)
            for folder in made:
                folder.rmdir()
