"""Stage ``calibrate``: activation ranges of a float model on training images.

Publishes ``RUN/calibration/<model>/<hash>/`` with ``ranges.json`` (tensor name to real minimum
and maximum) and ``calibration.json`` (images, seed, estimator and the ids that were used).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bedside import artefact, codec, rundir
from bedside.errors import BadInput
from bedside.registry import did_you_mean
from bedside.runtime.graph import Graph, read_graph
from bedside.runtime.litert import LiteRTModel
from bedside.types import CalibrationConfig, Case

RANGES = "ranges.json"
FACTS = "calibration.json"
ESTIMATORS = ("minmax",)
CHOICES = ("random",)

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Calibration:
    """How the ranges were found; ``ids`` are all from the training split."""

    model: str
    config: CalibrationConfig
    ids: tuple[str, ...]


def calibrate(run: Path, model: str, config: CalibrationConfig,
              progress: Progress | None = None) -> Path:
    """Find the ranges of every activation tensor; returns the published folder.

    Raises:
        BadInput: no training images, or an unknown estimator or choice.
    """
    for name, known, kind in ((config.estimator, ESTIMATORS, "calibration.estimator"),
                              (config.choice, CHOICES, "calibration.choice")):
        if name not in known:
            raise BadInput(f"unknown value {name!r}", where=kind, remedy=did_you_mean(name, known))
    ids = choose(rundir.cases(run), config)
    float_model = rundir.model_dir(run, model) / rundir.FLOAT_MODEL
    files = artefact.check(rundir.model_dir(run, model), "convert").files
    key = artefact.stage_key("calibrate", files[rundir.FLOAT_MODEL].sha256, config, list(ids))
    folder = run / "calibration" / model / key
    if artefact.finished(folder, "calibrate", key):
        return folder
    ranges = minmax_ranges(run, model, float_model, ids, progress)
    with artefact.writing(folder, "calibrate", key) as scratch:
        artefact.write_text(scratch / RANGES, codec.to_json(ranges))
        artefact.write_text(scratch / FACTS, codec.to_json(Calibration(model, config, ids)))
    return folder


def choose(cases: tuple[Case, ...], config: CalibrationConfig) -> tuple[str, ...]:
    """Ids of the calibration images: a seeded random draw from training, in drawn order."""
    pool = sorted(c.id for c in cases if c.split == "train")
    if not pool:
        raise BadInput("no training images to calibrate on", where="data/cases.csv",
                       remedy="Give a split with a train part.")
    if config.images < 1:
        raise BadInput("at least one image is needed", where="calibration.images",
                       remedy="Give 1 or more.")
    order = np.random.default_rng([config.seed, 0xCA1]).permutation(len(pool))
    return tuple(pool[i] for i in order[:config.images])


def activation_tensors(graph: Graph) -> list[int]:
    """Indices of the float tensors that are computed: inputs and every operation's outputs."""
    computed = [*graph.inputs, *(t for o in graph.operations for t in o.outputs)]
    return [i for i in dict.fromkeys(computed) if graph.tensors[i].dtype == "float32"]


def minmax_ranges(run: Path, model: str, float_model: Path, ids: tuple[str, ...],
                  progress: Progress | None = None) -> dict[str, tuple[float, float]]:
    """Smallest and largest value each activation tensor takes over the images."""
    graph = read_graph(float_model)
    watched = activation_tensors(graph)
    low = np.full(len(watched), np.inf)
    high = np.full(len(watched), -np.inf)
    loaded = LiteRTModel(float_model, preserve_all=True)
    spec = rundir.model_spec(run, model)
    with rundir.pixel_store(run, spec.preprocess) as store:
        for done, image in enumerate(store.tensors(ids), 1):
            loaded.run(image)
            for k, index in enumerate(watched):
                values = loaded.tensor(index)
                low[k] = min(low[k], float(values.min()))
                high[k] = max(high[k], float(values.max()))
            if progress:
                progress(f"calibrate {model}", done, len(ids))
    return {graph.tensors[i].name: (float(low[k]), float(high[k]))
            for k, i in enumerate(watched)}


def read_ranges(folder: Path) -> dict[str, tuple[float, float]]:
    """The ranges that a calibration published."""
    artefact.check(folder, "calibrate")
    return codec.read_json(dict[str, tuple[float, float]], folder / RANGES)
