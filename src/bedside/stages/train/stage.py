"""Stage ``train``: a network of the study, fitted to its training images.

Deterministic under the study's seed and thread count: killed at any moment and started again,
it goes on from the last epoch's checkpoint and publishes the same bytes.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from bedside.core import codec, registry
from bedside.core.build import ModelSpec
from bedside.core.errors import BadInput
from bedside.core.progress import Progress
from bedside.core.study import ModelConfig, Study, TrainConfig
from bedside.core.types import Task
from bedside.metrics import binary, multiclass
from bedside.models import MODELS, preprocess_of
from bedside.models.deterministic import deterministic
from bedside.models.head import folded_parameters
from bedside.models.weights import initial_weights
from bedside.runfolder import artefact, layout, stored
from bedside.runtime.pixels import PixelStore
from bedside.stages.train.augment import Batches, ultrasound
from bedside.stages.train.checkpoint import (
    CHECKPOINT,
    State,
    average,
    begin,
    best_file,
    keep,
    load_checkpoint,
    predict,
)

TIMINGS = "timings.csv"
_COLUMNS = "epoch,train_loss,val_loss,val_accuracy,val_auroc,learning_rate"
_FORMAT = 1  # part of the key: raise it when the same recipe gives other weights


@dataclass(frozen=True)
class Job:
    """A training to run: network, recipe and data. ``start`` makes the initial network."""

    id: str
    recipe: TrainConfig
    seed: int
    classes: int
    positive: int | None
    start: Callable[[], nn.Module]
    train: Batches
    val: Batches


def train(run: Path, study: Study, config: ModelConfig, progress: Progress | None = None) -> bool:
    """Train one network of a study; the weights with the best validation AUC are published.

    Publishes ``weights.safetensors``, ``history.csv``, ``timings.csv``, ``model.json`` and,
    with ``train.tune``, ``tune.json`` in the model's folder. Test images are never read.

    Args:
        run: a run whose data and cache stages have finished.
        study: seed and recipe; the model's own epochs, batch size and learning rate win.
        config: the network.
        progress: called with (stage, steps done, steps in all, text) at every step.

    Returns:
        False where the stage was finished already.

    Raises:
        BadInput: an invalid setting, a class without training images, no validation
            images, weights that do not fit, or a loss that is not finite (nothing is published;
            the last finite checkpoint stays).
    """
    model_id, preprocess = config.id or config.name, preprocess_of(config)
    folder, recipe = layout.model_dir(run, model_id), recipe_of(study, config)
    data = artefact.record(layout.data_dir(run), "data")
    cache = artefact.record(layout.cache_dir(run, preprocess), "cache")
    given = Path(config.weights)
    key = artefact.stage_key("train", _FORMAT, config, recipe, study.seed,
                             artefact.sha256_file(given) if given.is_file() else None,
                             data.files[layout.CASES].sha256, data.files[layout.TASK].sha256,
                             {k: v.sha256 for k, v in cache.files.items()})
    if artefact.finished(folder, "train", key):
        return False
    task = stored.task(run)
    origin = ["random"]

    def start() -> nn.Module:
        torch.manual_seed(study.seed)
        build = registry.lookup(MODELS, config.name, "model")
        module: nn.Module = build(config, len(task.classes))
        origin[0] = initial_weights(module, config)
        return module

    facts: dict[str, str] = {"torch": torch.__version__}
    with stored.pixel_store(run, preprocess) as store, deterministic(recipe.threads):
        job = _job(run, model_id, recipe, study.seed, task, store, start)
        start()  # refuses weights and sizes that do not fit before anything is written
        with artefact.writing(folder, "train", key, resume=True, facts=facts) as scratch:
            if recipe.tune:
                job = _tuned(job, scratch, progress)
            state = fit(job, scratch, progress)
            facts |= {"weights": origin[0], "best_epoch": str(state.best_epoch)}
            spec = ModelSpec(model_id, config.name, preprocess, task, config,
                             parameters=folded_parameters(state.module))
            _finish(scratch, state, spec)
    return True


def check(study: Study, config: ModelConfig) -> None:
    """Refuse a network that cannot be trained as asked, before any image is read.

    Raises:
        BadInput: an invalid setting, or weights that do not fit.
        MissingComponent: the network's own weights are not installed.
    """
    recipe_of(study, config)
    module: nn.Module = registry.lookup(MODELS, config.name, "model")(config, 2)
    initial_weights(module, config)  # the classifier, which depends on the classes, is skipped


def recipe_of(study: Study, config: ModelConfig) -> TrainConfig:
    """Return the study's recipe with the model's own settings. Raises BadInput."""
    own = {n: getattr(config, n) for n in ("epochs", "batch_size", "learning_rate")}
    recipe = replace(study.train, **{k: v for k, v in own.items() if v is not None})
    limits = {"epochs": recipe.epochs >= 1, "batch_size": recipe.batch_size >= 2,
              "learning_rate": 0.0 < recipe.learning_rate < math.inf,
              "weight_decay": 0.0 <= recipe.weight_decay < math.inf,
              "label_smoothing": 0.0 <= recipe.label_smoothing < 1.0,
              "ema_decay": 0.0 <= recipe.ema_decay < 1.0, "threads": recipe.threads >= 1,
              "clip_norm": recipe.clip_norm >= 0.0, "augment": 0.0 <= recipe.augment <= 4.0,
              "patience": recipe.patience >= 0, "tune": recipe.tune >= 0}
    for name, holds in limits.items():
        if not holds:
            raise BadInput(f"{name} = {getattr(recipe, name)} is out of range",
                           where=f"train, model {config.id or config.name}",
                           remedy="Correct it in study.toml or on the command line.")
    return recipe


def _job(run: Path, model_id: str, recipe: TrainConfig, seed: int, task: Task, store: PixelStore,
         start: Callable[[], nn.Module]) -> Job:
    index = {name: i for i, name in enumerate(task.classes)}
    batches = {}
    for split in ("train", "val"):
        cases = sorted((c for c in stored.cases(run) if c.split == split), key=lambda c: c.id)
        labels = np.asarray([index[c.label] for c in cases], dtype=np.int64)
        batches[split] = Batches(store, tuple(c.id for c in cases), labels, recipe.batch_size)
    counts = np.bincount(batches["train"].labels, minlength=len(index))
    for name, count in zip(task.classes, counts, strict=True):
        if not count:
            raise BadInput(f"no training image of class {name!r}", where=f"model {model_id}",
                           remedy="Change the split, or exclude or merge the class.")
    if not batches["val"].ids:
        raise BadInput("no validation image, so no epoch can be chosen",
                       where=f"model {model_id}", remedy="Give the split a validation part.")
    positive = index[task.positive] if task.positive else 1 if len(index) == 2 else None
    return Job(model_id, recipe, seed, len(index), positive, start, batches["train"],
               batches["val"])


def _tuned(job: Job, scratch: Path, progress: Progress | None) -> Job:
    from bedside.stages.train.tune import tune

    epochs = max(1, job.recipe.epochs // 3)

    def score(recipe: TrainConfig, number: int) -> float:
        # A separate checkpoint: a kill costs an epoch of the trial, not the trial.
        place = scratch / f".trial-{number}"
        place.mkdir(exist_ok=True)
        try:
            found = fit(replace(job, id=f"{job.id}, trial {number + 1} of {job.recipe.tune}",
                                recipe=recipe), place, progress).best
        except NotFinite:
            found = None  # a setting that diverges is the worst, not the end of the tuning
        shutil.rmtree(place)
        return found[0] if found else 0.0
    return replace(job, recipe=tune(job.recipe, epochs, job.seed, scratch, score))


# ------------------------------------------------------------------ the loop


class NotFinite(BadInput):
    """The loss is no longer finite."""


def _not_finite(job: Job, fault: str) -> NotFinite:
    rate = job.recipe.learning_rate
    return NotFinite(fault, where=f"model {job.id}", remedy=f"Lower learning_rate (now {rate:g}) "
                     "or set clip_norm; nothing was published.")


def fit(job: Job, scratch: Path | None, progress: Progress | None) -> State:
    """Train to the end or to early stopping, from the checkpoint in ``scratch`` if there is one.

    Leaves the best weights in ``scratch``; without a scratch folder nothing is written.

    Raises:
        NotFinite: a training or validation loss that is not finite.
    """
    recipe, steps = job.recipe, job.train.steps()
    state = begin(job.start(), recipe, steps * recipe.epochs)
    if scratch is not None:
        load_checkpoint(scratch / CHECKPOINT, state)
    spec = job.train.store.preprocess
    augment = ultrasound(recipe.augment, spec.height_px, spec.width_px)
    weights = _class_weights(job)
    text = ""
    patience = recipe.patience or recipe.epochs
    while state.epoch < recipe.epochs and state.epoch - state.best_epoch < patience:
        began, total, seen = time.monotonic(), 0.0, 0
        # Seeded by the epoch, dropout needs no state in the checkpoint.
        torch.manual_seed(job.seed * 1_000_003 + state.epoch + 1)
        state.module.train()
        for images, labels, ids in job.train.shuffled(augment, job.seed, state.epoch):
            loss = _step(job, state, images, labels, ids, weights)
            total, seen = total + loss * len(ids), seen + len(ids)
            if progress:
                progress(f"train {job.id}", state.step, steps * recipe.epochs,
                         f"epoch {state.epoch + 1}/{recipe.epochs} loss {total / seen:.3f}{text}")
        rate = state.optimizer.param_groups[0]["lr"]
        state.epoch += 1
        score, text = _validate(job, state, total / seen, rate, weights)
        improved = state.best is None or score > state.best
        if improved:
            state.best, state.best_epoch = score, state.epoch
        state.seconds.append(time.monotonic() - began)
        if scratch is not None:
            keep(scratch, state, improved)
    return state


def _class_weights(job: Job) -> Tensor | None:
    """Return n / (K·n_k) by class, so that every class weighs the same in the loss."""
    if not job.recipe.class_weights:
        return None
    counts = np.bincount(job.train.labels, minlength=job.classes)
    return torch.tensor(len(job.train.ids) / (job.classes * counts), dtype=torch.float32)


def _step(job: Job, state: State, images: Tensor, labels: Tensor, ids: list[str],
          weights: Tensor | None) -> float:
    recipe = job.recipe
    loss = F.cross_entropy(state.module(images)["logits"], labels, weights,
                           label_smoothing=recipe.label_smoothing)
    value = float(loss.detach())
    if not math.isfinite(value):
        raise _not_finite(job, f"the training loss is {value} in epoch {state.epoch + 1} at images "
                               f"{', '.join(ids[:8])}{', …' if len(ids) > 8 else ''}")
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    if recipe.clip_norm:
        nn.utils.clip_grad_norm_(state.module.parameters(), recipe.clip_norm)
    state.optimizer.step()
    state.scheduler.step()
    state.step += 1
    average(state, recipe.ema_decay)
    return value


def _validate(job: Job, state: State, train_loss: float, rate: float, weights: Tensor | None
              ) -> tuple[tuple[float, float], str]:
    """Append the epoch's row; return (AUC, −loss) and a text for the progress bar."""
    logits = predict(state, (images for images, _ in job.val.in_order()))
    labels = job.val.labels
    loss = float(F.cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels), weights))
    if not math.isfinite(loss):
        raise _not_finite(job, f"the validation loss is {loss} after epoch {state.epoch}")
    score = multiclass.macro_auroc if job.classes > 2 else binary.auroc
    auc = score(labels, logits, job.positive).value
    accuracy = float((logits.argmax(axis=1) == labels).mean())
    cells = [train_loss, loss, accuracy, auc, rate]
    state.rows.append(",".join([str(state.epoch), *("" if c is None else f"{c:.8g}"
                                                    for c in cells)]))
    # Undefined where validation lacks a class: then the loss alone decides.
    shown = "" if auc is None else f" AUC {auc:.3f}"
    return (auc if auc is not None else 0.0, -loss), shown


# ------------------------------------------------------------------ files


def _finish(scratch: Path, state: State, spec: ModelSpec) -> None:
    """Return the files to publish, beside the checkpoint that made them."""
    shutil.copyfile(scratch / best_file(state.best_epoch), scratch / layout.WEIGHTS)
    artefact.write_text(scratch / layout.SPEC, codec.to_json(spec))
    artefact.write_text(scratch / layout.HISTORY, "\n".join([_COLUMNS, *state.rows, ""]))
    timings = [f"{i},{s:.3f}" for i, s in enumerate(state.seconds, 1)]
    artefact.write_text(scratch / TIMINGS, "\n".join(["epoch,seconds", *timings, ""]))
