"""A build in a process of its own: the parent's side of the connection.

Only verified bytes are handed over, in memory: what was checked is what runs.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from bedside.core import codec
from bedside.core.errors import (
    EXIT_BAD_INPUT,
    EXIT_MISSING,
    BadInput,
    BedsideError,
    GateFailed,
    MissingComponent,
)
from bedside.core.types import Preprocess

_HEAD = struct.Struct("<II")
TIMEOUT_S = 120.0
# Images handed over before the answer to the oldest is read. The engine takes as many (one
# running, one ready, one being decoded), so neither side can wait for the other for ever.
AHEAD = 2
_KINDS: dict[int, type[BedsideError]] = {EXIT_BAD_INPUT: BadInput, EXIT_MISSING: MissingComponent}


@dataclass(frozen=True, slots=True)
class Load:
    """The build an engine runs: its files (the one to open first), and how."""

    files: tuple[tuple[str, bytes | memoryview], ...]
    preprocess: Preprocess
    classes: int
    backend: str = "cpu"
    threads: int = 2
    cam: bool = True


@dataclass(frozen=True, slots=True)
class Raw:
    """One image's raw outcome. ``cam`` is float32 little-endian of ``cam_shape`` (h, w, K).

    ``features``: those of ``docs/bundle.md``, by name.
    """

    logits: tuple[float, ...]
    features: dict[str, float]
    quality: dict[str, float]
    height_px: int
    width_px: int
    cam_shape: tuple[int, ...] | None
    cam: bytes


class Engine:
    """A child process that runs one build. Not thread-safe.

    The process starts at once, so that it can import while the caller verifies; :meth:`open`
    hands over the model.
    """

    def __init__(self) -> None:
        quiet = None if os.environ.get("BEDSIDE_DEBUG") else subprocess.DEVNULL
        # -P: a folder that happens to have a module's name must not shadow it.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "bedside.runtime.engine_worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=quiet)
        self._clock = _Clock(self._process.kill)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._process.pid

    def close(self) -> None:
        """End the child."""
        self._clock.stop()
        if self._process.poll() is None:
            self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process.wait()

    def open(self, load: Load) -> bool:
        """Load the build; whether it gives a class activation map.

        Raises:
            GateFailed: it does not load, or does not fit its description.
            MissingComponent: what runs it is not on this device.
        """
        request = {"op": "open", "backend": load.backend, "threads": load.threads,
                   "cam": load.cam, "classes": load.classes,
                   "files": [[n, len(d)] for n, d in load.files],
                   "preprocess": codec.encode(load.preprocess)}
        try:
            reply, _ = self._ask(request, [d for _, d in load.files])
        except BadInput as error:
            raise GateFailed(error.fault, where=load.files[0][0], remedy=error.remedy) from None
        return bool(reply["cam"])

    def image(self, data: bytes, name: str, timeout_s: float = TIMEOUT_S) -> Raw:
        """Answer the bytes of a PNG, JPEG, BMP or TIFF. Raises BadInput where it is not one."""
        return _raw(*self._ask({"op": "image", "name": name}, [data], timeout_s))

    def pixels(self, data: bytes, shape: Sequence[int], dtype: str, name: str) -> Raw:
        """Answer decoded pixels: uint8 or little-endian uint16 of ``shape``."""
        return _raw(*self._ask({"op": "pixels", "name": name, "shape": list(shape),
                                "dtype": dtype}, [data]))

    def resized(self, data: bytes | memoryview, name: str, dtype: str = "uint8") -> Raw:
        """Answer pixels of the network's own size: uint8 or little-endian uint16."""
        return _raw(*self._ask({"op": "resized", "name": name, "dtype": dtype}, [data]))

    def resize(self, data: bytes | memoryview, name: str) -> bytes:
        """Return the resized pixels of an image's bytes, uint8."""
        return self._ask({"op": "image", "name": name, "resize": True}, [data])[1]

    def images(self, images: Iterable[tuple[str, bytes]], timeout_s: float = TIMEOUT_S
               ) -> Generator[Raw | BadInput, None, None]:
        """Answer many (name, bytes), in order; the fault of one that is no image in its place.

        The engine decodes the next image while the model runs on the one before, so images are
        handed over ahead of their answers. Where the engine fails, or the caller stops early, it
        is closed.
        """
        waiting: deque[str] = deque()
        try:
            for name, data in images:
                self._send({"op": "image", "name": name}, [data], timeout_s)
                waiting.append(name)
                if len(waiting) > AHEAD:
                    yield self._one(waiting.popleft(), timeout_s)
            while waiting:
                yield self._one(waiting.popleft(), timeout_s)
        except BaseException:
            self.close()
            raise

    def _one(self, name: str, timeout_s: float) -> Raw | BadInput:
        try:
            return _raw(*self._receive(name, timeout_s))
        except BadInput as error:
            return error

    def _ask(self, request: dict[str, Any], data: Sequence[bytes | memoryview],
             timeout_s: float = TIMEOUT_S) -> tuple[dict[str, Any], bytes]:
        self._send(request, data, timeout_s)
        return self._receive(request.get("name"), timeout_s)

    def _send(self, request: dict[str, Any], data: Sequence[bytes | memoryview],
              timeout_s: float) -> None:
        text = json.dumps(request).encode()
        stdin = self._process.stdin
        assert stdin is not None
        with self._guarded(request.get("name"), timeout_s):
            stdin.write(_HEAD.pack(len(text), sum(len(d) for d in data)) + text)
            for part in data:
                stdin.write(part)
            stdin.flush()

    def _receive(self, name: str | None, timeout_s: float) -> tuple[dict[str, Any], bytes]:
        stdout = self._process.stdout
        assert stdout is not None
        with self._guarded(name, timeout_s):
            head, size = _HEAD.unpack(stdout.read(_HEAD.size))
            reply: dict[str, Any] = json.loads(stdout.read(head))
            blob = stdout.read(size)
            if len(blob) != size:
                raise EOFError
        if "fault" in reply:
            kind = _KINDS.get(reply["code"], GateFailed)
            raise kind(reply["fault"], where=name, remedy=reply["remedy"])
        return reply, blob

    @contextlib.contextmanager
    def _guarded(self, name: str | None, timeout_s: float) -> Iterator[None]:
        """Raise GateFailed where the child ends or takes too long."""
        try:
            with self._clock.limit(timeout_s):
                yield
        except (OSError, EOFError, struct.error, ValueError):
            self.close()
            why = (f"took longer than {timeout_s:g} s" if self._clock.late else
                   f"ended by itself (code {self._process.returncode})")
            raise GateFailed(f"the process that runs the model {why}", where=name,
                             remedy="Try again; if it happens again, "
                             "the model does not work on this device.") from None


class _Clock:
    """Watchdog that calls ``end`` after a limit: one sleeping thread for all requests."""

    def __init__(self, end: Callable[[], None]) -> None:
        self.late = False
        self._end = end
        self._due = math.inf
        self._wakes = math.inf
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def limit(self, seconds: float) -> Iterator[None]:
        """Limit the block inside to ``seconds``."""
        self._set(time.monotonic() + seconds)
        try:
            yield
        finally:
            self._due = math.inf

    def _set(self, due: float) -> None:
        self._due = due
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()
        # The thread wakes by itself for an earlier deadline and checks again.
        if due < self._wakes:
            with self._changed:
                self._changed.notify()

    def stop(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._set(-math.inf)

    def _watch(self) -> None:
        with self._changed:
            while True:
                due = self._due
                if due == -math.inf:
                    return
                left = due - time.monotonic()
                if left <= 0:
                    self.late = True
                    self._end()
                    return
                self._wakes = due
                self._changed.wait(min(left, threading.TIMEOUT_MAX))
                self._wakes = math.inf


def _raw(reply: dict[str, Any], blob: bytes) -> Raw:
    shape = reply["cam"]
    return Raw(tuple(reply["logits"]), reply["features"], reply["quality"],
               reply["size"][0], reply["size"][1],
               tuple(shape) if shape is not None else None, blob)
