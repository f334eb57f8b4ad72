"""Typed readers of what stages published in a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from bedside.core import codec
from bedside.core.build import Build, Measurement, ModelSpec, Variant
from bedside.core.calibration import Calibration
from bedside.core.errors import BadInput
from bedside.core.evidence import Comparison, Comparisons, OperatingPoints
from bedside.core.model_files import Conversion, Mixture, Tuning
from bedside.core.recommendation import Recommendations
from bedside.core.repeats import Repeats
from bedside.core.statistics import Statistics, Usefulness
from bedside.core.study import Study
from bedside.core.types import Case, Preprocess, Task
from bedside.runfolder import artefact, layout
from bedside.runfolder.cases import read_cases
from bedside.runfolder.predictions import Predictions, read_predictions
from bedside.runtime.pixels import PixelStore


def cases(run: Path) -> tuple[Case, ...]:
    """Return the cases of a run whose data stage has finished."""
    return read_cases(artefact.checked(layout.data_dir(run), "data", layout.CASES))


def task(run: Path) -> Task:
    """Return the task of a run whose data stage has finished."""
    return codec.read_json(Task, artefact.checked(layout.data_dir(run), "data", layout.TASK))


def study(run: Path) -> Study:
    """Return the resolved configuration of a run."""
    return codec.read_toml(Study, layout.study_file(run))


def pixel_store(run: Path, preprocess: Preprocess) -> PixelStore:
    """Return the images of a run, preprocessed (stage ``cache``)."""
    artefact.record(layout.cache_dir(run, preprocess), "cache")
    return PixelStore(layout.cache_dir(run, preprocess))


def calibration(run: Path, variant: Variant) -> Calibration | None:
    """Return the calibration that a variant names, or None where it is not in the run."""
    # Its folder is named after the float model it was made on, which may be a transformed one.
    folders = ((run / "calibration").glob(f"*/{variant.calibration}") if variant.calibration
               else iter(()))
    folder = next((f for f in folders if artefact.finished(f, "calibrate")), None)
    return None if folder is None else codec.read_json(
        Calibration, artefact.checked(folder, "calibrate", layout.CALIBRATION))


def tuning(run: Path, model: str) -> Tuning | None:
    """Return the trials of ``--tune`` for a trained model, or None where it was not asked for."""
    path = layout.model_dir(run, model) / layout.TUNING
    entry = artefact.read_manifest(path.parent).stages.get("train")
    if not entry or layout.TUNING not in entry.files:
        return None
    return codec.read_json(Tuning, artefact.verified(path))


def model_spec(run: Path, model: str) -> ModelSpec:
    """Return the model of a folder; ``last_conv`` is known once it has been converted."""
    folder = layout.model_dir(run, model)
    spec = codec.read_json(ModelSpec, artefact.verified(folder / layout.SPEC))
    if not (folder / layout.CONVERSION).is_file():
        return spec
    found = codec.read_json(Conversion, artefact.verified(folder / layout.CONVERSION))
    return dataclasses.replace(spec, last_conv=found.last_conv)


def mixture(run: Path, model: str) -> Mixture:
    """Return the mixture that ``bedside search`` published.

    Raises:
        BadInput: no search has finished for this model.
    """
    folder = layout.search_dir(run, model)
    if not artefact.finished(folder, "search"):
        raise BadInput("no mixture of layers has been searched for",
                       where=f"{model}-mixed+searched",
                       remedy=f"Run it first: bedside search RUN --model {model}.")
    return codec.read_json(Mixture, artefact.checked(folder, "search", layout.MIXTURE))


def _finished_in(folder: Path, stage: str) -> list[Path]:
    if not folder.is_dir():
        return []
    return [p for p in sorted(folder.iterdir())
            if not p.name.startswith(".") and p.is_dir() and artefact.finished(p, stage)]


def _belongs(run: Path, spec: ModelSpec) -> bool:
    """Return whether the run's configuration still names a model that lies in its folder."""
    if not layout.study_file(run).is_file():
        return True
    config = study(run)
    if spec.origin == "external":
        return config.float_model is not None
    if spec.origin == "quantized":
        return config.quantized_model is not None and config.float_model is None
    return spec.id in {m.id or m.name for m in config.models}


def model_specs(run: Path) -> tuple[ModelSpec, ...]:
    """Return every converted model that the run's configuration names."""
    found = (model_spec(run, p.name) for p in _finished_in(run / "models", "convert"))
    return tuple(s for s in found if _belongs(run, s))


def variants(run: Path) -> tuple[Variant, ...]:
    """Return every finished variant of those models that holds what its scheme promises, by id."""
    return tuple(v for v in every_variant(run) if v.status == "ok")


def every_variant(run: Path) -> tuple[Variant, ...]:
    """Return the variants as :func:`variants` does, those that failed included."""
    models = {s.id for s in model_specs(run)}
    found = (codec.read_json(Variant, artefact.checked(p, "quantize", layout.VARIANT))
             for p in _finished_in(run / "variants", "quantize"))
    return tuple(v for v in found if v.model in models)


def builds(run: Path) -> tuple[Build, ...]:
    """Return every finished build."""
    return tuple(codec.read_json(Build, artefact.checked(p, "build", layout.BUILD))
                 for p in _finished_in(run / "builds", "build"))


def measurements(run: Path) -> tuple[Measurement, ...]:
    """Return every finished measurement of a variant as it stands now, by cell name.

    A measurement of what a variant was before it was made anew is history, not a result.
    """
    current = {v.id: v.sha256 for v in every_variant(run)}
    found = (codec.read_json(Measurement, artefact.checked(p, "evaluate", layout.MEASUREMENT))
             for p in _finished_in(run / "measurements", "evaluate"))
    return tuple(m for m in found if m.variant in current
                 and m.variant_sha256 in (None, current[m.variant]))


def require_intact(run: Path) -> None:
    """Refuse a run in which a published variant, measurement or choice was lost or changed.

    The lists above leave such a folder out, so that a run can make it anew; whoever judges or
    compares would take it for one that was never there.

    Raises:
        BadInput: names the first such file.
    """
    for part, stages in (("variants", ("quantize",)), ("measurements", ("evaluate", "predict"))):
        folders = sorted((run / part).iterdir()) if (run / part).is_dir() else []
        for folder in folders:
            for stage in stages:
                if (not folder.name.startswith(".") and folder.is_dir()
                        and artefact.recorded(folder, stage)):
                    artefact.check(folder, stage)
    if artefact.recorded(run, "recommend"):
        artefact.check(run, "recommend")


def usable(measurement: Measurement) -> bool:
    """Return whether a cell ran and kept its predictions."""
    return measurement.status == "ok" and measurement.predictions is not None


def predictions_sha256(run: Path, measured: Measurement) -> str:
    """Return the SHA-256 of a usable cell's predictions, as recorded (else of the file)."""
    folder = layout.measurement_dir(run, measured.variant, measured.target)
    if artefact.recorded(folder, "predict"):
        return artefact.record(folder, "predict").files[layout.PREDICTIONS].sha256
    return artefact.sha256_file(folder / layout.PREDICTIONS)


def baseline(measured: Iterable[Measurement], target: str, home: str = "cpu") -> Measurement | None:
    """Return the float32 cell of one model: on ``target``, else on ``home``, else none."""
    # An NPU that computes a float32 file in half precision is not the original.
    candidates = [m for m in measured if m.scheme == layout.BASELINE and m.status == "ok"
                  and m.compute_dtype in (None, layout.BASELINE)]
    for place in (target, home):
        same = [m for m in candidates if m.target == place]
        if same:
            # A plain float32 variant comes before one with options.
            return min(same, key=lambda m: (len(m.variant), m.variant))
    return None


def usefulness(run: Path) -> dict[str, tuple[Usefulness | None, Usefulness | None]]:
    """Return, by cell, what test images say of its float32 reference and of the cell itself."""
    found: dict[str, tuple[Usefulness | None, Usefulness | None]] = {}
    every = [m for m in measurements(run) if usable(m)]
    for model in dict.fromkeys(m.model for m in every):
        if not artefact.finished(layout.evidence_dir(run, model), "evidence"):
            continue
        cells = [m for m in every if m.model == model]
        known = {layout.cell_name(u.variant, u.target): u
                 for u in statistics(run, model).usefulness}
        for m in cells:
            base, own = baseline(cells, m.target), known.get(layout.cell_name(m.variant, m.target))
            found[layout.cell_name(m.variant, m.target)] = (
                own if base is None else
                known.get(layout.cell_name(base.variant, base.target)), own)
    return found


def decided(run: Path) -> tuple[Measurement, ...]:
    """Return every measurement with its metrics at the locked threshold, where there is one.

    ``measurement.json`` itself holds those of the largest logit, since it is written before a
    threshold is chosen.
    """
    known = usefulness(run)
    found = []
    for m in measurements(run):
        _, own = known.get(layout.cell_name(m.variant, m.target), (None, None))
        locked = {} if own is None else {"test": own.metrics, "val": own.validation}
        found.append(dataclasses.replace(
            m, metrics=m.metrics | {split: v for split, v in locked.items() if v}))
    return tuple(found)


def planned(run: Path) -> frozenset[tuple[str, str]]:
    """Return (variant, target) of every comparison that the choice on validation planned."""
    if not artefact.finished(run, "recommend"):
        return frozenset()
    return frozenset((str(r.chosen or r.vetoed), r.target)
                     for r in recommendations(run).recommendations if r.chosen or r.vetoed)


def operating_points(run: Path, model: str) -> OperatingPoints:
    """Return the locked and re-chosen operating points of a model (stage ``evidence``)."""
    return codec.read_json(OperatingPoints, artefact.checked(
        layout.evidence_dir(run, model), "evidence", layout.OPERATING_POINT))


def comparisons_of(run: Path, model: str) -> Comparisons:
    """Return the paired answers of one model, or of ``all``, with their adjustment."""
    found: Comparisons = codec.read_json(Comparisons, artefact.checked(
        layout.evidence_dir(run, model), "evidence", layout.COMPARISONS))
    return found


def comparisons(run: Path) -> tuple[Comparison, ...]:
    """Return the paired answers of the whole study, after Holm's adjustment."""
    return comparisons_of(run, layout.ALL_MODELS).comparisons


def statistics(run: Path, model: str) -> Statistics:
    """Return probabilities and subgroups of a model's cells."""
    return codec.read_json(Statistics, artefact.checked(
        layout.evidence_dir(run, model), "evidence", layout.STATISTICS))


def recommendations(run: Path) -> Recommendations:
    """Return the choice for each target (stage ``recommend``)."""
    return codec.read_json(Recommendations, artefact.checked(
        run, "recommend", layout.RECOMMENDATION))


def repeats(run: Path) -> Repeats | None:
    """Return the spread over a study's repeats, or None where none was asked for."""
    folder = layout.repeats_dir(run)
    if not artefact.finished(folder, "repeats"):
        return None
    return codec.read_json(Repeats, artefact.checked(folder, "repeats", layout.REPEATS))


def predictions(run: Path, variant: str, target: str) -> Predictions:
    """Return the predictions of one cell."""
    return read_predictions(artefact.verified(
        layout.measurement_dir(run, variant, target) / layout.PREDICTIONS))
