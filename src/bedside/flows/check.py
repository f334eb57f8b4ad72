"""Checks of a study's configuration, made before any work is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bedside import schemes, targets
from bedside.core.errors import BadInput
from bedside.core.registry import PLAIN_NAME, did_you_mean, is_plain_name
from bedside.core.study import ModelConfig, Study
from bedside.models import MODELS
from bedside.runfolder import layout
from bedside.stages import calibrate
from bedside.stages.data.split import check_proportions
from bedside.stages.recommend.rule import check_budget


def check(study: Study, run: Path | None = None) -> Study:
    """Fill in ids and refuse names that no table holds, before any work is done.

    Raises:
        BadInput: unknown model, scheme, option or target, or a setting that cannot work.
    """
    models = tuple(replace(m, id=m.id or m.name) for m in study.models)
    _check_models(models)
    check_proportions(study.data.proportions)
    if not 0 <= study.seed < 2**31:
        raise BadInput(f"a seed of {study.seed}", where="seed",
                       remedy="Give a whole number from 0 to 2147483647.")
    scheme_ids = [str(schemes.parse(s)) for s in study.schemes]
    _unique(scheme_ids, "schemes")
    for target in study.targets:
        targets.load(target, run)
    _unique(list(study.targets), "targets")
    if not scheme_ids:
        raise BadInput("no scheme", where="schemes", remedy="Give at least float32.")
    if schemes.GIVEN in scheme_ids:
        schemes.parse(schemes.GIVEN).module.recipe(frozenset())  # says what it is
    if not models and study.float_model is None and study.quantized_model is None:
        raise BadInput("no model", where="models",
                       remedy="Give --model, --float-model or --quantized-model.")
    if study.train.epochs < 1 or study.train.batch_size < 2:
        raise BadInput("epochs must be 1 or more and batch_size 2 or more", where="train",
                       remedy="Correct it.")
    if min(study.evaluate.rounds, study.evaluate.samples) < 1 or study.evaluate.warmup < 0:
        raise BadInput("rounds and samples must be 1 or more", where="evaluate",
                       remedy="Correct it.")
    if not study.evaluate.splits or "set_aside" in study.evaluate.splits:
        raise BadInput("what is evaluated is of train, val and test", where="evaluate.splits",
                       remedy='Give some of them, as ["val", "test"].')
    if (study.evaluate.images or 1) < 1 or study.evaluate.timeout_s <= 0:
        raise BadInput("images must be 1 or more and timeout_s above 0", where="evaluate",
                       remedy="Correct it.")
    calibrate.check(study.calibration)
    _check_evidence(study)
    check_budget(study.budget, _known_targets(study, run))
    made = replace(study, models=models, schemes=tuple(scheme_ids))
    _check_repeats(made)
    return made


def _check_repeats(study: Study) -> None:
    from bedside.flows import repeats  # which runs the checked study

    repeats.check(study)


def _check_models(models: Sequence[ModelConfig]) -> None:
    for model in models:
        if model.name not in MODELS:
            raise BadInput(f"unknown model {model.name!r}", where="models",
                           remedy=did_you_mean(model.name, MODELS))
        if model.channels not in (1, 3):
            raise BadInput(f"{model.channels} channels", where=f"models.{model.id}",
                           remedy="Give 1 (grey) or 3 (RGB).")
        if not 32 <= model.image_px <= 1024:
            raise BadInput(f"an image size of {model.image_px}", where=f"models.{model.id}",
                           remedy="Give image_px from 32 to 1024.")
        if not is_plain_name(model.id) or model.id.lower() == layout.ALL_MODELS:
            raise BadInput(f"a model cannot be named {model.id!r}", where="models.id",
                           remedy=f"Its id names folders: {PLAIN_NAME}; not "
                           f"{layout.ALL_MODELS!r}.")
    # Folders of some disks do not tell capital letters apart.
    _unique([m.id.lower() for m in models], "models")


def _known_targets(study: Study, run: Path | None) -> tuple[str, ...]:
    """Return the targets a budget may name: the study's, every profile, phones of the lab."""
    if run is None:
        return (*study.targets, *targets.profiles())
    return (*study.targets, *targets.profiles(), *(p.stem for p in layout.target_profiles(run)),
            *layout.measured_targets(run))


def _check_evidence(study: Study) -> None:
    """Refuse margins that make no sense, before any work is done."""
    e = study.evidence
    for name in ("sensitivity_margin", "specificity_margin", "auc_margin"):
        value = getattr(e, name)
        if not 0 < value < 0.5:
            hint = (f" Margins are fractions: {value / 100:g} is {value:g} points."
                    if 0.5 <= value <= 50 else "")
            raise BadInput(f"a margin of {value:g}", where=f"evidence.{name}",
                           remedy=f"Give a fraction above 0 and below 0.5, as 0.02.{hint}")
    if not 0 < e.required_sensitivity <= 1:
        raise BadInput(f"a required sensitivity of {e.required_sensitivity:g}",
                       where="evidence.required_sensitivity",
                       remedy="Give a fraction above 0, up to 1.")
    for name in ("max_missed", "max_alarms", "max_wrong"):
        value = getattr(e, name)
        if not 0 < value <= 1:
            hint = f" {value:g}% is {value / 100:g}." if 1 < value <= 100 else ""
            raise BadInput(f"a share of {value:g}", where=f"evidence.{name}",
                           remedy=f"Give a fraction above 0, as 0.05, or 1 for no limit.{hint}")
    if e.miss_ratio_margin and not 1 < e.miss_ratio_margin <= 10:
        raise BadInput(f"a margin of {e.miss_ratio_margin:g}", where="evidence.miss_ratio_margin",
                       remedy="Give a ratio above 1, up to 10, as 1.5 for half as many again, "
                              "or 0 for none.")
    if not 200 <= e.resamples <= 20000 or e.seed < 0:
        raise BadInput(f"{e.resamples} resamples with seed {e.seed}", where="evidence",
                       remedy="Give 200 to 20000 resamples and a seed of 0 or more.")
    if e.prevalence is not None and not 0 < e.prevalence < 1:
        raise BadInput(f"a prevalence of {e.prevalence:g}", where="evidence.prevalence",
                       remedy="Give a fraction above 0 and below 1, as 0.05.")
    if e.robustness_images < 0:
        raise BadInput(f"{e.robustness_images} images", where="evidence.robustness_images",
                       remedy="Give 0 (off) or more.")


def _unique(names: Sequence[str], where: str) -> None:
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise BadInput(f"{twice[0]!r} is given twice", where=where,
                       remedy="Name it once (a model trained twice needs two ids).")
