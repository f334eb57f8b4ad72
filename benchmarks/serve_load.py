"""The server under load: sustained rate, p99 at half the goal's rate, memory over time.

    python benchmarks/serve_load.py [SECONDS] [--save serve-load]

EfficientNet-Lite0 INT8 at 224, PNG uploads, over loopback; 30 minutes by default, of which the
first tenth is at full load and the rest at 15 images a second.
"""

from __future__ import annotations

import http.client
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
from common import finish, positional
from device_bundle import bundle, images

PORT = 18765
CLIENTS = 4


def _post(link: http.client.HTTPConnection, data: bytes) -> int:
    link.request("POST", "/predict", data, {"Content-Type": "image/png"})
    reply = link.getresponse()
    reply.read()
    return reply.status


def _memory(pid: int) -> int:
    """Resident bytes of the server and its children."""
    total = 0
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for number in (pid, *map(int, children)):
        for line in Path(f"/proc/{number}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1]) * 1024
    return total


def _full(data: list[bytes], seconds: float) -> float:
    """Images a second that four clients get answered."""
    done = [0] * CLIENTS
    end = time.monotonic() + seconds

    def client(number: int) -> None:
        link = http.client.HTTPConnection("127.0.0.1", PORT)
        while time.monotonic() < end:
            done[number] += _post(link, data[done[number] % len(data)]) == 200

    threads = [threading.Thread(target=client, args=(i,)) for i in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / seconds


def _paced(data: list[bytes], seconds: float, rate: float, pid: int
           ) -> tuple[list[float], list[int]]:
    """Latencies in ms from the moment each request was due, and memory every tenth of the time."""
    link = http.client.HTTPConnection("127.0.0.1", PORT)
    start, taken, memory = time.monotonic(), [], []
    for number in range(int(seconds * rate)):
        due = start + number / rate
        time.sleep(max(0.0, due - time.monotonic()))
        assert _post(link, data[number % len(data)]) == 200
        taken.append((time.monotonic() - due) * 1e3)
        if number % max(1, int(seconds * rate / 10)) == 0:
            memory.append(_memory(pid))
    return taken, memory


def main() -> None:
    """Serve, load, measure."""
    seconds = float(positional()[0]) if positional() else 1800.0
    path = bundle()
    data = [p.read_bytes() for p in images(40)]
    server = subprocess.Popen([sys.executable, "-m", "bedside", "serve", str(path),
                               "--store", str(path.parent / "store"),
                               "--port", str(PORT)], stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            time.sleep(0.1)
            try:
                if _post(http.client.HTTPConnection("127.0.0.1", PORT), data[0]) == 200:
                    break
            except OSError:
                continue
        rate = _full(data, seconds / 10)
        taken, memory = _paced(data, seconds * 9 / 10, 15.0, server.pid)
    finally:
        server.terminate()
        server.wait(30)
    finish({"what": "server load, EfficientNet-Lite0 INT8 at 224, PNG uploads",
            "seconds": seconds, "images_per_s": round(rate, 1),
            "p99_ms_at_15_per_s": round(float(np.percentile(taken, 99)), 1),
            "requests_at_15_per_s": len(taken), "memory_bytes": memory,
            "memory_growth": round(memory[-1] / memory[1] - 1, 4) if len(memory) > 1 else None,
            "goal_images_per_s": 30, "goal_p99_ms": 250})


if __name__ == "__main__":
    main()
