"""Measure how much a split by image inflates AUC: cross-validation by image and by group.

Both arms predict every image once, with the same network, recipe, seed and number of folds. Only
in the first may near-duplicates of an image, or other images of its patient, be in its training
part, so its excess over the second is the optimism of a split by image.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bedside import metrics
from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.leakage import Arm, Leakage
from bedside.core.progress import Progress
from bedside.core.study import ModelConfig, Study
from bedside.core.types import Case, Estimate
from bedside.flows import study
from bedside.runfolder import artefact, layout, stored
from bedside.stages.data import split

Floats = npt.NDArray[np.float32]

STAGE = "leakage"
PREDICTIONS = "predictions.csv"
ARMS = {"image": "by image", "group": "by group"}
_FORMAT = 2
_RESAMPLES = 2000


def leakage(run: Path, config: Study, model: ModelConfig, folds: int,
            progress: Progress | None = None) -> Leakage:
    """Train both arms and write ``RUN/leakage``, or read what is there for the same settings.

    Args:
        run: its data stage runs where it has not.
        config: the study; seed and recipe are used.
        model: the network.
        folds: 3 or more; each is one training per arm.
        progress: called with (stage, done, total[, detail]).

    Raises:
        BadInput: too few folds or groups, or no group with two images.
        GateFailed: see the data stage.
    """
    from bedside.models import preprocess_of
    from bedside.stages.data.cache import build_cache

    if folds < 3:
        raise BadInput(f"must be 3 or more; got {folds}", where="--folds", remedy="Correct it.")
    study.prepare(run, config, progress)
    cases = tuple(sorted((c for c in stored.cases(run) if c.split != "set_aside"),
                         key=lambda c: c.id))
    sizes = Counter(c.group for c in cases)
    related = np.asarray([sizes[c.group] > 1 for c in cases])
    if not related.any():
        raise BadInput("no two images share a group, so nothing can leak", where=run,
                       remedy="Nothing to compare; name the patients if known.")
    parts = {"image": split.folds([replace(c, group=c.id) for c in cases], folds, config.seed),
             "group": split.folds(cases, folds, config.seed)}
    build_cache(run, preprocess_of(model), progress=progress)
    folder = layout.leakage_dir(run)
    sha256 = artefact.sha256_file(layout.data_dir(run) / layout.CASES)
    weights = Path(model.weights)
    key = artefact.stage_key(STAGE, _FORMAT, model, config.train, config.seed, folds, sha256,
                             stored.task(run),
                             artefact.sha256_file(weights) if weights.is_file() else None)
    if not artefact.finished(folder, STAGE, key):
        from bedside.stages.train.crossfit import out_of_fold

        with artefact.writing(folder, STAGE, key, resume=True) as scratch:
            found = {arm: out_of_fold(run, config, model, cases, parts[arm], folds, arm, scratch,
                                      progress) for arm in ARMS}
            result = compare(cases, stored.task(run).classes, stored.task(run).positive, found,
                             related, config.seed)
            result = replace(result, model=model.name, image_px=model.image_px, folds=folds,
                             epochs=model.epochs or config.train.epochs,
                             cases_sha256=sha256)
            artefact.write_text(scratch / layout.LEAKAGE, codec.to_json(result))
            _write_predictions(scratch / PREDICTIONS, cases, parts, found)
    return codec.read_json(Leakage, folder / layout.LEAKAGE)


def compare(cases: Sequence[Case], classes: Sequence[str], positive: str | None,
            logits: dict[str, Floats], related: npt.NDArray[np.bool_], seed: int) -> Leakage:
    """Score both arms; the fields that describe the training are left empty.

    Args:
        cases: n images.
        classes: K names, as the columns of the logits.
        positive: the positive class, or None.
        logits: (n, K) by arm.
        related: (n,) whether an image shares its group.
        seed: of the resamples.
    """
    labels = np.asarray([classes.index(c.label) for c in cases], np.int64)
    place = classes.index(positive) if positive else None
    groups = np.unique([c.group for c in cases], return_inverse=True)[1].reshape(-1)
    arms = tuple(Arm(arm, metrics.evaluate(labels, logits[arm], place, groups),
                     metrics.evaluate(labels[related], logits[arm][related], place,
                                      groups[related]))
                 for arm in ARMS)
    gain = _difference(labels, logits["image"], logits["group"], groups, place, seed)
    return Leakage("", 0, 0, 0, seed, len(cases), int(related.sum()), arms, gain)


def _difference(labels: npt.NDArray[np.int64], first: Floats, second: Floats,
                groups: npt.NDArray[np.intp], positive: int | None, seed: int) -> Estimate:
    """Return the AUC of ``first`` less that of ``second``, with a bootstrap percentile interval.

    The bootstrap draws whole groups (Efron and Tibshirani 1993, ch. 8).
    """
    truth = _truth(labels, first.shape[1], positive)
    arms = [_odds(logits, positive) for logits in (first, second)]

    def gain(rows: Any) -> float | None:
        areas = [_area(truth[rows], odds[rows]) for odds in arms]
        return None if areas[0] is None or areas[1] is None else areas[0] - areas[1]

    value = gain(slice(None))
    if value is None:
        return Estimate(None, n=len(labels), reason="an AUC needs images of every class")
    rng = np.random.default_rng(seed)
    order = np.argsort(groups, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(groups))[:-1])
    drawn = []
    for _ in range(_RESAMPLES):
        one = gain(np.concatenate([members[g] for g in rng.integers(0, len(members),
                                                                    len(members))]))
        if one is not None:
            drawn.append(one)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Estimate(value, float(low), float(high), len(labels))


def _truth(labels: npt.NDArray[np.int64], classes: int, positive: int | None
           ) -> npt.NDArray[np.bool_]:
    """Return (n, 1) of the positive class, or (n, K) of each class against the rest."""
    wanted = np.arange(classes) if positive is None else np.array([positive])
    truth: npt.NDArray[np.bool_] = labels[:, None] == wanted
    return truth


def _odds(logits: Floats, positive: int | None) -> npt.NDArray[np.float64]:
    """Return log-odds in columns as :func:`_truth`."""
    from bedside.metrics.inputs import log_odds

    wanted = range(logits.shape[1]) if positive is None else [positive]
    return np.stack([log_odds(logits.astype(np.float64), k) for k in wanted], axis=1)


def _area(truth: npt.NDArray[np.bool_], odds: npt.NDArray[np.float64]) -> float | None:
    """Return the mean over columns of the ROC area by ranks; ties count half."""
    from scipy.stats import rankdata

    n = truth.sum(axis=0)
    m = len(truth) - n
    if not (n.all() and m.all()):
        return None
    ranks = (rankdata(odds, axis=0) * truth).sum(axis=0)
    return float(np.mean((ranks - n * (n + 1) / 2) / (n * m)))


def _write_predictions(path: Path, cases: Sequence[Case], parts: dict[str, dict[str, int]],
                       logits: dict[str, Floats]) -> None:
    count = next(iter(logits.values())).shape[1]
    artefact.write_csv(
        path, ["id", "group", "label", *(f"{a}_{what}" for a in ARMS for what in (
            "fold", *(f"logit_{k}" for k in range(count))))],
        ([case.id, case.group, case.label,
          *(v for a in ARMS for v in (parts[a][case.id], *(f"{x:.6g}" for x in logits[a][i])))]
         for i, case in enumerate(cases)))
