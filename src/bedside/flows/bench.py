"""Flow of ``bedside bench``: any model file on any target, without a study.

A temporary run is made around the file, with random images, and goes through the same stages
as a study's: builds in child processes, latency in fresh processes and interleaved rounds.
Accuracy is not reported. A file that is no classifier of images (a detector, a segmenter,
several inputs) has a task without classes: nothing is asked of its outputs, and its inputs get
random values.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bedside import targets
from bedside.core import codec
from bedside.core.build import Measurement, ModelSpec, Variant
from bedside.core.errors import BadInput
from bedside.core.study import EvaluateConfig
from bedside.core.types import Case, Preprocess, Task
from bedside.runfolder import artefact, layout, stored
from bedside.runfolder.cases import cases_to_csv
from bedside.runtime.graph import Graph, ops_by_dtype, read_graph
from bedside.stages.build import build
from bedside.stages.evaluate.stage import evaluate

IMAGES = 8
# Limits on what a file makes this process allocate: random images and class names.
MOST_VALUES = 50_000_000
MOST_CLASSES = 100_000
MODEL = "model"
ROUNDS = EvaluateConfig(splits=("val",))


def bench(file: Path, names: Sequence[str], config: EvaluateConfig = ROUNDS,
          progress: Callable[..., None] | None = None, profiles: Path | None = None
          ) -> list[Measurement]:
    """Build and time a ``.tflite`` on the targets; a target that cannot is a row with a reason.

    Args:
        file: the model.
        names: targets by id.
        config: rounds, warm-up and samples; splits stay as they are here.
        progress: called with (stage, done, total).
        profiles: a run folder whose ``targets/*.toml`` count too.

    Raises:
        BadInput: no model, a shape that is left open, or an unknown target.
    """
    chosen = list(dict.fromkeys(names))
    for name in chosen:
        targets.load(name, profiles)
    graph = read_graph(file)
    preprocess, classes = _shape(graph, file)
    with tempfile.TemporaryDirectory(prefix="bedside-bench-") as folder:
        run = Path(folder) / "run"
        if profiles is not None and (profiles / layout.TARGETS).is_dir():
            shutil.copytree(profiles / layout.TARGETS, run / layout.TARGETS)
        variant = _run_around(run, file, graph, preprocess, classes)
        for number, name in enumerate(chosen):
            build(run, variant, name)
            if progress:
                progress("build", number + 1, len(chosen))
        evaluate(run, [(variant, name) for name in chosen],
                 replace(config, splits=("val",), images=config.images or IMAGES), progress)
        rows = {m.target: m for m in stored.measurements(run)}
    return [replace(rows[name], variant=file.name, model=file.stem, metrics={}, predictions=None,
                    build=None, evidence={k: v for k, v in rows[name].evidence.items()
                                          if k != "accuracy"}) for name in chosen]


def _shape(graph: Graph, file: Path) -> tuple[Preprocess, int]:
    """Return the images that a file takes and its number of classes.

    Where it is no classifier: a tiny image in place of inputs of any kind, and no classes.

    Raises:
        BadInput: an open side, no input, or more values than can be timed here.
    """
    inputs = [graph.tensors[i] for i in graph.inputs]
    if not inputs:
        raise BadInput("the model has no input", where=file, remedy="Export it with one.")
    output = graph.output_names.get("logits", graph.outputs[0] if graph.outputs else -1)
    scores = graph.tensors[output].shape if output >= 0 else ()
    values = sum(int(np.prod(t.shape, dtype=np.int64)) for t in inputs)
    classes = scores[1] if len(scores) == 2 and scores[0] == 1 and scores[1] >= 2 else 0
    if values > MOST_VALUES or classes > MOST_CLASSES:
        raise BadInput(f"inputs of {values:,} values and {classes:,} classes exceed what can be "
                       "timed here", where=file, remedy=f"Give a model of at most {MOST_VALUES:,} "
                       f"values and {MOST_CLASSES:,} classes.")
    shape = inputs[0].shape
    image = (len(inputs) == 1 and len(shape) == 4 and shape[0] == 1 and min(shape) > 0
             and shape[3] in (1, 3))
    single = graph.subgraphs == 1 and graph.signatures <= 1
    named = len(graph.outputs) == 1 or "logits" in graph.output_names
    known = all(t.dtype == "float32" or t.quantization is not None
                for t in (inputs[0], graph.tensors[output]))
    if not (classes and image and single and named and known):
        return Preprocess(height_px=1, width_px=1, channels=1), 0
    return Preprocess(height_px=shape[1], width_px=shape[2], channels=shape[3]), classes


def _scheme(graph: Graph) -> str:
    """Return the kind of a file by its convolutions."""
    kinds = set(ops_by_dtype(graph))
    if any(k.startswith("int8") and "→" not in k for k in kinds):
        return "int8"
    if "float32×int8" in kinds:
        return "dynamic"
    return "float16" if "float16→float32" in kinds else "float32"


def _run_around(run: Path, file: Path, graph: Graph, preprocess: Preprocess, classes: int) -> str:
    task = Task(tuple(f"class{i}" for i in range(classes)))
    rng = np.random.default_rng(0)
    cases = [Case(f"random{i}", "", task.classes[i % classes] if classes else "none",
                  group=f"g{i}", split="val") for i in range(IMAGES)]
    with artefact.writing(layout.data_dir(run), "data", "bench") as scratch:
        artefact.write_text(scratch / layout.CASES, cases_to_csv(cases))
        artefact.write_text(scratch / layout.TASK, codec.to_json(task))
    with artefact.writing(layout.cache_dir(run, preprocess), "cache", "bench") as scratch:
        rng.integers(0, 256, (IMAGES, preprocess.height_px, preprocess.width_px,
                              preprocess.channels), np.uint8).tofile(scratch / "pixels.bin")
        artefact.write_text(scratch / "index.json", codec.to_json(
            {"preprocess": preprocess, "dtype": "uint8", "ids": [c.id for c in cases]}))
    scheme = _scheme(graph)
    with artefact.writing(layout.model_dir(run, MODEL), "convert", "bench") as scratch:
        shutil.copyfile(file, scratch / layout.FLOAT_MODEL)
        artefact.write_text(scratch / layout.SPEC, codec.to_json(
            ModelSpec(MODEL, MODEL, preprocess, task, origin="external")))
    variant = f"{MODEL}-{scheme}"
    with artefact.writing(layout.variant_dir(run, variant), "quantize", "bench") as scratch:
        copy = scratch / layout.VARIANT_MODEL
        shutil.copyfile(file, copy)
        artefact.write_text(scratch / layout.VARIANT, codec.to_json(Variant(
            id=variant, model=MODEL, scheme=scheme, file=copy.name,
            sha256=artefact.sha256_file(copy), size_bytes=copy.stat().st_size,
            input_dtype=graph.tensors[graph.inputs[0]].dtype,
            output_dtype=graph.tensors[graph.outputs[0]].dtype, task=task,
            preprocess=preprocess, ops_by_dtype=ops_by_dtype(graph))))
    return variant
