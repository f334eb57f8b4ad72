"""A board for tests and proofs: this machine's own sshd, with keys made for the occasion."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Board:
    """A local sshd: where it listens and how one gets in."""

    port: int
    key: Path
    known_hosts: Path
    folder: Path
    process: subprocess.Popen

    def options(self, **changes):
        """The [options] of a target that reaches it."""
        return {"host": "127.0.0.1", "user": getpass.getuser(), "port": str(self.port),
                "key": str(self.key), "known_hosts": str(self.known_hosts),
                "folder": str(self.folder / "on-board"), **changes}

    def profile(self, run, target_id="board", threads=2, **changes):
        """Write the target's TOML into a run."""
        (run / "targets").mkdir(exist_ok=True)
        lines = [f'id = "{target_id}"', 'backend = "ssh"', f"threads = {threads}",
                 'description = "a board for tests"', "[options]",
                 *(f'{k} = "{v}"' for k, v in self.options(**changes).items())]
        (run / "targets" / f"{target_id}.toml").write_text("\n".join(lines) + "\n")


def _key(path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", path],
                   check=True)
    return Path(f"{path}.pub").read_text()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def board(folder: Path):
    """Run an sshd of one's own on a free port."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    host_key = _key(folder / "host_key")
    (folder / "authorized").write_text(_key(folder / "key"))
    kind, data = host_key.split()[:2]
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {kind} {data}\n")
    (folder / "sshd_config").write_text(f"""\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
PidFile {folder}/sshd.pid
AuthorizedKeysFile {folder}/authorized
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
LogLevel VERBOSE
""")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    sshd = shutil.which("sshd") or "/usr/sbin/sshd"
    with (folder / "sshd.log").open("w") as log:
        process = subprocess.Popen([sshd, "-D", "-e", "-f", folder / "sshd_config"],
                                   stderr=log, start_new_session=True)
    try:
        _wait(port, process, folder)
        yield Board(port, folder / "key", folder / "known_hosts", folder, process)
    finally:
        process.terminate()
        process.wait(10)


def _wait(port, process, folder):
    for _ in range(100):
        assert process.poll() is None, (folder / "sshd.log").read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("sshd does not listen")
