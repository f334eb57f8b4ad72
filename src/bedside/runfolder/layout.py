"""Paths inside a run folder, and typed readers of what stages publish there.

The paths are part of the contract (``docs/run-folder.md``). Writing goes through
:mod:`bedside.runfolder.artefact`; this module only names and reads.
"""

from __future__ import annotations

from pathlib import Path

from bedside.core.types import Preprocess
from bedside.runfolder import artefact

CASES = "cases.csv"
TASK = "task.json"
AUDIT = "audit.json"
SPEC = "model.json"
WEIGHTS = "weights.safetensors"
HISTORY = "history.csv"
TUNING = "tune.json"
CONVERSION = "conversion.json"
CONTRACT = "contract.toml"
CONTRACT_CHECK = "contract_check.json"
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
REPEATS = "repeats.json"
UNIT = "unit.json"
BASELINE = "float32"
TARGETS = "targets"
# What runs a variant on a phone of the device lab, as its measurements say.
LAB_RUNTIME = "LiteRT.js"

# What the folder of the whole study is called beside those of single models.
ALL_MODELS = "all"


def study_file(run: Path) -> Path:
    """Return the file of the resolved configuration."""
    return run / "study.toml"


def protocol_file(run: Path) -> Path:
    """Return the file of the protocol that stands before the test set is opened."""
    return run / "protocol.json"


def ledger_file(run: Path) -> Path:
    """Return the file of the hash-chained ledger of that protocol."""
    return run / "ledger.jsonl"


def data_dir(run: Path) -> Path:
    """Return the folder of cases, task and audit."""
    return run / "data"


def cache_dir(run: Path, preprocess: Preprocess) -> Path:
    """Return the folder of the pixel store for one preprocessing."""
    return run / "cache" / artefact.stage_key(preprocess)


def model_id(file: Path) -> str:
    """Return the id of a model that came as a file: its stem, as folders may be named."""
    cleaned = "".join(c if c.isalnum() or c in "_." else "_" for c in file.stem)[:60]
    return cleaned.strip("._") or "model"


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


def repeats_dir(run: Path) -> Path:
    """Return the folder of the study's repeats: one run folder a unit, and their spread."""
    return run / "repeats"


def unit_dir(run: Path, unit: str) -> Path:
    """Return the run folder of one repeat."""
    return repeats_dir(run) / unit


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
