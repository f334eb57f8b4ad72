"""Make a variant of a model and a scheme: calibrate, transform, fine-tune and quantize."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bedside.core.errors import Unquantizable
from bedside.core.progress import Progress
from bedside.core.study import CalibrationConfig
from bedside.runfolder import layout
from bedside.schemes import SchemeChoice
from bedside.schemes import options as shared
from bedside.stages import calibrate, transform
from bedside.stages import quantize as stage


def make(run: Path, model: str, choice: SchemeChoice, config: CalibrationConfig,
         progress: Progress | None = None) -> bool:
    """Write one variant with all that its options ask for; False where it was finished.

    One that cannot be made of this model is published as ``failed`` with the reason, so that the
    study goes on.

    Args:
        run: the run folder.
        model: a converted model of it.
        choice: a scheme with its options, as ``int8+equalized+percentile``.
        config: the study's calibration; an estimator among the options wins over its own.
        progress: called with (stage, done, total).

    Raises:
        BadInput: the study lacks what an option needs (training images, a search).
    """
    try:
        return _make(run, model, choice, config, progress)
    except Unquantizable as error:
        return stage.refuse(run, model, choice, error)


def _make(run: Path, model: str, choice: SchemeChoice, config: CalibrationConfig,
          progress: Progress | None) -> bool:
    if not choice.scheme.needs_calibration:
        return stage.quantize(run, model, choice, None, None)
    source, folder, ranges = prepared(run, model, choice, config, progress)
    child = f"{model}+{choice}"
    if "biascorrected" in choice.options:
        ids = calibrate.choose(run, source, calibration_of(choice, config), progress)
        recipe = stage.recipe(run, model, choice,
                              layout.model_dir(run, source) / layout.FLOAT_MODEL)
        source = transform.correct_biases(run, source, child, recipe, ranges, ids, progress)
    if "qat" in choice.options:
        from bedside.stages.finetune.stage import finetune

        recipe = stage.recipe(run, model, choice,
                              layout.model_dir(run, source) / layout.FLOAT_MODEL)
        source = finetune(run, source, child, recipe, ranges, progress=progress)
    return stage.quantize(run, model, choice, folder, ranges, source)


def prepared(run: Path, model: str, choice: SchemeChoice, config: CalibrationConfig,
             progress: Progress | None = None
             ) -> tuple[str, Path, dict[str, tuple[float, float]]]:
    """Return the float model a scheme starts from, its calibration folder and its ranges.

    As :func:`make`, up to what depends on the recipe.
    """
    calibration = calibration_of(choice, config)
    calibrate.check(calibration)
    source = model
    if "equalized" in choice.options:
        ids = calibrate.choose(run, model, calibration, progress)
        source = transform.equalize(run, model, ids, progress)
    folder = calibrate.calibrate(run, source, calibration, progress)
    return source, folder, calibrate.read_ranges(folder)


def calibration_of(choice: SchemeChoice, config: CalibrationConfig) -> CalibrationConfig:
    """Return the study's calibration, with the estimator that the scheme's options name."""
    return replace(config, estimator=shared.estimator(choice.options) or config.estimator)
