"""Tuning of learning rate, weight decay and augmentation on validation AUC (Optuna's TPE)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import optuna

from bedside.core import codec
from bedside.core.model_files import Trial, Tuning
from bedside.core.study import TrainConfig
from bedside.runfolder import artefact
from bedside.runfolder.layout import TUNING

_SPREAD = 10.0
_STRONGEST = 2.0


def tune(recipe: TrainConfig, epochs: int, seed: int, folder: Path,
         score: Callable[[TrainConfig, int], float]) -> TrainConfig:
    """Try ``recipe.tune`` settings and return the recipe with the best.

    The first trial is the recipe itself, so no choice is worse than it in these short trainings.
    Trials are kept in ``folder/tune.json`` one by one; a run that was interrupted goes on after the
    last and ends as if it had not been.

    Args:
        recipe: what is varied.
        epochs: of each trial.
        seed: of the sampler.
        folder: where ``tune.json`` goes.
        score: validation AUC of a recipe; also given the trial's number.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = folder / TUNING
    done = codec.read_json(Tuning, path) if path.is_file() else Tuning(epochs)
    for number in range(len(done.trials), recipe.tune):
        chosen = recipe if number == 0 else _suggest(recipe, done.trials, seed, number)
        found = Trial(chosen.learning_rate, chosen.weight_decay, chosen.augment,
                      score(replace(chosen, epochs=epochs), number))
        done = replace(done, trials=(*done.trials, found))
        artefact.write_text(path, codec.to_json(done))
    best = max(range(len(done.trials)), key=lambda i: (done.trials[i].val_auroc, -i))
    artefact.write_text(path, codec.to_json(replace(done, chosen=best)))
    chosen_trial = done.trials[best]
    return replace(recipe, learning_rate=chosen_trial.learning_rate,
                   weight_decay=chosen_trial.weight_decay, augment=chosen_trial.augment)


def _space(recipe: TrainConfig) -> dict[str, optuna.distributions.FloatDistribution]:
    rate, decay = recipe.learning_rate, max(recipe.weight_decay, 1e-5)
    return {
        "learning_rate": optuna.distributions.FloatDistribution(rate / _SPREAD, rate * _SPREAD,
                                                                log=True),
        "weight_decay": optuna.distributions.FloatDistribution(decay / _SPREAD,
                                                               decay * _SPREAD**2, log=True),
        "augment": optuna.distributions.FloatDistribution(0.0, max(_STRONGEST, recipe.augment)),
    }


def _suggest(recipe: TrainConfig, trials: tuple[Trial, ...], seed: int, number: int) -> TrainConfig:
    # A separate sampler for every trial: its suggestion depends on the trials before, not
    # on whether they were made by this process.
    sampler = optuna.samplers.TPESampler(seed=seed * 10_007 + number, n_startup_trials=5)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    space = _space(recipe)
    distributions = dict[str, optuna.distributions.BaseDistribution](space)
    for trial in trials:
        params = {k: v for k, v in asdict(trial).items() if k in space}
        if all(space[k].low <= v <= space[k].high for k, v in params.items()):
            study.add_trial(optuna.trial.create_trial(
                params=params, distributions=distributions, value=trial.val_auroc))
    suggested = study.ask(distributions).params
    return replace(recipe, learning_rate=float(f"{suggested['learning_rate']:.4g}"),
                   weight_decay=float(f"{suggested['weight_decay']:.4g}"),
                   augment=round(suggested["augment"], 3))
