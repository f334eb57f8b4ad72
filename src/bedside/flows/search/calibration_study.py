"""Study (``bedside calibrate --study``) of estimator, number and choice of images.

For every choice of images and seed, one pass over the largest set gives the ranges of every
estimator at every size, since a smaller set is the beginning of a larger one. Each set of ranges
becomes an INT8 model that answers the validation images.

Publishes ``RUN/calibration/<model>/study/``: ``cells.csv`` (one row per cell) and ``study.json``
(the smallest sets that are as good as the largest).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.progress import Progress
from bedside.core.registry import did_you_mean
from bedside.core.study import CalibrationConfig
from bedside.estimators import ESTIMATORS, VERSIONS
from bedside.flows.search.scorer import CandidateScorer, Logits
from bedside.runfolder import artefact, layout, stored
from bedside.runtime.litert import LiteRTModel
from bedside.schemes import int8, quantizer
from bedside.selection import CHOICES
from bedside.stages import calibrate
from bedside.stages.quantize import quantizer_version

STAGE = "calibration study"
CELLS = "cells.csv"
STUDY = "study.json"
SIZES = (8, 16, 32, 64, 128, 256, 512)
AUROC_MARGIN = 0.002
FLIPS_MARGIN = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """The factors of a study. ``images``: at most so many validation images."""

    estimators: tuple[str, ...] = tuple(ESTIMATORS)
    choices: tuple[str, ...] = tuple(CHOICES)
    sizes: tuple[int, ...] = SIZES
    seeds: int = 5
    images: int | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """One INT8 model scored on validation.

    ``range_change``: median over tensors of |width / width at the largest set − 1|.
    ``flips``: against float32; ``flips_to_largest`` and ``auroc_to_largest``: against the
    largest set of the same estimator, choice and seed.
    """

    estimator: str
    choice: str
    seed: int
    size: int
    auroc: float
    logit_shift: float
    flips: int
    flips_to_largest: int
    auroc_to_largest: float
    range_change: float


@dataclass(frozen=True, slots=True)
class Smallest:
    """The smallest size that every seed finds as good as the largest, or None."""

    estimator: str
    choice: str
    size: int | None
    largest: int
    auroc_spread: float
    auroc: float


@dataclass(frozen=True, slots=True)
class Result:
    """``study.json``."""

    model: str
    plan: Plan
    images: int
    float32_auroc: float
    smallest: tuple[Smallest, ...]


def check(plan: Plan) -> None:
    """Refuse an invalid plan.

    Raises:
        BadInput: an unknown estimator or choice, or sizes or seeds below 1.
    """
    for given, known, flag in ((plan.estimators, ESTIMATORS, "--estimator"),
                               (plan.choices, CHOICES, "--choice")):
        for name in given:
            if name not in known:
                raise BadInput(f"unknown value {name!r}", where=flag,
                               remedy=did_you_mean(name, known))
    if plan.seeds < 1 or not plan.sizes or min(plan.sizes) < 1:
        raise BadInput("sizes and seeds must be 1 or more", where="--size, --seeds",
                       remedy="Correct it.")


def sizes(run: Path, plan: Plan) -> tuple[int, ...]:
    """Return the plan's sizes; those beyond the training images become all of them."""
    count = sum(c.split == "train" for c in stored.cases(run))
    return tuple(sorted({min(s, count) for s in plan.sizes}))


def seconds(run: Path, model: str, plan: Plan) -> float:
    """Estimate the time from a few images and one quantization on this machine."""
    import time

    path = layout.model_dir(run, model) / layout.FLOAT_MODEL
    ids = calibrate.choose(run, model, CalibrationConfig(images=6))
    def took(work: Callable[[], object]) -> float:
        # The first call loads libraries, which the study does once.
        work()
        start = time.monotonic()
        work()
        return time.monotonic() - start

    names, recipe = list(plan.estimators), int8.recipe(frozenset())
    ranges = calibrate.observe(run, model, ids[:1], names)
    loaded = LiteRTModel(path)
    with stored.pixel_store(run, stored.model_spec(run, model).preprocess) as store:
        image = store.tensor(ids[0])
    # Loading the model cancels: it is in both passes.
    first = took(lambda: calibrate.observe(run, model, ids[:1], names))
    one_image = max(took(lambda: calibrate.observe(run, model, ids, names)) - first, 0.0) / max(
        len(ids) - 1, 1)
    one_model = took(lambda: quantizer.apply_int8(
        path.read_bytes(), recipe, next(iter(ranges.values()))))
    answer = took(lambda: loaded.run(image))
    counts = sizes(run, plan)
    validation = sum(c.split == "val" for c in stored.cases(run))
    sets = len(plan.choices) * plan.seeds
    return sets * (max(counts) * one_image + len(counts) * len(plan.estimators) * (
        one_model + min(validation, plan.images or validation) * answer))


def study(run: Path, model: str, plan: Plan, progress: Progress | None = None) -> Result:
    """Run the study of one model; resumes after the last finished set of images.

    Raises:
        BadInput: an invalid plan, or validation images that lack a class.
    """
    check(plan)
    folder = layout.calibration_study_dir(run, model)
    files = artefact.check(layout.model_dir(run, model), layout.float_stage(run, model)).files
    key = artefact.stage_key(STAGE, files[layout.FLOAT_MODEL].sha256, plan, quantizer_version(),
                             artefact.record(layout.data_dir(run), "data").files[
                                 layout.CASES].sha256,
                             *(VERSIONS[n] for n in plan.estimators if n in VERSIONS))
    if artefact.finished(folder, STAGE, key):
        return codec.read_json(Result, folder / STUDY)
    scorer = CandidateScorer(run, model, plan.images)
    cells: list[Cell] = []
    sets = [(c, s) for c in plan.choices for s in range(plan.seeds)]
    counts = sizes(run, plan)
    total = len(sets) * len(counts) * len(plan.estimators)
    with artefact.writing(folder, STAGE, key, resume=True) as scratch:
        for choice, seed in sets:
            path = scratch / f".{choice}-{seed}.json"
            if path.is_file():
                cells += codec.read_json(tuple[Cell, ...], path)
            else:
                found = _one_set(run, model, choice, seed, counts, plan, scorer)
                artefact.write_text(path, codec.to_json(found))
                cells += found
            if progress:
                progress(f"study {model}", len(cells), total)
        result = Result(model, plan, len(scorer.ids), scorer.reference.auroc,
                        tuple(_smallest(cells, e, c) for e in plan.estimators
                              for c in plan.choices))
        artefact.write_csv(scratch / CELLS, [f.name for f in fields(Cell)],
                           (asdict(c).values() for c in cells))
        artefact.write_text(scratch / STUDY, codec.to_json(result))
    return result


def _one_set(run: Path, model: str, choice: str, seed: int, counts: Sequence[int], plan: Plan,
             scorer: CandidateScorer) -> list[Cell]:
    ids = calibrate.choose(run, model, CalibrationConfig(max(counts), "minmax", choice, seed))
    by_size = calibrate.observe_sets(run, model, ids, counts, plan.estimators)
    recipe = int8.recipe(frozenset())
    cells: list[Cell] = []
    for estimator in plan.estimators:
        largest: tuple[float, Logits, calibrate.Ranges] | None = None
        for size in sorted(counts, reverse=True):
            ranges = by_size[size][estimator]
            data = quantizer.apply_int8(scorer.float_bytes, recipe, ranges)
            logits, ms = scorer.logits(data)
            score = scorer.score_logits(logits, len(data), ms)
            if largest is None:
                largest = score.auroc, logits, ranges
            cells.append(Cell(
                estimator, choice, seed, size, score.auroc, score.logit_shift, score.flips,
                int((logits.argmax(1) != largest[1].argmax(1)).sum()),
                score.auroc - largest[0], _range_change(ranges, largest[2])))
    return cells


def _range_change(ranges: calibrate.Ranges, largest: calibrate.Ranges) -> float:
    changes = [abs((high - low) / (largest[n][1] - largest[n][0]) - 1.0)
               for n, (low, high) in ranges.items() if largest[n][1] > largest[n][0]]
    return float(np.median(changes)) if changes else 0.0


def _smallest(cells: Sequence[Cell], estimator: str, choice: str) -> Smallest:
    """Return the smallest size from which on, for every seed, all larger sets too are as good."""
    mine = [c for c in cells if c.estimator == estimator and c.choice == choice]
    counts = sorted({c.size for c in mine})
    good = {s: all(abs(c.auroc_to_largest) <= AUROC_MARGIN and c.flips_to_largest <= FLIPS_MARGIN
                   for c in mine if c.size == s) for s in counts}
    enough = [s for i, s in enumerate(counts) if all(good[t] for t in counts[i:])]
    at_largest = [c.auroc for c in mine if c.size == counts[-1]]
    return Smallest(estimator, choice, enough[0] if enough and len(counts) > 1 else None,
                    counts[-1], float(np.ptp([c.auroc for c in mine])),
                    float(np.mean(at_largest)))
