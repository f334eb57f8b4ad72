"""Train one network on BUSI with BreastMNIST's task and its given split.

    python benchmarks/prove_training.py efficientnet_lite0 [THREADS]

Saves docs/proof/training-<network>.json and its history.csv. Resumable: the run folder under
runs/proof/ continues where it stopped; seconds are summed over epochs.
"""

from __future__ import annotations

import csv
import shutil
import sys
from dataclasses import replace

from common import PROOF, RUNS, need_busi, save

from bedside.cli.output import Reporter
from bedside.core.study import DataConfig, ModelConfig, Study, TrainConfig
from bedside.flows import study
from bedside.flows.check import check as check_study
from bedside.models import default_config
from bedside.runfolder import artefact, layout, stored

SETTINGS = {
    "efficientnet_lite0": ModelConfig("efficientnet_lite0", image_px=224, epochs=15),
    "vgg16": ModelConfig("vgg16", image_px=64, epochs=10, batch_size=16, learning_rate=3e-4),
    "googlenet": ModelConfig("googlenet", image_px=96, epochs=30, batch_size=16,
                             learning_rate=1e-3),
    "resnet34": ModelConfig("resnet34", image_px=96, epochs=30, batch_size=16,
                            learning_rate=1e-3),
}
GOALS = {"efficientnet_lite0": None, "vgg16": None, "googlenet": 0.80, "resnet34": 0.80}


def main(name: str, threads: int = 2) -> None:
    """Train ``name`` and save its figures."""
    busi = need_busi()
    settings = SETTINGS.get(name) or default_config(name)
    config = check_study(Study(
        data=DataConfig(source=str(busi), merge={"other": ("benign", "normal")},
                        split_file=str(busi / "official_split.csv"), regroup=True),
        models=(replace(settings, id=name),), train=TrainConfig(threads=threads)))
    run = RUNS / f"training-{name}"
    with study.locked(run), Reporter() as progress:
        study.through(run, config, "convert", None, progress)
    folder = layout.model_dir(run, name)
    artefact.check(folder, "train")
    with (folder / layout.HISTORY).open() as handle:
        history = list(csv.DictReader(handle))
    with (folder / "timings.csv").open() as handle:
        seconds = sum(float(r["seconds"]) for r in csv.DictReader(handle))
    counts: dict[str, int] = {}
    for case in stored.cases(run):
        counts[case.split] = counts.get(case.split, 0) + 1
    PROOF.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(folder / layout.HISTORY, PROOF / f"training-{name}-history.csv")
    best = max(history, key=lambda r: float(r["val_auroc"] or 0))
    save(f"training-{name}", {
        "what": "training on BUSI, BreastMNIST's task and given split, near-duplicates regrouped",
        "network": name, "image_px": settings.image_px, "width": settings.width,
        "threads": threads,
        "images": counts, "epochs": len(history), "minutes": round(seconds / 60, 1),
        "best_epoch": int(best["epoch"]), "best_val_auroc": round(float(best["val_auroc"]), 4),
        "goal_val_auroc": GOALS.get(name)})


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:3]))
