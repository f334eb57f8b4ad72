"""Agent on a board while ``bedside`` measures there (standard library only).

Its text is sent through ``ssh`` and run by the board's Python, so nothing has to be installed
for it. Frames on standard input and output: bytes of JSON (u32) and of data (u64), little
endian, the JSON, the data. A job works in its own folder, deleted with it, and ends when the
connection does. Objects (models, the runtime, wheels) are kept by their SHA-256.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import selectors
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

HEAD = struct.Struct("<IQ")
# Objects unused for this long are deleted: a board's card is small.
KEPT_S = 14 * 86400.0
LOCK_WAIT_S = 20.0


def read_exactly(count: int) -> bytes:
    """Read bytes from the connection; end this process where it is closed."""
    parts: list[bytes] = []
    while count:
        part = os.read(0, min(count, 1 << 20))
        if not part:
            raise SystemExit(1)
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def answer(head: dict[str, Any], data: bytes = b"") -> None:
    """Send one frame."""
    text = json.dumps(head).encode()
    view = memoryview(HEAD.pack(len(text), len(data)) + text + data)
    while view:
        view = view[os.write(1, view):]


class Board:
    """The folder on this board: ``objects``, ``unpacked`` and the jobs under way."""

    def __init__(self, folder: str) -> None:
        self.root = Path(folder).expanduser().resolve()
        for name in ("objects", "unpacked", "jobs"):
            (self.root / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)

    def lock(self) -> bool:
        """Return whether no other measurement runs here: two would spoil each other's times."""
        end = time.monotonic() + LOCK_WAIT_S
        while True:
            with contextlib.suppress(OSError):
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            if time.monotonic() > end:
                return False
            time.sleep(0.2)

    def tidy(self) -> None:
        """Remove leftovers of jobs that a power cut ended, and objects long unused."""
        for job in (self.root / "jobs").iterdir():
            shutil.rmtree(job, ignore_errors=True)
        for kind in ("objects", "unpacked"):
            for path in (self.root / kind).iterdir():
                if time.time() - path.stat().st_mtime > KEPT_S or path.name.startswith("."):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    def object(self, sha256: str) -> Path:
        """Return the path of an object (whether it exists or not)."""
        if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
            raise ValueError("not a SHA-256")
        return self.root / "objects" / sha256

    def missing(self, names: list[str]) -> list[str]:
        """Return the objects that are missing here."""
        return [n for n in names if not self.object(n).is_file()]

    def put(self, sha256: str, data: bytes) -> None:
        """Store an object, whole or not at all."""
        if hashlib.sha256(data).hexdigest() != sha256:
            raise ValueError("an object arrived damaged")
        part = self.root / "objects" / f".{sha256}"
        with part.open("wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        part.rename(self.object(sha256))

    def unpacked(self, sha256: str) -> str:
        """Return the folder of an unpacked zip (a wheel is one), unpacked once."""
        folder = self.root / "unpacked" / sha256
        if not folder.is_dir():
            scratch = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
            with zipfile.ZipFile(self.object(sha256)) as archive:
                archive.extractall(scratch)
            scratch.rename(folder)
        os.utime(folder)
        os.utime(self.object(sha256))
        return str(folder)

    def run(self, request: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        """Run a module of Python in a folder with the named objects and files."""
        job = Path(tempfile.mkdtemp(dir=self.root / "jobs"))
        try:
            for name, sha256 in request["objects"].items():
                os.utime(self.object(sha256))
                try:
                    os.link(self.object(sha256), inside(job, name))
                except OSError:
                    shutil.copyfile(self.object(sha256), inside(job, name))
            at = 0
            for name, size in request["files"]:
                inside(job, name).write_bytes(data[at:at + size])
                at += size
            ended = follow(request, job, [self.unpacked(z) for z in request["packages"]])
            results, blob = {}, b""
            for name in request["results"]:
                if inside(job, name).is_file():
                    content = inside(job, name).read_bytes()
                    results[name] = len(content)
                    blob += content
            return {**ended, "results": results}, blob
        finally:
            shutil.rmtree(job, ignore_errors=True)


def inside(job: Path, name: str) -> Path:
    """Return a path in the job's folder, whose folders exist."""
    path = (job / name).resolve()
    if not path.is_relative_to(job):
        raise ValueError("a name leads out of the job")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def follow(request: dict[str, Any], job: Path, paths: list[str]) -> dict[str, Any]:
    """Run the command to its end, pass progress on, and end it with the connection."""
    environment = {**os.environ, **request["environment"], "PYTHONPATH": os.pathsep.join(paths)}
    with (job / ".stderr").open("w+b") as errors:
        child = subprocess.Popen(
            [request["python"], "-P", *request["arguments"]], cwd=job, env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
            start_new_session=True)
        late = False
        try:
            late = wait(child, time.monotonic() + request["timeout_s"])
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        errors.seek(0)
        text = errors.read()[-4000:].decode(errors="replace")
    return {"code": child.returncode, "late": late, "stderr": text}


def wait(child: subprocess.Popen[bytes], end: float) -> bool:
    """Follow a child until it closes its output; return whether it timed out."""
    assert child.stdout is not None
    output = child.stdout.fileno()
    line = b""
    with selectors.DefaultSelector() as selector:
        selector.register(0, selectors.EVENT_READ)
        selector.register(output, selectors.EVENT_READ)
        while True:
            left = end - time.monotonic()
            if left <= 0:
                return True
            for key, _ in selector.select(min(left, 60.0)):
                if key.fd == 0:  # nothing is sent during a job: the connection has ended
                    raise SystemExit(1)
                part = os.read(output, 65536)
                if not part:
                    return False
                *whole, line = (line + part).split(b"\n")
                for numbers in (w.split() for w in whole):
                    if len(numbers) == 2 and all(n.isdigit() for n in numbers):
                        answer({"progress": [int(n) for n in numbers]})


def main() -> None:
    """Serve one connection."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    board: Board | None = None
    while True:
        head, size = HEAD.unpack(read_exactly(HEAD.size))
        request = json.loads(read_exactly(head))
        data = read_exactly(size)
        try:
            if request["op"] == "hello":
                board = Board(request["folder"])
                if not board.lock():
                    answer({"fault": "another measurement is running on the board"})
                    return
                board.tidy()
                answer({"python": platform.python_version(), "machine": platform.machine(),
                        "system": platform.system()})
                continue
            assert board is not None
            if request["op"] == "missing":
                answer({"missing": board.missing(request["objects"])})
            elif request["op"] == "put":
                board.put(request["sha256"], data)
                answer({})
            else:
                answer(*board.run(request, data))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            said = error.strerror if isinstance(error, OSError) and error.strerror else error
            answer({"fault": f"the board could not do it ({said})"})


if __name__ == "__main__":
    main()
