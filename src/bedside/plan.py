"""What ``run --dry-run`` prints: the stages of a study, what is there, and a time estimate.

The estimates scale rates that were measured on two cores of an AMD EPYC (Zen 3); they are a
guide, not a measurement.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bedside import artefact, rundir, schemes, study
from bedside.types import ModelConfig, Study

# Images a second at 224 pixels and width 1: training, and one inference.
_TRAIN_RATE = {"vgg16": 1.3, "resnet34": 6.5, "googlenet": 8.8, "efficientnet_lite0": 11.0}
_INFERENCE_S = {"vgg16": 0.16, "resnet34": 0.042, "googlenet": 0.03, "efficientnet_lite0": 0.02}
_DECODE_RATE = 150.0
_UNKNOWN_IMAGES = 1400


@dataclass(frozen=True, slots=True)
class Step:
    """One stage: its subject, whether it is finished, and estimated seconds if not."""

    stage: str
    subject: str
    finished: bool
    seconds: float


def plan(run: Path, config: Study, only: str | None = None) -> list[Step]:
    """The stages ``run`` would take, in order."""
    config = study.check(config)
    ready = artefact.finished(rundir.data_dir(run), "data")
    counts = _counts(run, config, ready)
    images, train_images = sum(counts.values()), counts.get("train", 0)
    steps = [Step("data", config.data.source, ready, images / _DECODE_RATE)]
    for model in config.models:
        folder = rundir.model_dir(run, model.id)
        steps.append(Step("train", model.id, artefact.finished(folder, "train"),
                          _train_seconds(model, config, train_images)))
        steps.append(Step("convert", model.id, artefact.finished(folder, "convert"), 15.0))
    ids = study.model_ids(run, config)
    for model_id in ids:
        for scheme in config.schemes:
            variant = schemes.variant_id(model_id, scheme)
            if only is None or any(v == variant for v, _ in study.cells(run, config, only)):
                steps.append(Step("quantize", variant, artefact.finished(
                    rundir.variant_dir(run, variant), "quantize"), 5.0))
    evaluated = sum(counts.get(s, 0) for s in config.evaluate.splits)
    by_id = {m.id: m for m in config.models}
    for variant, target in study.cells(run, config, only):
        network = by_id.get(next((i for i in ids if variant.startswith(f"{i}-")), ""))
        steps.append(Step("evaluate", rundir.cell_name(variant, target), artefact.finished(
            rundir.measurement_dir(run, variant, target), "evaluate"),
            _evaluate_seconds(network, config, evaluated)))
    done = artefact.finished(rundir.report_dir(run), "report")
    steps.append(Step("analyse, report", "", done, 15.0 * max(1, len(ids))))
    return steps


def _counts(run: Path, config: Study, ready: bool) -> dict[str, int]:
    if ready:
        counts: dict[str, int] = {}
        for case in rundir.cases(run):
            counts[case.split] = counts.get(case.split, 0) + 1
        return counts
    total = (config.data.phantom.images if config.data.source == "phantom"
             else _count_files(Path(config.data.source)))
    parts = config.data.proportions
    return {name: round(total * part / sum(parts))
            for name, part in zip(("train", "val", "test"), parts, strict=True)}


def _count_files(source: Path) -> int:
    if not source.is_dir():
        return _UNKNOWN_IMAGES
    return sum(1 for p in source.rglob("*") if p.is_file() and "_mask" not in p.name)


def _scale(model: ModelConfig) -> float:
    return (model.image_px / 224) ** 2 * model.width ** 2


def _train_seconds(model: ModelConfig, config: Study, images: int) -> float:
    epochs = model.epochs or config.train.epochs
    rate = _TRAIN_RATE.get(model.name, 5.0)
    return images * epochs / rate * _scale(model) * (1 + config.train.tune / 3)


def _evaluate_seconds(model: ModelConfig | None, config: Study, images: int) -> float:
    one = _INFERENCE_S.get(model.name, 0.05) * _scale(model) if model else 0.05
    settings = config.evaluate
    timed = settings.rounds * (settings.warmup + settings.samples)
    return (images + timed) * one + (settings.rounds + 1) * 0.6
