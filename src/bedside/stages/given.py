"""Stage ``quantize`` of a file that was quantized elsewhere: it enters as a variant of its own.

With its float parent in the study it is a variant of that model, prepared as the parent is and
tested against it. Without, a model folder is made for it that holds no ``float.tflite``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from dataclasses import dataclass
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
from bedside.runtime.litert import LiteRTModel, TensorFacts
from bedside.schemes import given, postcondition

STAGE = "quantize"
_VERSION = "given 1"
# Within this factor a file's input range is that of the images prepared for it.
_ALIKE = 4.0


@dataclass(frozen=True, slots=True)
class Given:
    """An accepted file: its bytes with logits as output, what was cut off, and its shape."""

    source: Path
    data: bytes
    cut: str | None
    graph: Graph
    input: TensorFacts
    classes: int


def model_id(config: QuantizedModelConfig) -> str:
    """Return the id of the model folder of a file without a parent: its stem."""
    stem = Path(config.file).stem
    cleaned = "".join(c if c.isalnum() or c in "_." else "_" for c in stem)[:60]
    return cleaned.strip("._") or "model"


def check(config: QuantizedModelConfig, has_parent: bool, taken: Collection[str] = ()) -> Given:
    """Read a quantized file before any work is done for it.

    Args:
        config: the file, and its preprocessing where it has no parent.
        has_parent: whether its float model is in the study.
        taken: ids of the study's models, which name folders too.

    Raises:
        BadInput: no model, a float one, one that does not load as a classifier of images, or
            without a parent no preprocessing.
    """
    source = Path(config.file)
    graph = read_graph(source)
    if not given.is_quantized(graph):
        raise BadInput("the model is in floating point", where=source,
                       remedy="Give it with --float-model; a study quantizes from it.")
    data, cut = given.with_logits(source.read_bytes(), str(source))
    loaded = LiteRTModel(source, content=data)
    if has_parent:
        if config.preprocess is not None:
            raise BadInput("its preprocessing is that of its float model", where="--preprocess",
                           remedy="Leave it out of [quantized_model].")
    else:
        if config.preprocess is None:
            raise BadInput("the range of its input is unknown without its float model",
                           where=source, remedy="Declare it with --preprocess TOML, or give the "
                                                "float model with --float-model.")
        if model_id(config).lower() in {layout.ALL_MODELS, *(t.lower() for t in taken)}:
            raise BadInput(f"the name {model_id(config)!r} is already used in this study",
                           where=source, remedy="Rename the file.")
        _check_images(source, loaded.input, codec.read_toml(Preprocess, Path(config.preprocess)))
    return Given(source, data, cut, parse_graph(data, str(source)), loaded.input, loaded.classes)


def enter_alone(run: Path, config: QuantizedModelConfig, task: Task) -> ModelSpec:
    """Make the model folder of a file without a parent; it holds no float model.

    Raises:
        BadInput: see :func:`check`; or its classes are not as many as the task's.
    """
    found = check(config, has_parent=False)
    _check_classes(found, task)
    assert config.preprocess is not None
    name = model_id(config)
    spec = ModelSpec(name, Path(config.file).stem, codec.read_toml(
        Preprocess, Path(config.preprocess)), task, origin="quantized")
    folder = layout.model_dir(run, name)
    key = artefact.stage_key(_VERSION, spec)
    if not artefact.finished(folder, "convert", key):
        with artefact.writing(folder, "convert", key) as scratch:
            artefact.write_text(scratch / layout.SPEC, codec.to_json(spec))
            artefact.write_text(scratch / layout.CONVERSION, codec.to_json(
                Conversion(None, len(found.graph.operations))))
    return spec


def enter(run: Path, config: QuantizedModelConfig, model: str) -> bool:
    """Publish a quantized file as a variant of ``model``; False where it was finished already.

    One that does not give finite logits becomes a variant that failed.

    Raises:
        BadInput: see :func:`check`; or its input is not what the model's images are prepared to.
    """
    spec = stored.model_spec(run, model)
    alone = spec.origin == "quantized"
    found = check(config, not alone)
    _check_classes(found, spec.task)
    _check_images(found.source, found.input, spec.preprocess)
    variant = layout.variant_id(model, given.SCHEME.name)
    folder = layout.variant_dir(run, variant)
    key = artefact.stage_key(_VERSION, artefact.sha256_file(found.source), spec.task,
                             spec.preprocess, spec.last_conv)
    if artefact.finished(folder, STAGE, key):
        return False
    with artefact.writing(folder, STAGE, key) as scratch:
        path = scratch / layout.VARIANT_MODEL
        path.write_bytes(found.data)
        with tempfile.TemporaryDirectory(prefix="bedside-") as work:
            fault = postcondition.answers_fault(run, spec.preprocess, path, Path(work))
        facts = Variant(
            id=variant, model=model, scheme=given.SCHEME.name, file=layout.VARIANT_MODEL,
            sha256=artefact.sha256_file(path), size_bytes=len(found.data),
            input_dtype=found.input.dtype,
            output_dtype=found.graph.tensors[found.graph.outputs[0]].dtype,
            task=spec.task, preprocess=spec.preprocess, last_conv=spec.last_conv,
            ops_by_dtype=ops_by_dtype(found.graph),
            status="ok" if fault is None else "failed", reason=fault)
        if fault is not None:
            path.unlink()
        artefact.write_text(scratch / layout.VARIANT, codec.to_json(facts))
        artefact.write_text(scratch / layout.RECIPE, codec.to_json({
            "scheme": given.SCHEME, "options": [], "recipe": [], "quantizer": None,
            "calibration": None, "source_sha256": artefact.sha256_file(found.source),
            "cut_off": found.cut}))
    return True


def _check_classes(found: Given, task: Task) -> None:
    if found.classes != len(task.classes):
        raise BadInput(f"the model has {found.classes} classes and the task {len(task.classes)} "
                       f"({', '.join(task.classes)})", where=found.source,
                       remedy="Choose the task's classes with --exclude, --merge or "
                              "--class-names.")


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
    span, own = high - low, covered[1] - covered[0]
    middle = abs((low + high) / 2 - (covered[0] + covered[1]) / 2)
    if not span / _ALIKE <= own <= span * _ALIKE or middle > span:
        raise BadInput(f"its input covers [{covered[0]:.3g}, {covered[1]:.3g}] and images are "
                       f"prepared to [{low:.3g}, {high:.3g}]", where=source,
                       remedy="Declare the range that it was quantized for (--preprocess), or "
                              "give the float model that it was made from.")


def input_range(taken: TensorFacts) -> tuple[float, float] | None:
    """Return the real numbers that a quantized input covers; None for a float one."""
    if taken.dtype == "float32":
        return None
    limits = np.iinfo(taken.dtype)
    return (float(taken.scale * (int(limits.min) - taken.zero_point)),
            float(taken.scale * (int(limits.max) - taken.zero_point)))

