"""Out-of-fold AUC of EfficientNet-Lite0 on BUSI over five grouped folds.

Every image is predicted once, by a network that saw neither it nor a near-duplicate of it. Each
fold's best epoch is chosen on a validation part carved from its training folds, never on the fold.

    python benchmarks/prove_folds.py            all folds that are missing, then the figure
    python benchmarks/prove_folds.py 2          fold 2 only

Saves docs/proof/folds.json; resumable by epoch. A fold trains on one thread, so that two folds can
run side by side on two cores.
"""

from __future__ import annotations

import csv
import sys

import numpy as np
from common import RUNS, need_busi, save

from bedside import metrics
from bedside.cli.output import Reporter
from bedside.core.study import DataConfig, EvaluateConfig, ModelConfig, Study, TrainConfig
from bedside.flows import study
from bedside.flows.check import check as check_study
from bedside.metrics.design import clusters_of
from bedside.runfolder import stored
from bedside.stages.data.split import folds

K = 5
SEED = 0
NETWORK = "efficientnet_lite0"


def _data(split_file: str | None = None) -> DataConfig:
    return DataConfig(source=str(need_busi()), merge={"other": ("benign", "normal")},
                      split_file=split_file)


def _study(data: DataConfig) -> Study:
    return check_study(Study(
        data=data, models=(ModelConfig(NETWORK, image_px=224, epochs=15),),
        schemes=("float32", "int8"), seed=SEED, train=TrainConfig(threads=1),
        evaluate=EvaluateConfig(splits=("test",), rounds=1, warmup=2, samples=5)))


def _split_file(fold: int) -> str:
    """A given split whose test part is the fold and whose validation is carved from the rest."""
    path = RUNS / f"fold-{fold}.csv"
    if path.is_file():
        return str(path)
    base = RUNS / "folds-data"
    config = _study(_data())
    with study.locked(base), Reporter() as progress:
        study.through(base, config, "data", None, progress)
    cases = stored.cases(base)
    number = folds(cases, K, SEED)
    validation = folds([c for c in cases if number[c.id] != fold], 8, SEED + 1)
    with path.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["file", "split"])
        for case in cases:
            part = "test" if number[case.id] == fold else (
                "val" if validation[case.id] == 0 else "train")
            writer.writerow([case.file, part])
    return str(path)


def run_fold(fold: int) -> None:
    """Train on the other folds and predict this one, float32 and int8."""
    config = _study(_data(_split_file(fold)))
    run = RUNS / f"fold-{fold}"
    with study.locked(run), Reporter() as progress:
        study.through(run, config, "evaluate", None, progress)


def main(only: list[int]) -> None:
    """Run the folds, then pool their predictions."""
    for fold in only or range(K):
        run_fold(fold)
    if only:
        return
    facts: dict[str, object] = {"what": "out-of-fold predictions on BUSI, five grouped folds, "
                                        "BreastMNIST's task", "network": NETWORK, "folds": K}
    decisions = {}
    for scheme in ("float32", "int8"):
        parts = [stored.predictions(RUNS / f"fold-{k}", f"{NETWORK}-{scheme}", "cpu")
                 for k in range(K)]
        labels = np.concatenate([p.labels for p in parts])
        logits = np.concatenate([p.logits for p in parts])
        decisions[scheme] = logits.argmax(1)
        group = {c.id: c.group or c.id for c in stored.cases(RUNS / "folds-data")}
        clusters = clusters_of([group[str(i)] for p in parts for i in p.ids])
        found = metrics.evaluate(labels, logits, 1, clusters)
        per_fold = [metrics.evaluate(p.labels, p.logits, 1)["auroc"].value for p in parts]
        facts[scheme] = {
            "images": len(labels), "malignant": int(labels.sum()),
            **{n: {"value": e.value, "low": e.low, "high": e.high, "n": e.n}
               for n, e in found.items()},
            "auroc_per_fold": per_fold, "goal_auroc": 0.93}
    facts["labels_flipped_by_int8"] = int((decisions["float32"] != decisions["int8"]).sum())
    save("folds", facts)


if __name__ == "__main__":
    main([int(a) for a in sys.argv[1:]])
