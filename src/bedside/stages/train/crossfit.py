"""Cross-fitting: every image predicted once by a network trained without its fold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file
from torch import nn

from bedside.core import registry
from bedside.core.errors import BadInput
from bedside.core.progress import Progress
from bedside.core.study import ModelConfig, Study
from bedside.core.types import Case
from bedside.models import MODELS, preprocess_of
from bedside.models.deterministic import deterministic
from bedside.models.weights import initial_weights
from bedside.runfolder import stored
from bedside.stages.train.augment import Batches
from bedside.stages.train.checkpoint import best_file, predict
from bedside.stages.train.stage import Job, fit, recipe_of

Floats = npt.NDArray[np.float32]


def out_of_fold(run: Path, study: Study, config: ModelConfig, cases: tuple[Case, ...],
                fold_of: Mapping[str, int], k: int, name: str, scratch: Path,
                progress: Progress | None = None) -> Floats:
    """Return the logits of every image by a network trained without its fold.

    Fold f is predicted, fold f + 1 chooses the epoch, the others are learnt from; all folds
    start from the same weights. What is finished in ``scratch`` is not made again.

    Args:
        run: its cache holds the pixels.
        study: seed and recipe.
        config: the network.
        cases: the images.
        fold_of: case id to fold, 0 … k − 1.
        k: number of folds, 3 or more.
        name: of the trainings, for progress and for files in ``scratch``.
        scratch: receives files whose names begin with a dot.
        progress: called with (stage, steps done, steps in all, text).

    Returns:
        (n, K) float32, rows as ``cases``.

    Raises:
        BadInput: a class that lies in so few folds that some training lacks it.
    """
    recipe, task = recipe_of(study, config), stored.task(run)
    index = {label: i for i, label in enumerate(task.classes)}
    labels = np.asarray([index[c.label] for c in cases], np.int64)
    folds = np.asarray([fold_of[c.id] for c in cases])
    positive = index[task.positive] if task.positive else 1 if len(index) == 2 else None
    logits = np.zeros((len(cases), len(index)), np.float32)

    def start() -> nn.Module:
        torch.manual_seed(study.seed)
        module: nn.Module = registry.lookup(MODELS, config.name, "model")(config, len(index))
        initial_weights(module, config)
        return module

    with stored.pixel_store(run, preprocess_of(config)) as store, deterministic(recipe.threads):
        def part(rows: npt.NDArray[np.intp]) -> Batches:
            return Batches(store, tuple(cases[i].id for i in rows), labels[rows], recipe.batch_size)

        for fold in range(k):
            here = np.flatnonzero(folds == fold)
            chosen_on = np.flatnonzero(folds == (fold + 1) % k)
            learnt = np.flatnonzero((folds != fold) & (folds != (fold + 1) % k))
            if len(set(labels[learnt].tolist())) < len(index):
                raise BadInput("a class has too few images for this many folds", where=run,
                               remedy="Give fewer --folds, or exclude or merge the class.")
            job = Job(f"{name}, fold {fold + 1} of {k}", recipe, study.seed, len(index), positive,
                      start, part(learnt), part(chosen_on))
            logits[here] = _fold(job, part(here), scratch / f".{name}-{fold}", progress)
    return logits


def _fold(job: Job, test: Batches, place: Path, progress: Callable[..., None] | None) -> Floats:
    done = place / "logits.npy"
    if done.is_file():
        return cast(Floats, np.load(done, allow_pickle=False))
    place.mkdir(exist_ok=True)
    state = fit(job, place, progress)
    state.module.load_state_dict(load_file(place / best_file(state.best_epoch)))
    state.ema = None
    logits = predict(state, (images for images, _ in test.in_order()))
    part = done.with_name("part.npy")
    np.save(part, logits, allow_pickle=False)
    part.replace(done)
    return logits
