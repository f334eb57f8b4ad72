"""``bedside calibrate``: run every calibration the schemes need; estimate a study's time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bedside import schemes
from bedside.core import codec
from bedside.core.calibration import Calibration
from bedside.core.errors import BadInput
from bedside.core.progress import Progress
from bedside.core.study import Study
from bedside.flows import variants
from bedside.flows.search import calibration_study
from bedside.runfolder import artefact, layout
from bedside.stages import calibrate


@dataclass(frozen=True, slots=True)
class Calibrated:
    """One finished calibration: ``images`` of training images."""

    model: str
    scheme: str
    estimator: str
    choice: str
    images: int


def calibrate_all(run: Path, models: Sequence[str], config: Study,
                  progress: Progress | None = None) -> list[Calibrated]:
    """Calibrate ``models`` for each of the study's schemes that needs it.

    Raises:
        BadInput: an unknown scheme, estimator or choice of images.
    """
    finished = []
    for model in models:
        for scheme in map(schemes.parse, config.schemes):
            if scheme.scheme.needs_calibration:
                settings = variants.calibration_of(scheme, config.calibration)
                folder = calibrate.calibrate(run, model, settings, progress)
                facts = codec.read_json(Calibration, folder / layout.CALIBRATION)
                finished.append(Calibrated(model, str(scheme), settings.estimator, settings.choice,
                                           len(facts.ids)))
    return finished


def study_seconds(run: Path, models: Sequence[str], plan: calibration_study.Plan) -> float:
    """Estimate the time of a study. A missing stage is not run for it: that may take hours.

    Raises:
        BadInput: a model that has not been converted.
    """
    for name in models:
        if not artefact.finished(layout.model_dir(run, name), layout.float_stage(run, name)):
            raise BadInput(f"model {name!r} is not there yet, and the estimate times it",
                           where=run, remedy="Run bedside convert first.")
    return sum(calibration_study.seconds(run, name, plan) for name in models)
