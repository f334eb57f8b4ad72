"""A folder of many images: listed, grouped and split in how much memory and time?

``python benchmarks/large_folder.py [IMAGES] [--save large-folder]`` (100,000 by default)
writes tiny PNGs of noise into a temporary folder, one in fifty a near duplicate, and runs the
data stage in a process of its own. Prints one JSON document with the peak memory of that process.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from common import finish, positional
from PIL import Image

LIMIT_BYTES = 1_000_000_000

WORK = """
import json, sys
from pathlib import Path
from bedside.runfolder import layout
from bedside.stages.data.stage import prepare
from bedside.core.study import DataConfig, Study
run = Path(sys.argv[2])
prepare(run, Study(data=DataConfig(source=sys.argv[1])))
audit = json.loads((layout.data_dir(run) / layout.AUDIT).read_text())
print(json.dumps({k: audit[k] for k in ("read", "groups", "largest_group", "used")}))
"""


def write(root: Path, images: int) -> int:
    """Write the pictures; returns how many are twins of another."""
    rng = np.random.default_rng(0)
    twins = 0
    for label in ("benign", "malignant"):
        for start in range(0, images // 2, 1000):
            folder = root / label / f"{start // 1000:03d}"
            folder.mkdir(parents=True)
            block = rng.integers(40, 216, (1000, 32, 32), dtype=np.uint8)
            for i in range(min(1000, images // 2 - start)):
                pixels = block[i]
                if i % 50 == 1:
                    pixels = np.rint(block[i - 1] * 0.9).astype(np.uint8)
                    twins += 1
                Image.fromarray(pixels).save(folder / f"{i:04d}.png", compress_level=1)
    return twins


def main() -> None:
    words = positional()
    images = int(words[0]) if words else 100_000
    with tempfile.TemporaryDirectory() as scratch:
        twins = write(Path(scratch) / "set", images)
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", WORK, f"{scratch}/set", f"{scratch}/run"],
                              check=True, capture_output=True, text=True)
        seconds = time.perf_counter() - start
    # The process has no children of its own: it works in threads.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    facts = json.loads(done.stdout)
    expected = images - twins
    finish({"what": "listing, grouping and splitting a folder of many images", "images": images,
            **facts, "expected_groups": expected, "seconds": round(seconds, 1),
            "peak_memory_bytes": peak, "goal_memory_bytes": LIMIT_BYTES})


if __name__ == "__main__":
    main()
