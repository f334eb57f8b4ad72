"""How do time and memory of the audit grow from 12,500 to 100,000 images?

``python benchmarks/audit_growth.py [N,N,…] [--save audit-growth]`` runs the data stage, audit
included, on folders of small pictures (``large_folder.py`` writes them, one in fifty a twin), each
in a process of its own. Growth is compared with n log n; on pictures of a hospital's size the time
of one image is measured apart, on BUSI where it lies beside the checkout.
"""

from __future__ import annotations

import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import BUSI, finish, positional
from large_folder import LIMIT_BYTES, WORK, write

SIZES = (12_500, 25_000, 50_000, 100_000)
GOAL_MINUTES = 15

PER_IMAGE = """
import sys, time
from dataclasses import replace
from pathlib import Path
from bedside.stages.data import scan
from bedside.readers.folder import read
listing = read(Path(sys.argv[1]))
files = [c.file for c in listing.cases]
start = time.process_time()
with scan.Thumbs() as thumbs:
    hashes = scan.file_hashes(listing.root, files)
    scan.scan(listing.root, [replace(c, sha256=h) for c, h in zip(listing.cases, hashes)], thumbs)
print((time.process_time() - start) / len(files) * 1000)
"""


def one(images: int) -> dict[str, Any]:
    """Seconds, processor seconds and peak memory of the data stage on ``images`` pictures."""
    with tempfile.TemporaryDirectory() as scratch:
        twins = write(Path(scratch) / "set", images)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.perf_counter()
        # The child prints its own peak: the maximum over all children would hide smaller ones.
        code = WORK + ("import resource\n"
                       "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)\n")
        done = subprocess.run([sys.executable, "-c", code, f"{scratch}/set", f"{scratch}/run"],
                              check=True, capture_output=True, text=True)
        seconds = time.perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    lines = done.stdout.splitlines()
    found = json.loads(lines[0])
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"images": images, "seconds": round(seconds, 1), "processor_seconds": round(cpu, 1),
            "peak_memory_bytes": int(lines[1]), "groups": found["groups"],
            "expected_groups": images - twins, "largest_group": found["largest_group"]}


def main() -> None:
    """Measure and save."""
    words = positional()
    sizes = [int(s) for s in words[0].split(",")] if words else list(SIZES)
    rows = [one(n) for n in sizes]
    first, last = rows[0], rows[-1]
    ratio = last["processor_seconds"] / first["processor_seconds"]
    bound = (last["images"] * math.log(last["images"])) / (
        first["images"] * math.log(first["images"]))
    facts: dict[str, Any] = {
        "what": "the data stage with its audit, by number of images", "rows": rows,
        "growth_of_processor_time": round(ratio, 2), "n_log_n_growth": round(bound, 2),
        "goal_minutes": GOAL_MINUTES, "goal_memory_bytes": LIMIT_BYTES}
    if BUSI.is_dir():
        done = subprocess.run([sys.executable, "-c", PER_IMAGE, str(BUSI)], check=True,
                              capture_output=True, text=True)
        milliseconds = float(done.stdout)
        facts["busi_processor_ms_per_image"] = round(milliseconds, 2)
        facts["minutes_for_100000_of_busi_on_two_cores_estimated"] = round(
            milliseconds * 100_000 / 2 / 60_000, 1)
    finish(facts)


if __name__ == "__main__":
    main()
