"""Parse untrusted files in worker processes with limits on memory and time.

A worker is ``python -m bedside.readers.sandbox_worker``. It gets one request at a time
(JSON and, if need be, bytes), answers with JSON and arrays, and is replaced when it dies, runs
out of memory or out of time. Nothing is pickled: what a worker says is data, even if a file took
it over.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import math
import os
import queue
import selectors
import signal
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from bedside.core.errors import BadInput, MissingComponent

Item = TypeVar("Item")
Result = TypeVar("Result")

REMEDY = "Repair or remove the file, or set it aside with --skip-bad."
HEAD = struct.Struct("<QQ")
_DTYPES = ("|u1", "<u2")
_AHEAD = 16
# How many times its processor seconds a request may take on the clock.
_PATIENCE = 10


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one request: address space beyond the idle worker's, seconds, reply size.

    ``seconds`` are of the processor where the system tells (Linux), so that a busy machine
    refuses no sound file; ten times as many may pass on the clock.
    """

    memory_bytes: int = 1 << 30
    seconds: float = 30.0
    reply_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply of a worker's function: plain data, and arrays (uint8 or uint16)."""

    value: Any
    arrays: tuple[npt.NDArray[Any], ...] = ()


class _Gone(Exception):
    """The worker died."""


class _Worker:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._allowance = 0.0
        # One thread for BLAS: its buffers would eat the address space. -P: a folder that happens
        # to hold a module's name must not shadow it.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "bedside.readers.sandbox_worker",
             str(limits.memory_bytes)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=environment)
        # The start (imports on a busy machine) does not count against the first file.
        try:
            self._read(1, time.monotonic() + 60 + limits.seconds)
        except BaseException:
            self.stop()
            raise

    def ask(self, request: dict[str, Any], blob: bytes) -> tuple[dict[str, Any], bytes]:
        text = json.dumps(request).encode()
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write(HEAD.pack(len(text), len(blob)) + text)
            stdin.write(blob)
            stdin.flush()
        except OSError:
            raise _Gone from None
        deadline = time.monotonic() + self._limits.seconds
        self._allowance = self.processor_seconds() + self._limits.seconds
        text_size, blob_size = HEAD.unpack(self._read(HEAD.size, deadline))
        if text_size + blob_size > self._limits.reply_bytes:
            raise BadInput("more pixels than are read at once")
        answer = json.loads(self._read(text_size, deadline))
        return answer, self._read(blob_size, deadline)

    def _read(self, size: int, deadline: float) -> bytes:
        stdout = self._process.stdout
        assert stdout is not None
        parts: list[bytes] = []
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while size:
                if not self._ready(selector, deadline):
                    raise TimeoutError
                part = os.read(stdout.fileno(), min(size, 1 << 20))
                if not part:
                    raise _Gone
                parts.append(part)
                size -= len(part)
        return b"".join(parts)

    def _ready(self, selector: selectors.BaseSelector, deadline: float) -> bool:
        """Wait for bytes: to the deadline, then as long as processor time is left."""
        last = deadline + (_PATIENCE - 1) * self._limits.seconds
        while True:
            now = time.monotonic()
            if selector.select(deadline - now if now < deadline else 0.2):
                return True
            now = time.monotonic()
            if now >= last or (now >= deadline and self.processor_seconds() >= self._allowance):
                return False

    def processor_seconds(self) -> float:
        """Return the processor time used; infinite where the system does not tell."""
        try:
            status = Path(f"/proc/{self._process.pid}/stat").read_text()
            used = status.rpartition(")")[2].split()
            return (int(used[11]) + int(used[12])) / os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError, IndexError, AttributeError):
            return math.inf

    def stop(self) -> int:
        """Kill the process; return its signal or exit code, 0 if it still ran."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.05)
        code = self._process.poll() or 0
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        return code


class Pool:
    """A few workers, started when first needed. Safe to use from several threads."""

    def __init__(self, workers: int = 2, limits: Limits | None = None) -> None:
        self.workers, self.limits = workers, limits or Limits()
        self._idle: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        for _ in range(workers):
            self._idle.put(None)

    def call(self, function: str, where: str | Path, blob: bytes = b"", **arguments: Any) -> Reply:
        """Run ``function(blob, **arguments)`` in a worker.

        Args:
            function: a lazy name, ``"module:function"``; it returns ``(value, arrays)``, the
                value plain data.
            where: the file, for messages.
            blob: bytes to hand over.
            arguments: plain data.

        Raises:
            BadInput: what the function raised; or it crashed, ran out of memory or of time.
            MissingComponent: a package that the function needs is not installed.
        """
        worker = self._idle.get()
        try:
            worker = worker or _Worker(self.limits)
            answer, data = worker.ask({"function": function, "arguments": arguments}, blob)
            arrays = _arrays(answer.get("arrays", []), data)
            if answer.get("last"):
                worker.stop()
                worker = None
        except (_Gone, TimeoutError, BadInput, ValueError) as error:
            code = worker.stop() if worker is not None else 0
            worker = None
            raise self._fault(error, code, where) from None
        except BaseException:
            if worker is not None:
                worker.stop()
            worker = None
            raise
        finally:
            self._idle.put(worker)
        if "missing" in answer:
            raise MissingComponent(answer["missing"], remedy=answer.get("remedy"))
        if "fault" in answer:
            raise BadInput(answer["fault"], where=where, remedy=answer.get("remedy") or REMEDY)
        return Reply(answer.get("value"), arrays)

    def _fault(self, error: Exception, code: int, where: str | Path) -> BadInput:
        if isinstance(error, BadInput):
            return BadInput(error.fault, where=where, remedy=REMEDY)
        if isinstance(error, TimeoutError):
            return BadInput(f"not read within {self.limits.seconds:g} s", where=where,
                            remedy=REMEDY)
        if isinstance(error, _Gone) and code in (-signal.SIGINT, -signal.SIGTERM):
            return BadInput("its reader was stopped", where=where, remedy="Run again.")
        return BadInput("its decoder crashed", where=where, remedy=REMEDY)

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield results of ``function`` (which may :meth:`call`) in order, a few items ahead."""
        with ThreadPoolExecutor(self.workers, thread_name_prefix="sandbox") as threads:
            waiting: deque[Future[Result]] = deque()
            try:
                for item in items:
                    waiting.append(threads.submit(function, item))
                    if len(waiting) > self.workers * _AHEAD:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def close(self) -> None:
        """Stop the workers that are idle."""
        for _ in range(self.workers):
            with contextlib.suppress(queue.Empty):
                worker = self._idle.get_nowait()
                if worker is not None:
                    worker.stop()
                self._idle.put(None)


def _arrays(shapes: list[dict[str, Any]], data: bytes) -> tuple[npt.NDArray[Any], ...]:
    """Return the arrays of a reply. Raises ValueError where the bytes do not fit."""
    found, offset = [], 0
    for entry in shapes:
        if entry["dtype"] not in _DTYPES:
            raise ValueError("dtype")
        dtype = np.dtype(entry["dtype"])
        shape = tuple(int(v) for v in entry["shape"])
        count = 1
        for length in shape:
            count *= length
        found.append(np.frombuffer(data, dtype, count, offset).reshape(shape))
        offset += count * dtype.itemsize
    return tuple(found)


def pool() -> Pool:
    """Return the process's own pool with the default limits; its workers end with the process."""
    return _pool_of(os.getpid())


@functools.lru_cache(maxsize=1)
def _pool_of(pid: int) -> Pool:
    # By process: a fork must not talk through its parent's pipes.
    shared = Pool()
    atexit.register(shared.close)
    return shared
