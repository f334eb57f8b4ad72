"""Stage ``calibrate``: activation ranges of a float model on training images.

Publishes ``RUN/calibration/<model>/<hash>/`` with ``ranges.json`` (tensor name to real minimum
and maximum) and ``calibration.json`` (images, seed, estimator and the ids that were used), and
for the choice ``coverage`` ``RUN/calibration/<model>/features/`` once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bedside import estimators
from bedside.core import codec, registry
from bedside.core.calibration import Calibration
from bedside.core.errors import BadInput, Unquantizable
from bedside.core.progress import Progress
from bedside.core.registry import did_you_mean
from bedside.core.study import CalibrationConfig
from bedside.estimators import ESTIMATORS, Observer
from bedside.runfolder import artefact, layout, stored
from bedside.runtime.graph import Graph, read_graph
from bedside.runtime.litert import LiteRTModel
from bedside.selection import CHOICES, NEEDS_FEATURES, Pool

RANGES = "ranges.json"
FEATURES = "features.npz"

Ranges = dict[str, tuple[float, float]]


def check(config: CalibrationConfig) -> None:
    """Refuse an invalid configuration before any work.

    Raises:
        BadInput: an unknown estimator or choice, or no images.
    """
    for name, known, kind in ((config.estimator, ESTIMATORS, "calibration.estimator"),
                              (config.choice, CHOICES, "calibration.choice")):
        if name not in known:
            raise BadInput(f"unknown value {name!r}", where=kind, remedy=did_you_mean(name, known))
    if config.images < 1:
        raise BadInput("at least one image is needed", where="calibration.images",
                       remedy="Give 1 or more.")
    if config.seed < 0:
        raise BadInput(f"must be 0 or more; got {config.seed}", where="calibration.seed",
                       remedy="Give 0 or more.")


def calibrate(run: Path, model: str, config: CalibrationConfig,
              progress: Progress | None = None) -> Path:
    """Find the ranges of every activation tensor; returns the published folder.

    Args:
        run: the run folder.
        model: a converted model of it, or a child of one (``resnet34+equalized``).
        config: which images, and which estimator.
        progress: called with (stage, done, total) after every image.

    Raises:
        BadInput: no training images, an unknown estimator or choice, or an activation that is
            not finite.
    """
    check(config)
    ids = choose(run, model, config, progress)
    artefact.check(layout.model_dir(run, model), layout.float_stage(run, model))
    key = _key(run, model, config, ids)
    folder = layout.calibration_dir(run, model) / key
    if artefact.finished(folder, "calibrate", key):
        return folder
    ranges = observe(run, model, ids, [config.estimator], progress)[config.estimator]
    publish(run, model, config, ids, ranges)
    return folder


def publish(run: Path, model: str, config: CalibrationConfig, ids: Sequence[str],
            ranges: Ranges) -> Path:
    """Publish ranges under the key that :func:`calibrate` would find them by."""
    key = _key(run, model, config, ids)
    folder = layout.calibration_dir(run, model) / key
    with artefact.writing(folder, "calibrate", key) as scratch:
        artefact.write_text(scratch / RANGES, codec.to_json(ranges))
        artefact.write_text(scratch / layout.CALIBRATION, codec.to_json(
            Calibration(model, config, tuple(ids))))
    return folder


def _key(run: Path, model: str, config: CalibrationConfig, ids: Sequence[str]) -> str:
    files = artefact.record(layout.model_dir(run, model), layout.float_stage(run, model)).files
    # A model trained elsewhere may be given other preprocessing: its file stays the same.
    revised = [estimators.VERSIONS[n] for n in (config.estimator,) if n in estimators.VERSIONS]
    return artefact.stage_key("calibrate 2", files[layout.FLOAT_MODEL].sha256, config, list(ids),
                              stored.model_spec(run, model).preprocess, *revised)


# ------------------------------------------------------------------ which images


def choose(run: Path, model: str, config: CalibrationConfig, progress: Progress | None = None
           ) -> tuple[str, ...]:
    """Return the ids of the calibration images, in drawn order; all are training images."""
    train = sorted((c for c in stored.cases(run) if c.split == "train"), key=lambda c: c.id)
    if not train:
        raise BadInput("no training images to calibrate on", where="data/cases.csv",
                       remedy="Give a split with a train part.")
    ids = tuple(c.id for c in train)
    features = ((lambda: image_features(run, model, ids, progress))
                if config.choice in NEEDS_FEATURES else None)
    pick: Callable[[Pool, int, int], tuple[str, ...]] = registry.lookup(
        CHOICES, config.choice, "choice")
    return pick(Pool(ids, tuple(c.label for c in train), features), config.images, config.seed)


def image_features(run: Path, model: str, ids: Sequence[str], progress: Progress | None = None
                   ) -> npt.NDArray[np.float32]:
    """Return the mean over positions of the classifier's input, (n, F).

    Kept in ``RUN/calibration/<model>/features``.
    """
    path = layout.model_dir(run, model) / layout.FLOAT_MODEL
    files = artefact.record(path.parent, layout.float_stage(run, model)).files
    key = artefact.stage_key("features 2", files[layout.FLOAT_MODEL].sha256, list(ids),
                             stored.model_spec(run, model).preprocess)
    folder = layout.image_features_dir(run, model)
    if not artefact.finished(folder, "features", key):
        graph = read_graph(path)
        index = feature_tensor(graph)
        loaded = LiteRTModel(path, preserve_all=True)
        rows = []
        with stored.pixel_store(run, stored.model_spec(run, model).preprocess) as store:
            for done, image in enumerate(store.tensors(ids), 1):
                loaded.run(image)
                values = loaded.tensor(index)
                rows.append(values.reshape(-1, values.shape[-1]).mean(axis=0))
                if progress:
                    progress(f"features {model}", done, len(ids))
        with artefact.writing(folder, "features", key) as scratch:
            np.savez(scratch / FEATURES, ids=np.array(ids), features=np.asarray(rows, np.float32))
    artefact.check(folder, "features")
    with np.load(folder / FEATURES, allow_pickle=False) as data:
        found: npt.NDArray[np.float32] = data["features"]
    return found


def feature_tensor(graph: Graph) -> int:
    """Return the tensor that enters the classifier (the last convolution or dense layer).

    Raises:
        BadInput: the network has neither.
    """
    layers = graph.convolutions()
    if not layers:
        raise BadInput("the network has no convolution, so it has no features to cover",
                       where="calibration.choice", remedy="Choose 'random' or 'stratified'.")
    return layers[-1].inputs[0]


# ------------------------------------------------------------------ what they show


def activation_tensors(graph: Graph) -> list[int]:
    """Return the indices of computed float tensors: inputs and every operation's outputs."""
    computed = [*graph.inputs, *(t for o in graph.operations for t in o.outputs)]
    return [i for i in dict.fromkeys(computed) if graph.tensors[i].dtype == "float32"]


def observe(run: Path, model: str, ids: Sequence[str], names: Sequence[str],
            progress: Progress | None = None) -> dict[str, Ranges]:
    """Return ranges by estimator and tensor name, from one pass over the images.

    Raises:
        BadInput: an activation is not finite.
    """
    return observe_sets(run, model, ids, [len(ids)], names, progress)[len(ids)]


def observe_sets(run: Path, model: str, ids: Sequence[str], sizes: Sequence[int],
                 names: Sequence[str], progress: Progress | None = None
                 ) -> dict[int, dict[str, Ranges]]:
    """Return the ranges of :func:`observe` by size, of the first ``sizes`` images each."""
    path = layout.model_dir(run, model) / layout.FLOAT_MODEL
    graph = read_graph(path)
    watched = activation_tensors(graph)
    seen: dict[str, list[Observer]] = {n: [estimators.observer(n) for _ in watched] for n in names}
    loaded = LiteRTModel(path, preserve_all=True)
    by_size = {}
    with stored.pixel_store(run, stored.model_spec(run, model).preprocess) as store:
        for done, image in enumerate(store.tensors(ids), 1):
            loaded.run(image)
            for k, index in enumerate(watched):
                values = loaded.tensor(index)
                for name in names:
                    _update(seen[name][k], values, graph, index, path)
            if done in sizes:
                by_size[done] = {n: {graph.tensors[i].name: o.limits()
                                     for i, o in zip(watched, seen[n], strict=True)}
                                 for n in names}
            if progress:
                progress(f"calibrate {model}", done, len(ids))
    return by_size


def _update(watcher: Observer, values: npt.NDArray[np.float32], graph: Graph, index: int,
           path: Path) -> None:
    """Update an observer with one image's values of a tensor of the network at ``path``.

    Raises:
        Unquantizable: a value is not finite.
    """
    try:
        watcher.update(values)
    except ValueError as error:
        raise Unquantizable(f"{error} in {graph.tensors[index].layer}", where=path,
                            remedy="Train the network again; it cannot be quantized.") from None


def read_ranges(folder: Path) -> Ranges:
    """Return the ranges that a calibration published."""
    artefact.check(folder, "calibrate")
    return codec.read_json(Ranges, folder / RANGES)

