"""A build in a process of its own, seen from the process that asks it.

Only verified bytes are handed over, in memory: what was checked is what runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from bedside import codec
from bedside.errors import EXIT_BAD_INPUT, BadInput, GateFailed
from bedside.types import Preprocess

_HEAD = struct.Struct("<II")
TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Load:
    """What the engine is to run: files in order (the one to open first) and how."""

    files: tuple[tuple[str, bytes | memoryview], ...]
    preprocess: Preprocess
    classes: int
    backend: str = "cpu"
    threads: int = 2
    cam: bool = True


@dataclass(frozen=True, slots=True)
class Raw:
    """One image's raw outcome. ``cam`` is float32 little-endian of ``cam_shape`` (h, w, K)."""

    logits: tuple[float, ...]
    features: tuple[float, ...]
    quality: dict[str, float]
    height_px: int
    width_px: int
    cam_shape: tuple[int, ...] | None
    cam: bytes


class Engine:
    """One child process with one build. Not for several threads at once.

    The process starts at once, so that it can import while the caller verifies; :meth:`open`
    hands over the model.
    """

    def __init__(self) -> None:
        quiet = None if os.environ.get("BEDSIDE_DEBUG") else subprocess.DEVNULL
        # -P: a folder that happens to hold a module's name must not shadow it.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "bedside.runtime.engine_worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=quiet)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._process.pid

    def close(self) -> None:
        """End the child."""
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
        """The resized pixels of an image's bytes, uint8."""
        return self._ask({"op": "image", "name": name, "resize": True}, [data])[1]

    def _ask(self, request: dict[str, Any], data: Sequence[bytes | memoryview],
             timeout_s: float = TIMEOUT_S) -> tuple[dict[str, Any], bytes]:
        text = json.dumps(request).encode()
        late = threading.Event()

        def end() -> None:
            late.set()
            self._process.kill()

        clock = threading.Timer(timeout_s, end)
        clock.daemon = True
        clock.start()
        try:
            reply, blob = self._exchange(text, data)
        except (OSError, EOFError, struct.error, ValueError):
            self.close()
            why = (f"took longer than {timeout_s:g} s" if late.is_set() else
                   f"ended by itself (code {self._process.returncode})")
            raise GateFailed(f"the process that runs the model {why}",
                             where=request.get("name"), remedy="Try again; if it happens again, "
                             "the model does not work on this device.") from None
        finally:
            clock.cancel()
        if "fault" in reply:
            kind = BadInput if reply["code"] == EXIT_BAD_INPUT else GateFailed
            raise kind(reply["fault"], where=request.get("name"), remedy=reply["remedy"])
        return reply, blob

    def _exchange(self, text: bytes, data: Sequence[bytes | memoryview]
                  ) -> tuple[dict[str, Any], bytes]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(_HEAD.pack(len(text), sum(len(d) for d in data)) + text)
        for part in data:
            stdin.write(part)
        stdin.flush()
        head, size = _HEAD.unpack(stdout.read(_HEAD.size))
        reply: dict[str, Any] = json.loads(stdout.read(head))
        blob = stdout.read(size)
        if len(blob) != size:
            raise EOFError
        return reply, blob


def _raw(reply: dict[str, Any], blob: bytes) -> Raw:
    shape = reply["cam"]
    return Raw(tuple(reply["logits"]), tuple(reply["features"]), reply["quality"],
               reply["size"][0], reply["size"][1],
               tuple(shape) if shape is not None else None, blob)
