"""What a range estimator costs over min-max calibration, at 200 images.

    python benchmarks/estimator_time.py [IMAGES [ROUNDS]] --save estimator-time

ResNet34 at 224 pixels (random weights: the time does not depend on them). Every estimator runs
the whole calibration, inference included, by itself; the rounds are interleaved in shuffled
order. Processor time, so that other work on the machine does not count; the figure is the time
added to min-max's, in min-max's times.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from common import ROOT, finish, positional

from bedside.core.study import ModelConfig
from bedside.estimators import ESTIMATORS
from bedside.runfolder import stored
from bedside.stages import calibrate
from bedside.stages.convert import convert

sys.path.insert(0, str(ROOT / "tests" / "support"))
from tiny import write_tiny_data, write_untrained

PX, GOAL = 224, 2.0


def main() -> None:
    """Interleaved rounds."""
    words = [int(w) for w in positional()]
    images, rounds = (words + [200, 3][len(words):])[:2]
    order = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch) / "run"
        write_tiny_data(run, px=PX, count=2 * images)
        model = write_untrained(run, ModelConfig("resnet34", image_px=PX))
        convert(run, model)
        ids = [c.id for c in stored.cases(run) if c.split == "train"][:images]
        seconds: dict[str, list[float]] = {n: [] for n in ESTIMATORS}
        names = list(ESTIMATORS)
        calibrate.observe(run, model, ids[:5], names)
        for number in range(rounds):
            for k in order.permutation(len(names)):
                start = time.process_time()
                calibrate.observe(run, model, ids, [names[int(k)]])
                seconds[names[int(k)]].append(time.process_time() - start)
            print(f"round {number + 1}/{rounds}", file=sys.stderr, flush=True)
    plain = seconds["minmax"]
    added = {n: round(statistics.median(a / b - 1 for a, b in zip(s, plain, strict=True)), 3)
             for n, s in seconds.items() if n != "minmax"}
    finish({"what": "processor time that a range estimator adds to min-max calibration, in "
                    "min-max's times, ResNet34 at 224 px",
            "images": len(ids), "rounds": rounds, "added": added, "goal": GOAL,
            "minmax_s": round(statistics.median(plain), 2),
            "seconds": {n: [round(x, 2) for x in s] for n, s in seconds.items()}})
    if max(added.values()) > GOAL:
        sys.exit("an estimator adds more than the goal")


if __name__ == "__main__":
    main()
