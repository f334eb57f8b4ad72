"""From a model and a scheme to a variant: choose, calibrate, improve, quantize, in that order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bedside import schemes
from bedside.core.progress import Progress
from bedside.core.study import CalibrationConfig
from bedside.runfolder import layout
from bedside.schemes import options as shared
from bedside.stages import calibrate, transform
from bedside.stages import quantize as stage


def make(run: Path, model: str, scheme_id: str, config: CalibrationConfig,
         progress: Progress | None = None) -> bool:
    """Write one variant with everything that its options ask for; False where it was finished.

    Args:
        run: the run folder.
        model: a converted model of it.
        scheme_id: a scheme with its options, ``int8+equalized+percentile``.
        config: the study's calibration; an estimator among the options wins over its own.
        progress: called with (stage, done, total).

    Raises:
        BadInput: unknown scheme or option, or what an option asks for cannot be done.
    """
    _, scheme, options = schemes.load(scheme_id)
    if not scheme.needs_calibration:
        return stage.quantize(run, model, scheme_id, None, None)
    source, folder, ranges = prepared(run, model, scheme_id, config, progress)
    if "biascorrected" in options:
        chosen = calibration_of(scheme_id, config)
        ids = calibrate.choose(run, source, chosen, progress)
        child = "+".join([model, scheme.name, *options])
        recipe = stage.recipe(run, model, scheme_id,
                              layout.model_dir(run, source) / layout.FLOAT_MODEL)
        source = transform.correct_biases(run, source, child, recipe, ranges, ids, progress)
    if "qat" in options:
        from bedside.stages.finetune.stage import finetune

        recipe = stage.recipe(run, model, scheme_id,
                              layout.model_dir(run, source) / layout.FLOAT_MODEL)
        source = finetune(run, source, "+".join([model, scheme.name, *options]), recipe, ranges,
                          progress=progress)
    return stage.quantize(run, model, scheme_id, folder, ranges, source)


def prepared(run: Path, model: str, scheme_id: str, config: CalibrationConfig,
             progress: Progress | None = None
             ) -> tuple[str, Path, dict[str, tuple[float, float]]]:
    """The float model a scheme starts from, its calibration folder and its ranges.

    As :func:`make`, up to what depends on the recipe.
    """
    _, _, options = schemes.load(scheme_id)
    chosen = calibration_of(scheme_id, config)
    calibrate.check(chosen)
    source = model
    if "equalized" in options:
        ids = calibrate.choose(run, model, chosen, progress)
        source = transform.equalize(run, model, ids, progress)
    folder = calibrate.calibrate(run, source, chosen, progress)
    return source, folder, calibrate.read_ranges(folder)


def calibration_of(scheme_id: str, config: CalibrationConfig) -> CalibrationConfig:
    """The calibration of a scheme: the study's, with the estimator its options name."""
    _, _, options = schemes.load(scheme_id)
    return replace(config, estimator=shared.estimator(options) or config.estimator)
