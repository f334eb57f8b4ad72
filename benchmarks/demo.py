"""``bedside demo`` from nothing: minutes and peak memory of the whole process tree.

    python benchmarks/demo.py [--save demo]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from common import finish


def tree_bytes(process: psutil.Process) -> int:
    """Resident memory of a process and its children."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def main() -> None:
    """Run the demo in a temporary folder and watch it."""
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch) / "demo"
        start = time.perf_counter()
        process = psutil.Popen([sys.executable, "-m", "bedside", "demo", "--out", str(run)],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        peak = 0
        while process.poll() is None:
            peak = max(peak, tree_bytes(process))
            time.sleep(0.25)
        seconds = time.perf_counter() - start
        rows = json.loads((run / "report" / "results.json").read_text())["rows"]
    finish({"what": "bedside demo: two networks, four schemes, from nothing to the report",
            "exit_code": process.returncode, "minutes": round(seconds / 60, 2),
            "peak_memory_bytes": peak, "goal_minutes": 6, "goal_memory_bytes": 3_000_000_000,
            "rows": [{"variant": r["variant"], "status": r["status"],
                      "size_bytes": r["size_bytes"], "accuracy": r["metrics"]["accuracy"],
                      "auroc": r["metrics"]["auroc"], "latency_ms": r["latency_ms"]}
                     for r in rows]})


if __name__ == "__main__":
    main()
