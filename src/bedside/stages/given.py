"""Stage ``quantize`` of a file that was quantized elsewhere: it enters as a variant of its own.

With its float parent in the study it is a variant of that model, prepared as the parent is unless
declared otherwise, and tested against it. Without, a model folder is made for it that holds no
``float.tflite``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bedside.core import codec
from bedside.core.build import ModelSpec, Variant
from bedside.core.errors import BadInput
from bedside.core.model_files import Conversion
from bedside.core.study import QuantizedModelConfig
from bedside.core.types import Preprocess, Task
from bedside.runfolder import artefact, layout, stored
from bedside.runtime.graph import Graph, ops_by_dtype, parse_graph, read_graph
from bedside.runtime.litert import LOGITS, LiteRTModel, TensorFacts
from bedside.schemes import given, postcondition

STAGE = "quantize"
_VERSION = "given 1"
# Largest distance of either end of a file's input range from that of the images, as a share of it.
_ALIKE = 0.3
# Images on which the order of classes is compared with the parent's, and the gain of a mean
# correlation of classes from which another order is the right one.
_COMPARED, _GAIN = 32, 0.5


@dataclass(frozen=True, slots=True)
class Given:
    """An accepted file: its bytes with logits as output, what was cut off, and its shape."""

    source: Path
    data: bytes
    cut: str | None
    graph: Graph
    input: TensorFacts
    classes: int


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a file takes and gives: how its images are prepared, and its classes in its order."""

    preprocess: Preprocess
    classes: tuple[str, ...]


def prepared(preprocess: Preprocess, input_range: tuple[float, float],
             mean: Sequence[float] = (), std: Sequence[float] = ()) -> Preprocess:
    """Return a preprocessing to [0, 1] as one to another range, normalised after it.

    A pixel p in [0, 1] becomes (low + p · (high − low) − mean) / std; ``mean`` is 0 and ``std`` 1
    where they are empty.
    """
    low, high = input_range
    return replace(preprocess, mean=tuple((m - low) / (high - low) for m in mean or (0.0,)),
                   std=tuple(s / (high - low) for s in std or (1.0,)))


def model_id(config: QuantizedModelConfig) -> str:
    """Return the id of the model folder of a file without a parent: its stem."""
    return layout.model_id(Path(config.file))


def check(config: QuantizedModelConfig, has_parent: bool, taken: Collection[str] = ()) -> Given:
    """Read a quantized file before any work is done for it.

    Args:
        config: the file, and its preprocessing where it has no parent.
        has_parent: whether its float model is in the study.
        taken: ids of the study's models, which name folders too.

    Raises:
        BadInput: no model, a float one, one that does not load as a classifier of images, one
            whose input is not what its preprocessing makes, or without a parent no preprocessing.
    """
    source = Path(config.file)
    graph = read_graph(source)
    if not given.is_quantized(graph):
        raise BadInput("the model is in floating point", where=source,
                       remedy="Give it with --float-model; a study quantizes from it.")
    data, cut = given.with_logits(source.read_bytes(), str(source))
    loaded = LiteRTModel(source, content=data)
    if not has_parent and config.preprocess is None:
        raise BadInput("the range of its input is unknown without its float model", where=source,
                       remedy="Declare it with --preprocess TOML, or give the float model with "
                              "--float-model.")
    if not has_parent and model_id(config).lower() in {layout.ALL_MODELS,
                                                       *(t.lower() for t in taken)}:
        raise BadInput(f"the name {model_id(config)!r} is already used in this study",
                       where=source, remedy="Rename the file.")
    own = preprocess_of(config)
    if own is not None:
        _check_images(source, loaded.input, own)
    return Given(source, data, cut, parse_graph(data, str(source)), loaded.input, loaded.classes)


def preprocess_of(config: QuantizedModelConfig) -> Preprocess | None:
    """Return how the images of a file are prepared, where that is declared."""
    return None if config.preprocess is None else codec.read_toml(
        Preprocess, Path(config.preprocess))


def enter_alone(run: Path, config: QuantizedModelConfig, task: Task) -> ModelSpec:
    """Make the model folder of a file without a parent; it holds no float model.

    Raises:
        BadInput: see :func:`check`; or its classes are not as many as the task's.
    """
    found = check(config, has_parent=False)
    _order(found, config.classes or task.classes, task)
    preprocess = preprocess_of(config)
    assert preprocess is not None
    name = model_id(config)
    spec = ModelSpec(name, Path(config.file).stem, preprocess, task, origin="quantized")
    folder = layout.model_dir(run, name)
    key = artefact.stage_key(_VERSION, spec)
    if not artefact.finished(folder, "convert", key):
        with artefact.writing(folder, "convert", key) as scratch:
            artefact.write_text(scratch / layout.SPEC, codec.to_json(spec))
            artefact.write_text(scratch / layout.CONVERSION, codec.to_json(
                Conversion(None, len(found.graph.operations))))
    return spec


def enter(run: Path, config: QuantizedModelConfig, model: str, parent: Meaning | None = None
          ) -> bool:
    """Publish a quantized file as a variant of ``model``; False where it was finished already.

    One that does not give finite logits becomes a variant that failed.

    Args:
        run: the run folder; images are cached as the file takes them.
        config: the file, and what is declared of it.
        model: its float model in the run, or the folder that :func:`enter_alone` made.
        parent: what the float model took and gave before it entered the run, where entering
            changed that; the file takes and gives the same, unless it is declared otherwise.

    Raises:
        BadInput: see :func:`check`; or its input is not what the model's images are prepared to.
    """
    spec = stored.model_spec(run, model)
    alone = spec.origin == "quantized"
    found = check(config, not alone)
    told = parent or Meaning(spec.preprocess, spec.task.classes)
    preprocess = preprocess_of(config) or told.preprocess
    _check_images(found.source, found.input, preprocess)
    order = _order(found, config.classes or told.classes, spec.task)
    source_sha256 = artefact.sha256_file(found.source)
    variant = layout.variant_id(model, given.SCHEME.name)
    folder = layout.variant_dir(run, variant)
    key = artefact.stage_key(_VERSION, source_sha256, spec.task, preprocess, spec.last_conv,
                             list(order))
    if artefact.finished(folder, STAGE, key):
        return False
    data = found.data if order == tuple(range(len(order))) else given.reordered(found.data, order)
    with artefact.writing(folder, STAGE, key) as scratch:
        path = scratch / layout.VARIANT_MODEL
        path.write_bytes(data)
        with tempfile.TemporaryDirectory(prefix="bedside-") as work:
            fault = postcondition.answers_fault(run, preprocess, path, Path(work))
        if fault is None and not alone:
            _check_order(run, spec, preprocess, path, found.source)
        graph = parse_graph(data, str(path))
        facts = Variant(
            id=variant, model=model, scheme=given.SCHEME.name, file=layout.VARIANT_MODEL,
            sha256=artefact.sha256_file(path), size_bytes=len(data),
            input_dtype=found.input.dtype,
            output_dtype=graph.tensors[graph.outputs[0]].dtype,
            task=spec.task, preprocess=preprocess, last_conv=spec.last_conv,
            ops_by_dtype=ops_by_dtype(graph),
            status="ok" if fault is None else "failed", reason=fault)
        if fault is not None:
            path.unlink()
        artefact.write_text(scratch / layout.VARIANT, codec.to_json(facts))
        artefact.write_text(scratch / layout.RECIPE, codec.to_json({
            "scheme": given.SCHEME, "options": [], "recipe": [], "quantizer": None,
            "calibration": None, "source_sha256": source_sha256, "cut_off": found.cut,
            "order_of_classes": list(order)}))
    return True


def _order(found: Given, own: Sequence[str], task: Task) -> tuple[int, ...]:
    """Return which of the file's outputs, ``own`` in its order, is each class of the task."""
    if found.classes != len(task.classes):
        raise BadInput(f"the model has {found.classes} classes and the task {len(task.classes)} "
                       f"({', '.join(task.classes)})", where=found.source,
                       remedy="Choose the task's classes with --exclude, --merge or "
                              "--class-names.")
    if sorted(own) != sorted(task.classes):
        raise BadInput(f"its classes are {', '.join(own)}, the task's {', '.join(task.classes)}",
                       where=found.source, remedy="Name both in the same words.")
    return tuple(own.index(c) for c in task.classes)


def _check_order(run: Path, spec: ModelSpec, preprocess: Preprocess, file: Path, source: Path
                 ) -> None:
    """Refuse a file whose classes follow its float model's in another order than declared."""
    from scipy.optimize import linear_sum_assignment

    cases = sorted(stored.cases(run), key=lambda c: (c.split != "train", c.id))
    ids = [c.id for c in cases if c.split in ("train", "val")][:_COMPARED]
    parent = layout.model_dir(run, spec.id) / layout.FLOAT_MODEL
    logits = []
    for path, prepared in ((file, preprocess), (parent, spec.preprocess)):
        model = LiteRTModel(path)
        with stored.pixel_store(run, prepared) as store:
            logits.append(np.array([model.run(i)[LOGITS][0] for i in store.tensors(ids)]))
    count = len(spec.task.classes)
    # Constant columns correlate with nothing.
    ours, theirs = ((v - v.mean(0)) / np.maximum(v.std(0), 1e-9) for v in logits)
    likeness = ours.T @ theirs / max(len(ids), 1)
    rows, columns = linear_sum_assignment(-likeness)
    if likeness[rows, columns].mean() - np.trace(likeness) / count > _GAIN:
        names = ", ".join(spec.task.classes[i] for i in columns)
        raise BadInput("its outputs follow those of its float model in another order "
                       f"({names})", where=source,
                       remedy="Declare it as classes under [quantized_model] in study.toml, or "
                              "give the float model that it was made from.")


def _check_images(source: Path, taken: TensorFacts, preprocess: Preprocess) -> None:
    """Refuse an input of another shape, or whose integers cover another range, than the images."""
    wanted = (preprocess.height_px, preprocess.width_px, preprocess.channels)
    if taken.shape[1:] != wanted:
        raise BadInput(f"it takes {'×'.join(map(str, taken.shape[1:]))} and images are prepared to "
                       f"{'×'.join(map(str, wanted))}", where=source,
                       remedy="Give the float model that it was made from, or its preprocessing.")
    covered = input_range(taken)
    if covered is None:
        return
    low = min((0.0 - m) / s for m, s in zip(preprocess.mean, preprocess.std, strict=False))
    high = max((1.0 - m) / s for m, s in zip(preprocess.mean, preprocess.std, strict=False))
    apart = max(abs(covered[0] - low), abs(covered[1] - high))
    if not apart <= _ALIKE * (high - low):
        raise BadInput(f"its input covers [{covered[0]:.3g}, {covered[1]:.3g}] and images are "
                       f"prepared to [{low:.3g}, {high:.3g}]", where=source,
                       remedy="Declare the range that it was quantized for: preprocess under "
                              "[quantized_model] in study.toml, or --preprocess where it comes "
                              "without its float model.")


def input_range(taken: TensorFacts) -> tuple[float, float] | None:
    """Return the real numbers that a quantized input covers; None for a float one."""
    if taken.dtype == "float32":
        return None
    limits = np.iinfo(taken.dtype)
    return (float(taken.scale * (int(limits.min) - taken.zero_point)),
            float(taken.scale * (int(limits.max) - taken.zero_point)))

