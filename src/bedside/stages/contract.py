"""Stage ``contract``: a foreign model's contract held against labelled validation images.

Publishes ``contract_check.json`` in the model's folder: AUC with its interval, the classes that
were given, and the agreement with the file as it came. Test images are never read here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bedside import metrics
from bedside.core import codec, registry
from bedside.core.contract import Contract, ContractCheck
from bedside.core.errors import GateFailed
from bedside.core.progress import Progress
from bedside.core.types import Case, Estimate, Task
from bedside.foreign.reference import Reference, agreement, require
from bedside.metrics.design import clusters_of
from bedside.runfolder import artefact, layout, stored
from bedside.runtime.litert import LOGITS, LiteRTModel

STAGE = "contract"
MAX_IMAGES = 400
# Below this a model that is right may call every image alike by chance.
MIN_IMAGES = 10
CHANCE = 0.5


def check_contract(run: Path, model: str, classes: tuple[str, ...], reference: Reference,
                   progress: Progress | None = None) -> ContractCheck:
    """Hold an imported model's contract against the validation images.

    Args:
        run: its data and pixels are there, and the model is imported.
        model: its id.
        classes: the file's own order of classes.
        reference: the file as it came.
        progress: called with (stage, done, total).

    Raises:
        GateFailed: the normalised model answers otherwise than the file, its AUC is below chance
            with its whole interval, or it gives one class to every image.
    """
    folder = layout.model_dir(run, model)
    converted = artefact.record(folder, "convert")
    cases = _validation(run)
    key = artefact.stage_key(STAGE, 1, converted.key, converted.files[layout.FLOAT_MODEL].sha256,
                             [(c.id, c.sha256, c.label) for c in cases])
    if artefact.finished(folder, STAGE, key):
        return codec.read_json(ContractCheck, artefact.verified(folder / layout.CONTRACT_CHECK))
    spec, contract = stored.model_spec(run, model), codec.read_toml(
        Contract, artefact.verified(folder / layout.CONTRACT))
    found = _measure(run, folder, cases, spec.task, contract, classes, reference, progress)
    judge(found, contract)
    with artefact.writing(folder, STAGE, key) as scratch:
        artefact.write_text(scratch / layout.CONTRACT_CHECK, codec.to_json(found))
    return found


def _validation(run: Path) -> list[Case]:
    """Return the validation cases by id; evenly chosen ones where there are very many."""
    cases = sorted((c for c in stored.cases(run) if c.split == "val"), key=lambda c: c.id)
    return cases[::max(1, -(-len(cases) // MAX_IMAGES))]


def _measure(run: Path, folder: Path, cases: list[Case], task: Task, contract: Contract,
             classes: tuple[str, ...], reference: Reference, progress: Progress | None
             ) -> ContractCheck:
    if not cases:
        return ContractCheck(0, Estimate(None, reason="no validation images"), None, {}, None)
    content = artefact.verified(folder / layout.FLOAT_MODEL).read_bytes()
    loaded = LiteRTModel(folder / layout.FLOAT_MODEL, content=content)
    order = [list(classes).index(c) for c in task.classes]
    logits, own = [], []
    with stored.pixel_store(run, contract.preprocess) as store:
        for number, image in enumerate(store.tensors([c.id for c in cases]), 1):
            logits.append(loaded.run(image)[LOGITS][0].copy())
            own.append(reference.probabilities(image)[order])
            if progress:
                progress(f"contract {folder.name}", number, len(cases))
    parity = agreement(np.asarray(logits), np.asarray(own), contract.output_kind)
    labels = np.asarray([task.classes.index(c.label) for c in cases])
    clusters = clusters_of([c.group or c.id for c in cases])
    positive = None if task.positive is None else task.classes.index(task.positive)
    scores = np.log(np.maximum(np.asarray(own), 1e-300))
    called = np.bincount(np.asarray(logits).argmax(axis=1), minlength=len(task.classes))
    return ContractCheck(
        len(cases), _auc(labels, np.asarray(logits), positive, clusters),
        _auc(labels, scores, positive, clusters).value,
        {c: int(n) for c, n in zip(task.classes, called, strict=True)}, parity)


def _auc(labels: npt.NDArray[np.int64], scores: npt.NDArray[np.floating[Any]],
         positive: int | None, clusters: npt.NDArray[np.int64] | None) -> Estimate:
    name = "auroc" if "auroc" in metrics.for_task(scores.shape[1], positive) else "macro_auroc"
    metric: metrics.Metric = registry.lookup(metrics.METRICS, name, "metric")
    return metric(labels, scores, positive, clusters)


def judge(found: ContractCheck, contract: Contract) -> None:
    """Refuse a contract that labelled images contradict.

    Raises:
        GateFailed: the file is answered otherwise, the AUC is below chance with its whole interval,
            or one class is given to every image.
    """
    if found.parity is not None:
        require(found.parity, contract.source)
    auc = found.auc
    span = (f"AUC {auc.value:.3f} [{auc.low:.3f}, {auc.high:.3f}] on {found.images} validation "
            "images" if auc.value is not None and auc.low is not None and auc.high is not None
            else f"{found.images} validation images")
    if auc.high is not None and auc.high < CHANCE:
        own = contract.source_classes
        other = ",".join(own[::-1]) if len(own) == 2 else "A,B,…"
        raise GateFailed(
            f"the model is worse than chance ({span}): its classes are probably swapped; their "
            f"order was {','.join(own)} ({contract.origin.get('classes', 'declared')})",
            where=contract.source,
            remedy=f"Check it, as --model-classes {other}.")
    given = [name for name, n in found.called.items() if n]
    if found.images >= MIN_IMAGES and len(given) == 1:
        low, high = contract.input_range
        by = ("each image divided by its own maximum" if contract.preprocess.normalise == "max"
              else "divided by the largest value of their type")
        raise GateFailed(
            f"the model calls every validation image {given[0]!r} ({span}): its input is probably "
            f"not what it expects; pixels were {by} and put into {low:g} to {high:g}",
            where=contract.source, remedy="Check --input-range (0,1, -1,1 or 0,255), --mean, "
            "--std, --normalise and --colour.")
