"""The plan of ``run --dry-run``: stages, what is finished, and a time estimate.

The estimates scale rates that were measured on two cores of an AMD EPYC (Zen 3); they are a
guide, not a measurement. A cell on a simulator counts at the simulator's speed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bedside import targets
from bedside.core.build import Target
from bedside.core.study import ModelConfig, Study
from bedside.flows import repeats, study
from bedside.flows.check import check as check_study
from bedside.runfolder import artefact, layout, stored
from bedside.stages.data import stage as data

# Images a second at 224 pixels and width 1: training, and one inference.
_TRAIN_RATE = {"vgg16": 1.3, "resnet34": 6.5, "googlenet": 8.8, "efficientnet_lite0": 11.0}
_INFERENCE_S = {"vgg16": 0.16, "resnet34": 0.042, "googlenet": 0.03, "efficientnet_lite0": 0.02}
_DECODE_RATE = 150.0
_UNKNOWN_IMAGES = 1400
# Seconds that a build takes at 224 pixels, and how many times longer than on the CPU an image
# takes where something plays the device: a GPU in software, Qualcomm's simulator, LiteRT's
# reference kernels for an Ethos-U.
_BUILD_S = {"hexagon": 40.0, "ethos-u": 20.0, "openvino": 30.0, "onnxruntime": 20.0}
_SLOWER = {"gpu": 70.0, "hexagon": 80.0, "ethos-u": 60.0}


@dataclass(frozen=True, slots=True)
class Step:
    """One stage: its subject, whether it is finished, and estimated seconds if not."""

    stage: str
    subject: str
    finished: bool
    seconds: float


def plan(run: Path, config: Study, only: str | None = None) -> list[Step]:
    """Return the stages that ``run`` would take, in order.

    Raises:
        BadInput: what ``run`` would refuse before it reads an image.
    """
    config = check_study(config, run)
    data.refuse(run, config)
    ids = study.refuse(run, config, only)
    wanted = study.select(ids, config, only)
    same = _same(run, config, ids)
    ready = "data" in same and artefact.finished(layout.data_dir(run), "data")
    counts = _counts(run, config, ready)
    images, train_images = sum(counts.values()), counts.get("train", 0)
    steps = [Step("data", Path(config.data.source).name, ready, images / _DECODE_RATE)]
    for model in config.models:
        folder, kept = layout.model_dir(run, model.id), model.id in same
        steps.append(Step("train", model.id, kept and artefact.finished(folder, "train"),
                          _train_seconds(model, config, train_images)))
        steps.append(Step("convert", model.id, kept and artefact.finished(folder, "convert"), 15.0))
    by_id = {m.id: m for m in config.models}
    every = study.pairs(ids, config)
    for model_id, scheme in every:
        variant = layout.variant_id(model_id, scheme)
        if only is None or any(v == variant for v, _ in wanted):
            steps.append(Step("quantize", variant, _kept(model_id, "quantize", same)
                              and artefact.finished(layout.variant_dir(run, variant),
                                                    "quantize"), 5.0))
    evaluated = sum(counts.get(s, 0) for s in config.evaluate.splits)
    for variant, target in wanted:
        model_id = next((m for m, s in every if layout.variant_id(m, s) == variant), "")
        steps.append(Step("evaluate", layout.cell_name(variant, target),
                          _kept(model_id, "evaluate", same) and artefact.finished(
                              layout.measurement_dir(run, variant, target), "evaluate"),
                          _cell_seconds(by_id.get(model_id), config, targets.load(target, run),
                                        evaluated)))
    steps += _repeat_steps(run, config, images, train_images)
    done = "report" in same and artefact.finished(layout.report_dir(run), "report")
    steps.append(Step("evidence to report", "", done, sum(
        15.0 + _inspect_seconds(by_id.get(i), config) for i in ids or [""])))
    return steps


def _repeat_steps(run: Path, config: Study, images: int, train_images: int) -> list[Step]:
    """Return a step for every unit of the study's repeats."""
    found = []
    for unit in repeats.units(config):
        made = repeats.configured(config, unit)
        seconds = sum(_cell_seconds(m, made, targets.load(t, run), images)
                      for m in made.models for _ in made.schemes for t in made.targets)
        if unit.draw != "calibration":
            part = train_images if not unit.folds else images * (1 - 1 / unit.folds)
            seconds += sum(_train_seconds(m, made, round(part)) + 15.0 for m in made.models)
        found.append(Step("repeat", unit.name, artefact.finished(
            layout.unit_dir(run, unit.name), repeats.UNIT_STAGE), seconds))
    return found


def _same(run: Path, config: Study, ids: Sequence[str]) -> set[str]:
    """Return stages, and ids of models, whose settings are those that the run was last made with.

    Their keys are compared when they run; here nothing is read but the two studies.
    """
    if not layout.study_file(run).is_file():
        return set()
    old = check_study(stored.study(run), run)
    if (old.data, old.seed) != (config.data, config.seed):
        return set()
    found = {"data"} | {m.id for m in config.models
                        if m in old.models and old.train == config.train}
    if (old.float_model, old.quantized_model) == (config.float_model, config.quantized_model):
        found |= {m for m, _ in study.pairs(ids, config)} - {m.id for m in config.models}
    if old.calibration == config.calibration:
        found.add("quantize")
        if old.evaluate == config.evaluate:
            found.add("evaluate")
    return found | ({"report"} if old == config else set())


def _kept(model_id: str, stage: str, same: set[str]) -> bool:
    return stage in same and model_id in same


def _counts(run: Path, config: Study, ready: bool) -> dict[str, int]:
    if ready:
        counts: dict[str, int] = {}
        for case in stored.cases(run):
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


def _inspect_seconds(model: ModelConfig | None, config: Study) -> float:
    """Return the time of inference in figures: maps of a hundred images, degraded images."""
    one = _INFERENCE_S.get(model.name, 0.05) * _scale(model) if model else 0.05
    integer = sum(s.startswith("int8") for s in config.schemes)
    worse = 16 * config.evidence.robustness_images * (1 + min(integer, 3)) if integer else 0
    return (worse + 100 * len(config.schemes)) * one


def _cell_seconds(model: ModelConfig | None, config: Study, target: Target, images: int) -> float:
    """Return the time of build, predictions and latency of a cell; slow backends take a sample."""
    module, settings = targets.backend(target), config.evaluate
    scale = _scale(model) if model else 1.0
    one = _INFERENCE_S.get(model.name, 0.05) * scale if model else 0.05
    seconds = _BUILD_S.get(target.backend, 1.0) * min(1.0, scale)
    if target.backend == "estimate":
        return seconds
    slower = _SLOWER.get(target.backend, 1.0)
    if target.backend == "gpu" and not module.software():
        slower = 1.0
    count = min(images, settings.images or getattr(module, "IMAGES", images))
    predicting = min(count * one * slower, getattr(module, "BUDGET_S", math.inf))
    if hasattr(module, "REFERENCE"):
        predicting += 2 * count * one  # the variant's own file and float32, on this CPU
    timed = 0.0
    if slower == 1.0:
        each = (settings.warmup + settings.samples) * one + 0.6
        timed = settings.rounds * each
    return seconds + predicting + timed + 0.6
