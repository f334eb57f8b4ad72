"""Paths inside a run folder, and typed readers of what stages publish there.

The paths are part of the contract (``docs/run-folder.md``). Writing goes through
:mod:`bedside.runfolder.artefact`; this module only names and reads.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from bedside.core import codec
from bedside.core.build import Build, Measurement, ModelSpec, Variant
from bedside.core.calibration import Calibration
from bedside.core.errors import BadInput
from bedside.core.evidence import Comparison, Comparisons, OperatingPoints, Statistics
from bedside.core.recommendation import Recommendations
from bedside.core.study import Study
from bedside.core.types import Case, Preprocess, Task
from bedside.runfolder import artefact
from bedside.runfolder.cases import read_cases
from bedside.runfolder.predictions import Predictions, read_predictions
from bedside.runtime.pixels import PixelStore

CASES = "cases.csv"
TASK = "task.json"
AUDIT = "audit.json"
SPEC = "model.json"
WEIGHTS = "weights.safetensors"
HISTORY = "history.csv"
TUNING = "tune.json"
CONVERSION = "conversion.json"
FLOAT_MODEL = "float.tflite"
VARIANT = "variant.json"
VARIANT_MODEL = "model.tflite"
RECIPE = "recipe.json"
MIXTURE = "mixture.json"
BUILD = "build.json"
MEASUREMENT = "measurement.json"
PREDICTIONS = "predictions.npz"
LATENCY = "latency.csv"
CALIBRATION = "calibration.json"
OPERATING_POINT = "operating_point.json"
COMPARISONS = "comparisons.json"
STATISTICS = "statistics.json"
RECOMMENDATION = "recommendation.json"
LEAKAGE = "leakage.json"
BASELINE = "float32"
TARGETS = "targets"
# What runs a variant on a phone of the device lab, as its measurements say.
LAB_RUNTIME = "LiteRT.js"

# What the folder of the whole study is called beside those of single models.
ALL_MODELS = "all"


def study_file(run: Path) -> Path:
    """Return the file of the resolved configuration."""
    return run / "study.toml"


def data_dir(run: Path) -> Path:
    """Return the folder of cases, task and audit."""
    return run / "data"


def cache_dir(run: Path, preprocess: Preprocess) -> Path:
    """Return the folder of the pixel store for one preprocessing."""
    return run / "cache" / artefact.stage_key(preprocess)


def model_dir(run: Path, model: str) -> Path:
    """Return the folder of weights, history and the float ``.tflite`` of one network."""
    return run / "models" / model


def float_stage(run: Path, model: str) -> str:
    """Return the stage that made a ``float.tflite``: ``convert``, or ``improve`` for a child."""
    return "improve" if "+" in model and artefact.finished(
        model_dir(run, model), "improve") else "convert"


def variant_id(model: str, scheme_id: str) -> str:
    """``<model>-<scheme>[+option…]``, of a scheme's canonical id (options sorted)."""
    return f"{model}-{scheme_id}"


def variant_dir(run: Path, variant: str) -> Path:
    """Return the folder of one quantized (or float) ``.tflite`` and its recipe."""
    return run / "variants" / variant


def cell_name(variant: str, target: str) -> str:
    """Return the folder name of a variant on a target."""
    return f"{variant}@{target}"


def build_dir(run: Path, variant: str, target: str) -> Path:
    """Return the folder of what a target runs for a variant."""
    return run / "builds" / cell_name(variant, target)


def measurement_dir(run: Path, variant: str, target: str) -> Path:
    """Return the folder of measurement, predictions and raw latencies of one cell."""
    return run / "measurements" / cell_name(variant, target)


def calibration_dir(run: Path, model: str) -> Path:
    """Return the folder of the calibrations of one float model, one folder each."""
    return run / "calibration" / model


def calibration_study_dir(run: Path, model: str) -> Path:
    """Return the folder of the calibration study of one float model."""
    return calibration_dir(run, model) / "study"


def image_features_dir(run: Path, model: str) -> Path:
    """Return the folder of a network's features of each training image."""
    return calibration_dir(run, model) / "features"


def leakage_dir(run: Path) -> Path:
    """Return the folder of the comparison of splits by image and by group."""
    return run / "leakage"


def target_profiles(run: Path) -> list[Path]:
    """Return the device profiles of the user's own, sorted."""
    return sorted((run / TARGETS).glob("*.toml"))


def measured_targets(run: Path) -> set[str]:
    """Return the ids of the targets that have a measurement, finished or not."""
    return {p.name.partition("@")[2] for p in (run / "measurements").glob("*@*")}


def analysis_dir(run: Path, figure: str, model: str) -> Path:
    """Return the folder of the numbers behind one figure of one model."""
    return run / "analysis" / figure / model


def analysed(run: Path, figure: str) -> set[str]:
    """Return the models (or ``all``) that have a folder for a figure."""
    folders = (run / "analysis" / figure).glob("[!.]*")
    return {p.name for p in folders if p.is_dir()}


def search_dir(run: Path, model: str) -> Path:
    """Return the folder of the search of one model."""
    return run / "search" / model


def evidence_dir(run: Path, model: str) -> Path:
    """Return the folder of operating points, statistics and comparisons of a model, or ``all``."""
    return run / "evidence" / model


def card_dir(run: Path, model: str) -> Path:
    """Return the folder of model card and evidence file of one model."""
    return run / "card" / model


def report_dir(run: Path) -> Path:
    """Return the folder of the report and its tables."""
    return run / "report"


# ------------------------------------------------------------------ cases


def cases(run: Path) -> tuple[Case, ...]:
    """Return the cases of a run whose data stage has finished."""
    return read_cases(artefact.checked(data_dir(run), "data", CASES))


def task(run: Path) -> Task:
    """Return the task of a run whose data stage has finished."""
    return codec.read_json(Task, artefact.checked(data_dir(run), "data", TASK))


def study(run: Path) -> Study:
    """Return the resolved configuration of a run."""
    return codec.read_toml(Study, study_file(run))


def pixel_store(run: Path, preprocess: Preprocess) -> PixelStore:
    """Return the images of a run, preprocessed (stage ``cache``)."""
    artefact.record(cache_dir(run, preprocess), "cache")
    return PixelStore(cache_dir(run, preprocess))


def calibration(run: Path, variant: Variant) -> Calibration | None:
    """Return the calibration that a variant names, or None where it is not in the run."""
    # Its folder is named after the float model it was made on, which may be a transformed one.
    folders = ((run / "calibration").glob(f"*/{variant.calibration}") if variant.calibration
               else iter(()))
    folder = next((f for f in folders if artefact.finished(f, "calibrate")), None)
    return None if folder is None else codec.read_json(
        Calibration, artefact.checked(folder, "calibrate", CALIBRATION))


# ------------------------------------------------------------------ models, variants, cells


@dataclasses.dataclass(frozen=True, slots=True)
class Conversion:
    """Facts of a conversion: the last convolution's layer and the parity with torch."""

    last_conv: str | None
    operations: int
    largest_logit_difference: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Trial:
    """One setting that ``--tune`` tried; ``val_auroc`` after a shortened training."""

    learning_rate: float
    weight_decay: float
    augment: float
    val_auroc: float


@dataclasses.dataclass(frozen=True, slots=True)
class Tuning:
    """``tune.json``: every trial in order, epochs of each, and which was chosen."""

    epochs: int
    trials: tuple[Trial, ...] = ()
    chosen: int | None = None


def tuning(run: Path, model: str) -> Tuning | None:
    """Return the trials of ``--tune`` for a trained model, or None where it was not asked for."""
    path = model_dir(run, model) / TUNING
    entry = artefact.read_manifest(path.parent).stages.get("train")
    if not entry or TUNING not in entry.files:
        return None
    return codec.read_json(Tuning, artefact.verified(path))


def model_spec(run: Path, model: str) -> ModelSpec:
    """Return the model of a folder; ``last_conv`` is known once it has been converted."""
    folder = model_dir(run, model)
    spec = codec.read_json(ModelSpec, artefact.verified(folder / SPEC))
    if not (folder / CONVERSION).is_file():
        return spec
    found = codec.read_json(Conversion, artefact.verified(folder / CONVERSION))
    return dataclasses.replace(spec, last_conv=found.last_conv)


@dataclasses.dataclass(frozen=True, slots=True)
class Mixture:
    """``mixture.json`` of a search: the layers that stay out of int8, and of which model."""

    model: str
    float_sha256: str
    kept: tuple[str, ...]


def mixture(run: Path, model: str) -> Mixture:
    """Return the mixture that ``bedside search`` published.

    Raises:
        BadInput: no search has finished for this model.
    """
    folder = search_dir(run, model)
    if not artefact.finished(folder, "search"):
        raise BadInput("no mixture of layers has been searched for",
                       where=f"{model}-mixed+searched",
                       remedy=f"Run it first: bedside search RUN --model {model}.")
    return codec.read_json(Mixture, artefact.checked(folder, "search", MIXTURE))


def _finished_in(folder: Path, stage: str) -> list[Path]:
    if not folder.is_dir():
        return []
    return [p for p in sorted(folder.iterdir())
            if not p.name.startswith(".") and p.is_dir() and artefact.finished(p, stage)]


def _belongs(run: Path, spec: ModelSpec) -> bool:
    """Return whether the run's configuration still names a model that lies in its folder."""
    if not study_file(run).is_file():
        return True
    config = study(run)
    if spec.origin == "external":
        return config.float_model is not None
    return spec.id in {m.id or m.name for m in config.models}


def model_specs(run: Path) -> tuple[ModelSpec, ...]:
    """Return every converted model that the run's configuration names."""
    found = (model_spec(run, p.name) for p in _finished_in(run / "models", "convert"))
    return tuple(s for s in found if _belongs(run, s))


def variants(run: Path) -> tuple[Variant, ...]:
    """Return every finished variant of those models, by id."""
    models = {s.id for s in model_specs(run)}
    found = (codec.read_json(Variant, artefact.checked(p, "quantize", VARIANT))
             for p in _finished_in(run / "variants", "quantize"))
    return tuple(v for v in found if v.model in models)


def builds(run: Path) -> tuple[Build, ...]:
    """Return every finished build."""
    return tuple(codec.read_json(Build, artefact.checked(p, "build", BUILD))
                 for p in _finished_in(run / "builds", "build"))


def measurements(run: Path) -> tuple[Measurement, ...]:
    """Return every finished measurement of a variant as it stands now, by cell name.

    A measurement of what a variant was before it was made anew is history, not a result.
    """
    current = {v.id: v.sha256 for v in variants(run)}
    found = (codec.read_json(Measurement, artefact.checked(p, "evaluate", MEASUREMENT))
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
    folder = measurement_dir(run, measured.variant, measured.target)
    if artefact.recorded(folder, "predict"):
        return artefact.record(folder, "predict").files[PREDICTIONS].sha256
    return artefact.sha256_file(folder / PREDICTIONS)


def baseline(measured: Iterable[Measurement], target: str, home: str = "cpu"
             ) -> Measurement | None:
    """Return the float32 cell of one model: on ``target``, else on ``home``, else none."""
    # An NPU that computes a float32 file in half precision is not the original.
    candidates = [m for m in measured if m.scheme == BASELINE and m.status == "ok"
                  and m.compute_dtype in (None, BASELINE)]
    for place in (target, home):
        same = [m for m in candidates if m.target == place]
        if same:
            # A plain float32 variant comes before one with options.
            return min(same, key=lambda m: (len(m.variant), m.variant))
    return None


def operating_points(run: Path, model: str) -> OperatingPoints:
    """Return the locked and re-chosen operating points of a model (stage ``evidence``)."""
    return codec.read_json(OperatingPoints, artefact.checked(
        evidence_dir(run, model), "evidence", OPERATING_POINT))


def comparisons_of(run: Path, model: str) -> Comparisons:
    """Return the paired answers of one model, or of ``all``, with their adjustment."""
    found: Comparisons = codec.read_json(Comparisons, artefact.checked(
        evidence_dir(run, model), "evidence", COMPARISONS))
    return found


def comparisons(run: Path) -> tuple[Comparison, ...]:
    """Return the paired answers of the whole study, after Holm's adjustment."""
    return comparisons_of(run, ALL_MODELS).comparisons


def statistics(run: Path, model: str) -> Statistics:
    """Return probabilities and subgroups of a model's cells."""
    return codec.read_json(Statistics, artefact.checked(
        evidence_dir(run, model), "evidence", STATISTICS))


def recommendations(run: Path) -> Recommendations:
    """Return the choice for each target (stage ``recommend``)."""
    return codec.read_json(Recommendations, artefact.checked(run, "recommend", RECOMMENDATION))


def predictions(run: Path, variant: str, target: str) -> Predictions:
    """Return the predictions of one cell."""
    return read_predictions(artefact.verified(
        measurement_dir(run, variant, target) / PREDICTIONS))
