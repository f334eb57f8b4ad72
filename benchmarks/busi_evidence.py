"""What INT8 costs on BUSI, after the best calibration, over every image not used for calibration.

    python benchmarks/busi_evidence.py [NETWORK…] [--trained DIR] [--save NAME]

The networks are those that prove_training.py trained (runs/proof/training-<network>, or DIR/…; they
are copied, never written to). For each, INT8 is made with every range estimator, with and without
bias correction; the one to keep is chosen on validation images alone. Then AUC and labels of
float32 and INT8 are compared on all images that did not calibrate it. Resumable: each network's
figure lies in runs/proof/busi-evidence-<network>/figure.json.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
from common import RUNS, finish, positional

from bedside import schemes
from bedside.core import codec
from bedside.core.build import Variant
from bedside.core.study import CalibrationConfig
from bedside.estimators import ESTIMATORS
from bedside.flows import variants
from bedside.flows.search.scorer import CandidateScorer
from bedside.metrics import stats
from bedside.metrics.inputs import log_odds
from bedside.runfolder import artefact, layout, stored
from bedside.runtime.litert import LOGITS, LiteRTModel
from bedside.stages import calibrate

NETWORKS = ("efficientnet_lite0", "resnet34", "googlenet", "vgg16")
CONFIG = CalibrationConfig(images=100)
CANDIDATES = tuple(f"int8{extra}+{name}" for name in ESTIMATORS for extra in ("", "+biascorrected"))
AUROC_GOAL, FLIPS_GOAL = 0.005, 0.01
Z = 1.959964


def prepared(network: str, trained: Path) -> Path:
    """A run of our own with the trained network's data, pixels and float model."""
    source, run = trained / f"training-{network}", RUNS / f"busi-evidence-{network}"
    if not artefact.finished(layout.model_dir(source, network), "convert"):
        sys.exit(f"{source.name}: not trained yet; run prove_training.py {network} first")
    mine = layout.model_dir(run, network) / artefact.MANIFEST
    theirs = layout.model_dir(source, network) / artefact.MANIFEST
    if not mine.is_file() or mine.read_bytes() != theirs.read_bytes():
        shutil.rmtree(run, ignore_errors=True)
        run.mkdir(parents=True)
        for part in ("data", "cache", "models"):
            shutil.copytree(source / part, run / part)
        shutil.copyfile(layout.study_file(source), layout.study_file(run))
    return run


def predicted(run: Path, network: str, path: Path, ids: list[str]) -> np.ndarray:
    """Logits (n, K) of images by a file."""
    model = LiteRTModel(path, threads=1)
    with stored.pixel_store(run, stored.model_spec(run, network).preprocess) as store:
        return np.asarray([model.run(image)[LOGITS][0] for image in store.tensors(ids)])


def compared(labels: np.ndarray, old: np.ndarray, new: np.ndarray, positive: int) -> dict:
    """AUC of both with DeLong's paired interval of the loss, and labels that changed."""
    truth = (labels == positive).astype(np.int64)
    scores = np.stack([log_odds(old.astype(np.float64), positive),
                       log_odds(new.astype(np.float64), positive)])
    areas, covariance = stats.delong_covariance(truth, scores)
    loss = float(areas[0] - areas[1])
    spread = float(np.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0.0)))
    changed = int((old.argmax(1) != new.argmax(1)).sum())
    return {"n": len(labels), "positives": int(truth.sum()),
            "float32_auroc": codec.encode(stats.auc_estimate(truth, scores[0])),
            "int8_auroc": codec.encode(stats.auc_estimate(truth, scores[1])),
            "auroc_lost": {"value": loss, "low": loss - Z * spread, "high": loss + Z * spread},
            "labels_flipped": changed,
            "share_flipped": codec.encode(stats.proportion(changed, len(labels), "no image"))}


def figure(network: str, trained: Path) -> dict:
    """One network's figure."""
    run = prepared(network, trained)
    done = run / "figure.json"
    if done.is_file():
        found: dict = json.loads(done.read_text())
        return found
    scorer = CandidateScorer(run, network)
    table = {}
    for scheme in CANDIDATES:
        choice = schemes.parse(scheme)
        variants.make(run, network, choice, CONFIG)
        folder = layout.variant_dir(run, layout.variant_id(network, str(choice)))
        table[scheme] = scorer.score((folder / layout.VARIANT_MODEL).read_bytes())
        print(f"{network}: {scheme} {table[scheme]}", file=sys.stderr)
    # More AUC than float32 has is luck, so it earns nothing.
    best = min(table, key=lambda s: (max(scorer.reference.auroc - table[s].auroc, 0.0),
                                     table[s].flips, table[s].logit_damage, s))
    choice = schemes.parse(best)
    folder = layout.variant_dir(run, layout.variant_id(network, str(choice)))
    variant = codec.read_json(Variant, folder / layout.VARIANT)
    used = set(calibrate.choose(run, network, variants.calibration_of(choice, CONFIG)))
    cases = [c for c in stored.cases(run)
             if c.split in ("train", "val", "test") and c.id not in used]
    ids = [c.id for c in cases]
    task = stored.task(run)
    labels = np.array([task.classes.index(c.label) for c in cases])
    positive = task.classes.index(task.positive or task.classes[-1])
    old = predicted(run, network, layout.model_dir(run, network) / layout.FLOAT_MODEL, ids)
    new = predicted(run, network, folder / layout.VARIANT_MODEL, ids)
    parts = {"all images that did not calibrate": np.ones(len(ids), np.bool_),
             "of these, test images": np.array([c.split == "test" for c in cases])}
    found = {
        "chosen": variant.id, "candidates": len(table), "calibration_images": len(used),
        "validation": {s: {"auroc": v.auroc, "flips": v.flips, "damage": v.logit_damage}
                       for s, v in table.items()},
        **{name: compared(labels[rows], old[rows], new[rows], positive)
           for name, rows in parts.items()}}
    artefact.write_text(done, json.dumps(found, indent=1))
    return found


def main() -> None:
    """Every network that was asked for, by default all four."""
    words, trained = positional(), RUNS
    if "--trained" in words:
        at = words.index("--trained")
        trained = Path(words[at + 1])
        words = words[:at] + words[at + 2:]
    found = {n: figure(n, trained) for n in words or NETWORKS}
    every = [f["all images that did not calibrate"] for f in found.values()]
    finish({"what": "INT8 against float32 on BUSI (BreastMNIST's task), calibration chosen on "
                    "validation, all images that did not calibrate; training images are among them",
            "goal_auroc_lost": AUROC_GOAL, "goal_share_flipped": FLIPS_GOAL,
            "met": all(e["auroc_lost"]["value"] <= AUROC_GOAL
                       and e["labels_flipped"] <= FLIPS_GOAL * e["n"] for e in every),
            "networks": found})


if __name__ == "__main__":
    main()
