"""Images a second from PNG files to the pixel store, and what threads gain over none.

``python benchmarks/preprocess_rate.py [DATASET] [--save preprocess-rate]``: BUSI beside the
checkout, or synthetic images where it is absent. Both rates come from the same run over the
same files.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from common import BUSI, finish, positional

from bedside.core.study import DataConfig, PhantomConfig, Study
from bedside.core.types import Preprocess
from bedside.runfolder import stored
from bedside.stages.data.cache import build_cache
from bedside.stages.data.stage import prepare

GOAL = 150


def rate(run: Path, spec: Preprocess, workers: int) -> float:
    start = time.perf_counter()
    build_cache(run, spec, workers)
    return len(stored.cases(run)) / (time.perf_counter() - start)


def main() -> None:
    words = positional()
    given = Path(words[0]) if words else BUSI
    source = str(given) if given.is_dir() else "phantom"
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch) / "run"
        prepare(run, Study(data=DataConfig(source=source, phantom=PhantomConfig(images=400))))
        rate(run, Preprocess(32, 32), 2)
        # Sizes differ by a pixel so that each is a store of its own; turns even out the machine.
        one = [rate(run, Preprocess(220 + i, 224), 1) for i in range(3)]
        two = [rate(run, Preprocess(224 + i, 224), 2) for i in range(3)]
    finish({
        "what": "PNG files to the pixel store, images a second",
        "source": "busi" if source != "phantom" else source,
        "images_per_s": {"one thread": round(max(one), 1), "two threads": round(max(two), 1)},
        "ratio": round(max(two) / max(one), 2), "goal_images_per_s": GOAL})


if __name__ == "__main__":
    main()
