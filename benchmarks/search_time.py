"""How long the budget search takes on ResNet34.

    python benchmarks/search_time.py [--save search-time]

ResNet34 at full width and 224 pixels, trained for one epoch on synthetic ultrasound (enough for
the time, not for a diagnosis), judged on 100 validation images: ``bedside search RUN`` from the
start, sensitivity of every layer included.
A budget that INT8 by itself meets ends the bisection at once, so a second search asks for no
changed label and no loss at all. Training resumes under runs/proof/search-time.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time

from common import RUNS, finish

from bedside.cli.output import Reporter
from bedside.core.study import DataConfig, ModelConfig, PhantomConfig, Study, TrainConfig
from bedside.flows import study
from bedside.flows.check import check as check_study
from bedside.runfolder import layout

MODEL, GOAL_MINUTES = "resnet34", 15
BUDGETS = {"the default budget": [],
           "no loss at all": ["--max-auroc-loss", "0", "--max-flips", "0"]}


def main() -> None:
    """Train where it is not there, then search."""
    run = RUNS / "search-time"
    config = check_study(Study(
        data=DataConfig(source="phantom", proportions=(300, 100, 20), phantom=PhantomConfig(
            images=420, height_px=224, width_px=224, difficulty=0.4)),
        models=(ModelConfig(MODEL, image_px=224, epochs=1),), train=TrainConfig(threads=1)))
    with study.locked(run), Reporter() as progress:
        study.through(run, config, "convert", None, progress)
    rows = []
    for name, flags in BUDGETS.items():
        shutil.rmtree(layout.search_dir(run, MODEL), ignore_errors=True)
        shutil.rmtree(run / "calibration", ignore_errors=True)
        load, start = os.getloadavg()[0], time.monotonic()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-m", "bedside", "search", str(run), "--model",
                               MODEL, "--json", *flags], check=True, stdout=subprocess.PIPE,
                              text=True)
        minutes = (time.monotonic() - start) / 60
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        found = json.loads(done.stdout)
        rows.append({"budget": name, "minutes": round(minutes, 2),
                     "processor_minutes": round(busy / 60, 2), "load_before": round(load, 1),
                     "found": found})
        print(f"{name}: {minutes:.1f} min", file=sys.stderr, flush=True)
    finish({"what": "bedside search on ResNet34 at 224 px and full width, 100 validation images",
            "goal_minutes": GOAL_MINUTES, "rows": rows})
    if max(r["minutes"] for r in rows) > GOAL_MINUTES:  # type: ignore[type-var]
        sys.exit("slower than the goal")


if __name__ == "__main__":
    main()
