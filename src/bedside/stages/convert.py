"""Stage ``convert``: ``float.tflite`` from a trained network or a model trained elsewhere."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bedside.core import codec, registry
from bedside.core.build import ModelSpec
from bedside.core.errors import BadInput, GateFailed
from bedside.core.model_files import Conversion
from bedside.core.progress import Progress
from bedside.core.study import FloatModelConfig
from bedside.core.types import Preprocess, Task
from bedside.foreign.beside import model_in
from bedside.foreign.normalise import normalise
from bedside.foreign.understand import Understood, understand
from bedside.models import MODELS
from bedside.models.redundant_relu import remove_redundant_relus
from bedside.runfolder import artefact, layout, stored
from bedside.runtime.graph import Graph, parse_graph, read_graph
from bedside.runtime.litert import CAM, LOGITS, SIGNATURE, LiteRTModel, quiet_stderr

# Raised when the same weights give another file: 2 removes redundant ReLUs.
_VERSION = 2
PARITY_TOLERANCE = 1e-4
PARITY_IMAGES = 16


def convert(run: Path, model: str, progress: Progress | None = None) -> bool:
    """Convert a trained model with litert-torch and check it against torch on real images.

    Publishes ``float.tflite`` and ``model.json`` in the model's folder.

    Returns:
        False where the stage was finished already.

    Raises:
        GateFailed: a logit differs from torch's by more than 1e-4.
    """
    folder = layout.model_dir(run, model)
    trained = artefact.check(folder, "train")
    key = artefact.stage_key("convert", _VERSION, trained.key, trained.files[layout.WEIGHTS].sha256)
    if artefact.finished(folder, "convert", key):
        return False
    spec = stored.model_spec(run, model)
    if progress:
        progress(f"convert {model}", 0, 2)
    module = load_module(spec, folder / layout.WEIGHTS)
    with artefact.writing(folder, "convert", key) as scratch:
        path = scratch / layout.FLOAT_MODEL
        _export(module, spec.preprocess, path)
        if progress:
            progress(f"convert {model}", 1, 2)
        difference = _parity(run, spec, module, path)
        _write_conversion(scratch, None, read_graph(path), difference)
    if progress:
        progress(f"convert {model}", 2, 2)
    return True


def load_module(spec: ModelSpec, weights: Path) -> Any:
    """Return the trained torch module of a spec, in evaluation mode."""
    from safetensors.torch import load_file

    if spec.config is None:
        raise BadInput("a model trained elsewhere has no network source", where=spec.id,
                       remedy="It is imported as float.tflite.")
    module = registry.lookup(MODELS, spec.name, "model")(spec.config, len(spec.task.classes))
    module.load_state_dict(load_file(weights))
    return module.eval()


def _export(module: Any, preprocess: Preprocess, path: Path) -> None:
    import torch

    shape = (1, preprocess.height_px, preprocess.width_px, preprocess.channels)
    # The converter prints stages, warnings and absl notices that mean nothing to a user.
    with (warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()),
          contextlib.redirect_stderr(io.StringIO()), quiet_stderr()):
        warnings.simplefilter("ignore")
        level = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            import litert_torch

            sample = {"image": torch.zeros(shape)}
            program = litert_torch.signature(SIGNATURE, module, sample_kwargs=sample).convert()
            # Its own writer ends this process silently where the disk is full.
            content = program.model_content()
        finally:
            logging.disable(level)
    path.write_bytes(remove_redundant_relus(content))


def parity_ids(run: Path) -> list[str]:
    """Return images for parity checks: the first of validation, else of training, by id."""
    cases = sorted(stored.cases(run), key=lambda c: c.id)
    chosen = [c.id for c in cases if c.split == "val"] + [c.id for c in cases if c.split == "train"]
    return chosen[:PARITY_IMAGES]


def _parity(run: Path, spec: ModelSpec, module: Any, path: Path) -> float:
    import torch

    model = LiteRTModel(path)
    worst = 0.0
    with stored.pixel_store(run, spec.preprocess) as store, torch.inference_mode():
        for image in store.tensors(parity_ids(run)):
            expected = module(torch.from_numpy(image))[LOGITS].numpy()
            # numpy's maximum keeps a NaN, which Python's max drops: a NaN must fail the gate.
            worst = float(np.maximum(worst, np.abs(model.run(image)[LOGITS] - expected).max()))
    if not worst <= PARITY_TOLERANCE:
        raise GateFailed(f"the converted model's logits differ from torch's by {worst:.2e}, more "
                         f"than {PARITY_TOLERANCE:.0e}", where=spec.id,
                         remedy="Report the network; do not use this conversion.")
    return worst


def last_convolution(graph: Graph) -> str | None:
    """Return the layer name of the last convolution before the classifier.

    The classifier is the convolution (or fully connected layer) that makes the CAM or the
    logits; the one before it is what Figures 7 and 8 of the paper show.
    """
    layers = [graph.layer(o) for o in graph.convolutions()
              if len(graph.tensors[o.outputs[0]].shape) == 4]
    if CAM in graph.output_names and len(layers) > 1:
        classifier = graph.producer(graph.output_names[CAM])
        layers = [n for n in layers if classifier is None or n != graph.layer(classifier)]
    return layers[-1] if layers else None


def _write_conversion(scratch: Path, last_conv: str | None, graph: Graph,
                      difference: float | None) -> None:
    facts = Conversion(last_conv or last_convolution(graph), len(graph.operations), difference)
    artefact.write_text(scratch / layout.CONVERSION, codec.to_json(facts))


# ------------------------------------------------------------------ models trained elsewhere


@dataclass(frozen=True)
class _External:
    """A float model accepted for import, before the task is known."""

    id: str
    understood: Understood
    graph: Graph


def understand_model(config: FloatModelConfig) -> Understood:
    """Read a model trained elsewhere with what its study declares of it.

    Raises:
        BadInput: not a float classifier, or a contract that is not complete.
    """
    path = None if config.preprocess is None else Path(config.preprocess)
    given = None if path is None else codec.read_toml(Preprocess, path)
    if path is not None and given is not None:
        _check_preprocess(path, given)
    return understand(Path(config.file), config.contract, given)


def check_float_model(config: FloatModelConfig, taken: Collection[str] = ()) -> _External:
    """Read a model trained elsewhere, before any work is done for it.

    Args:
        config: the file, its contract and its last convolution.
        taken: ids of the study's own networks, which name folders too.

    Raises:
        BadInput: not a float model, unsupported shapes or preprocessing, a contract that is not
            complete, no layer of the name ``last_conv``, or a name that another model has.
    """
    source = model_in(Path(config.file))
    model_id = layout.model_id(source)
    if model_id.lower() in {layout.ALL_MODELS, *(t.lower() for t in taken)}:
        raise BadInput(f"the name {model_id!r} is already used in this study",
                       where=source, remedy="Rename the file.")
    found = understand_model(config)
    graph = parse_graph(found.opened.source, str(source))
    names = [graph.layer(o) for o in graph.convolutions()]
    if config.last_conv and config.last_conv not in names:
        raise BadInput(f"no convolution is named {config.last_conv!r}", where="--last-conv",
                       remedy=registry.did_you_mean(config.last_conv, names))
    return _External(model_id, found, graph)


def import_float_model(run: Path, config: FloatModelConfig, task: Task) -> ModelSpec:
    """Import a model trained elsewhere, normalised, as the model ``<file's stem>``.

    Its logits are put into the task's order of classes; where there is no ``cam`` output the
    figures that need one say so.

    Raises:
        BadInput: see :func:`check_float_model`; or its classes are not the task's.
        GateFailed: the normalised model answers otherwise than the file.
    """
    found = check_float_model(config)
    told, source = found.understood.told, found.understood.opened.path
    if len(told.classes) != len(task.classes):
        raise BadInput(f"the model has {len(told.classes)} classes and the task "
                       f"{len(task.classes)} ({', '.join(task.classes)})", where=source,
                       remedy="Choose the task's classes with --exclude, --merge or --class-names.")
    spec = ModelSpec(found.id, source.stem, told.preprocess, task, origin="external",
                     parameters=_parameters(found.graph))
    folder = layout.model_dir(run, spec.id)
    key = artefact.stage_key("import 3", artefact.sha256_file(found.understood.opened.path), spec,
                             config.last_conv, config.contract, list(told.classes))
    if not artefact.finished(folder, "convert", key):
        done = normalise(found.understood, task.classes)
        with artefact.writing(folder, "convert", key) as scratch:
            (scratch / layout.FLOAT_MODEL).write_bytes(done.content)
            artefact.write_text(scratch / layout.SPEC, codec.to_json(spec))
            artefact.write_text(scratch / layout.CONTRACT, codec.to_toml(done.contract))
            _write_conversion(scratch, config.last_conv, parse_graph(done.content), None)
    return spec


def _check_preprocess(path: Path, given: Preprocess) -> None:
    for name, values in (("mean", given.mean), ("std", given.std)):
        if len(values) not in (1, given.channels):
            raise BadInput(f"{name} has {len(values)} numbers", where=path,
                           remedy=f"Give one, or {given.channels}.")
    if min(given.std) <= 0:
        raise BadInput("std must be above 0", where=path, remedy="Correct it.")


def _parameters(graph: Graph) -> int:
    return int(sum(np.prod(t.shape) for t in graph.tensors
                   if t.buffer and t.dtype in ("float32", "float16")))
