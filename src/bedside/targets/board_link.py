"""Connection to a board: the system's ``ssh`` with strict options, carrying frames.

Why the system's ``ssh`` and not a library: it is what administrators harden, patch and audit,
it knows their keys, agents, hardware tokens and known hosts, and nothing is added to the
product. One process, one channel: neither ``scp`` nor an SFTP server is needed on the board.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Self

from bedside.core.build import Target
from bedside.core.errors import BadInput
from bedside.core.registry import did_you_mean
from bedside.runtime.launch import OnProgress
from bedside.targets.board_agent import HEAD

CONNECT_S = 15.0
# Silence of so many seconds, so many times, ends a connection.
ALIVE_S, ALIVE_TIMES = 5, 6
OLDEST_PYTHON = (3, 11)
_GREETING = "bedside-board "
_LARGEST = 2**31
_OPTIONS = ("host", "user", "port", "key", "known_hosts", "python", "folder", "wheels", "emulated")


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a connection. ``key`` None: what the user's agent and ``~/.ssh`` offer."""

    host: str
    user: str
    port: int = 22
    key: Path | None = None
    known_hosts: Path | None = None
    python: str = "python3"
    folder: str = ".cache/bedside-board"
    wheels: Path | None = None
    emulated: bool = False


def settings(target: Target) -> Settings:
    """Return the settings in a target's ``[options]``.

    Raises:
        BadInput: an unknown or missing option, or a value that cannot be.
    """
    options, where = target.options, target.id

    def refuse(fault: str, remedy: str) -> BadInput:
        return BadInput(fault, where=where, remedy=remedy)

    for name in options:
        if name not in _OPTIONS:
            raise refuse(f"unknown option {name!r}", did_you_mean(name, _OPTIONS))
    for name, pattern in (("host", r"[A-Za-z0-9_.:\[\]-]+"), ("user", r"[A-Za-z0-9_.@-]+")):
        value = options.get(name, "")
        if not re.fullmatch(pattern, value) or value.startswith("-"):
            raise refuse(f"the option {name!r} is missing or is not a valid {name}",
                         f"Give {name} = \"…\" in the target's [options].")
    port = options.get("port", "22")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise refuse(f"the port must be in 1 to 65535; got {port!r}", "Correct it.")
    if options.get("emulated", "no") not in ("yes", "no"):
        raise refuse("the option 'emulated' must be yes or no", "Correct it.")
    return Settings(
        options["host"], options["user"], int(port), _path(options, "key", where),
        _path(options, "known_hosts", where), options.get("python", "python3"),
        options.get("folder", ".cache/bedside-board"), _path(options, "wheels", where),
        options.get("emulated") == "yes")


def _path(options: dict[str, str], name: str, where: str) -> Path | None:
    if name not in options:
        return None
    path = Path(options[name]).expanduser()
    if not path.is_absolute():
        raise BadInput(f"the option {name!r} must be an absolute path", where=where,
                       remedy="Start it with / or ~.")
    if not path.exists():
        raise BadInput(f"the path in option {name!r} does not exist", where=where,
                       remedy="Correct it in the target's [options].")
    return path


def command(board: Settings, agent: str) -> list[str]:
    """Return the ``ssh`` command: known host key, one login method, no forwarding or prompts."""
    options = {
        "BatchMode": "yes", "StrictHostKeyChecking": "yes", "UpdateHostKeys": "no",
        "PasswordAuthentication": "no", "KbdInteractiveAuthentication": "no",
        "ConnectTimeout": f"{CONNECT_S:.0f}", "ConnectionAttempts": "1",
        "ServerAliveInterval": str(ALIVE_S), "ServerAliveCountMax": str(ALIVE_TIMES),
        "ClearAllForwardings": "yes", "ForwardAgent": "no", "ForwardX11": "no",
        "PermitLocalCommand": "no", "ControlMaster": "no", "ControlPath": "none",
        "RequestTTY": "no", "LogLevel": "ERROR"}
    if board.known_hosts is not None:
        options |= {"UserKnownHostsFile": _quoted(board.known_hosts),
                    "GlobalKnownHostsFile": os.devnull}
    # Code of a known length is read from the channel; frames follow it.
    size = len(agent.encode())
    start = (f"import os\ns=b''\nwhile len(s)<{size}:\n p=os.read(0,{size}-len(s))\n"
             " if not p: raise SystemExit(1)\n s+=p\n"
             "exec(compile(s,'bedside-board','exec'),{'__name__':'__main__'})")
    remote = (f"echo {_GREETING}$(uname -m); exec {shlex.quote(board.python)} "
              f"-c {shlex.quote(start)}")
    return ["ssh", "-F", "none", *(f"-o{k}={v}" for k, v in options.items()),
            *(["-i", str(board.key), "-oIdentitiesOnly=yes"] if board.key else []),
            "-p", str(board.port), "-l", board.user, "--", board.host, remote]


def _quoted(path: Path) -> str:
    return f'"{path}"' if " " in str(path) else str(path)


class Lost(Exception):
    """The connection to the board was refused or lost; the text is a clause for a row."""


class Connection:
    """An open connection. Every fault is a :class:`Lost` with the reason.

    Args:
        board: where.
        timeout_s: of the whole connection.
    """

    def __init__(self, board: Settings, timeout_s: float) -> None:
        self.board, self._late = board, False
        agent = (resources.files("bedside.targets") / "board_agent.py").read_text("utf-8")
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed in close)
        try:
            self._process = subprocess.Popen(
                command(board, agent), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=self._errors, start_new_session=True)
        except OSError as error:
            self._errors.close()
            raise Lost(f"ssh could not be started ({error.strerror})") from None
        self._timeout_s = timeout_s
        self._clock = threading.Timer(timeout_s, self._end)
        self._clock.daemon = True
        self._clock.start()
        try:
            self.shell_machine = self._greeting(agent)
            self.facts, _ = self.ask({"op": "hello", "folder": board.folder})
            self._check_python(str(self.facts.get("python", "")))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _end(self) -> None:
        self._late = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """End the connection, and with it whatever still runs on the board for it."""
        self._clock.cancel()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                assert pipe is not None
                pipe.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    @staticmethod
    def _check_python(version: str) -> None:
        numbers = re.match(r"(\d+)\.(\d+)", version)
        if numbers is None or (int(numbers[1]), int(numbers[2])) < OLDEST_PYTHON:
            raise Lost(f"the board's Python is {version[:20]}; "
                       f"{'.'.join(map(str, OLDEST_PYTHON))} or newer is needed")

    @property
    def emulated(self) -> bool:
        """Whether the board's Python runs on another processor than its shell, or a profile
        says that the whole board is emulated.
        """
        return self.board.emulated or _family(self.shell_machine) != _family(
            str(self.facts.get("machine", "")))

    def _greeting(self, agent: str) -> str:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(agent.encode())
            stdin.flush()
            for _ in range(1000):  # a board may print a banner at login first
                line = stdout.readline(4096).decode(errors="replace")
                if line.startswith(_GREETING):
                    return line.removeprefix(_GREETING).strip()
                if not line:
                    break
        except OSError:
            pass
        raise Lost(self._why())

    def ask(self, request: dict[str, Any], data: Iterable[bytes] = (), size: int = 0,
            on_progress: OnProgress | None = None) -> tuple[dict[str, Any], bytes]:
        """Send a request with ``size`` bytes of data and return the board's answer.

        Raises:
            Lost: the connection ended, or the board refused.
        """
        stdin = self._process.stdin
        assert stdin is not None
        text = json.dumps(request).encode()
        try:
            stdin.write(HEAD.pack(len(text), size) + text)
            for part in data:
                stdin.write(part)
            stdin.flush()
            while True:
                head, blob = self._receive()
                if "progress" not in head:
                    break
                if on_progress:
                    done, total = head["progress"]
                    on_progress(int(done), int(total))
        except (OSError, EOFError, ValueError, TypeError):
            raise Lost(self._why()) from None
        if "fault" in head:
            raise Lost(" ".join(str(head["fault"]).split())[:300])
        return head, blob

    def _receive(self) -> tuple[dict[str, Any], bytes]:
        size, data = HEAD.unpack(self._exactly(HEAD.size))
        if size > _LARGEST or data > _LARGEST:
            raise ValueError("a frame that is too large")
        head = json.loads(self._exactly(size))
        if not isinstance(head, dict):
            raise ValueError("not a frame")
        return head, self._exactly(data)

    def _exactly(self, count: int) -> bytes:
        stdout = self._process.stdout
        assert stdout is not None
        found = stdout.read(count)
        if len(found) != count:
            raise EOFError
        return found

    def _why(self) -> str:
        """Return what ended the connection, without the name of a machine or a path."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self._errors.seek(0)
        said = self._errors.read()[-8000:].decode(errors="replace")
        if self._late:
            return f"the board gave no answer within {self._timeout_s:g} s"
        for sign, reason in _REASONS:
            if sign in said:
                return reason
        if self._process.returncode in (126, 127):
            return ("the board has no such Python; name the one with bedside's packages as "
                    "'python' in the target's [options]")
        last = said.strip().splitlines()[-1] if said.strip() else ""
        shown = "" if self.board.host in last or "/" in last else last[:160]
        return "the connection to the board was lost" + (f" ({shown})" if shown else "")

    # ------------------------------------------------------------------ objects

    def send(self, objects: Sequence[tuple[str, Path | bytes]]) -> None:
        """Copy the objects, (SHA-256, content), that the board does not have yet."""
        wanted = dict(objects)
        head, _ = self.ask({"op": "missing", "objects": list(wanted)})
        missing = head.get("missing")
        if not isinstance(missing, list) or not set(map(str, missing)) <= set(wanted):
            raise Lost("the board's answer is unreadable")
        for sha256 in missing:
            content = wanted[sha256]
            data = content if isinstance(content, bytes) else content.read_bytes()
            self.ask({"op": "put", "sha256": sha256}, [data], len(data))


_REASONS = (
    ("HOST IDENTIFICATION HAS CHANGED", "the board's host key is not the one that is known: "
     "find out why before you go on"),
    ("Host key verification failed", "the board's host key is not known: compare its "
     "fingerprint with the board's own (ssh-keygen -lf), then add it to the known hosts"),
    ("No ED25519 host key is known", "the board's host key is not known"),
    ("Permission denied", "the board does not accept the key or the user"),
    ("Connection refused", "the board refused the connection"),
    ("Could not resolve hostname", "the board's host name is not known"),
    ("No route to host", "there is no way to the board"),
    ("Network is unreachable", "there is no way to the board"),
    ("timed out", "the board did not answer in time"),
)


def _family(machine: str) -> str:
    if machine.startswith(("arm", "aarch64")):
        return "arm"
    return "x86" if machine in ("x86_64", "amd64", "AMD64", "i686", "i386") else machine
