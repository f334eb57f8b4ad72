"""Stage ``transform``: float models derived to quantize better (equalized, biases corrected).

Publishes ``RUN/models/<model>+…/`` with ``float.tflite``, ``model.json`` (its ``parent`` named)
and ``improve.json`` (what was changed, and on which images it was measured).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bedside.core import codec
from bedside.core.progress import Progress
from bedside.runfolder import artefact, layout, stored
from bedside.runtime.graph import Graph, dequantize, read_graph
from bedside.runtime.litert import LiteRTModel, predict
from bedside.schemes import biascorrect, quantizer
from bedside.schemes.equalize import equalize as equalize_pairs
from bedside.schemes.equalize import pairs

# The stage's name in manifests, and its file, as earlier versions wrote them.
STAGE = "improve"
IMPROVE = "improve.json"


def equalize(run: Path, model: str, ids: Sequence[str], progress: Progress | None = None) -> str:
    """Publish the derived model ``<model>+equalized``; return its id.

    Args:
        run: the run folder.
        model: a converted model of it.
        ids: calibration images (training images), on which channels are measured.
        progress: called with (stage, done, total).

    Raises:
        BadInput: no two neighbouring layers can be equalized.
    """
    child = f"{model}+equalized"
    source = _source(run, model)
    key = artefact.stage_key("equalize 2", artefact.sha256_file(source), list(ids),
                             stored.model_spec(run, model))
    folder = layout.model_dir(run, child)
    if artefact.finished(folder, STAGE, key):
        return child
    graph = read_graph(source)
    wanted = [p.tensor for p in pairs(graph)]
    maxima = {t: np.zeros(graph.tensors[t].shape[-1], np.float32) for t in wanted}
    for tensors in _watched(run, model, source, ids, wanted, progress, f"equalize {model}"):
        for index, values in tensors.items():
            flat = np.abs(values).reshape(-1, values.shape[-1]).max(axis=0)
            maxima[index] = np.maximum(maxima[index], flat)
    data, count = equalize_pairs(source.read_bytes(), maxima, model)
    _publish(run, model, child, key, data, {
        "method": "cross-layer equalization", "pairs": count, "images": list(ids)})
    return child


def correct_biases(run: Path, model: str, child: str, recipe: list[dict[str, Any]],
                   ranges: quantizer.Ranges, ids: Sequence[str],
                   progress: Progress | None = None) -> str:
    """Publish a derived model whose biases offset what quantizing does to the means.

    Args:
        run: the run folder.
        model: a converted model, or a child.
        child: the id of the new model.
        recipe: the quantizer's recipe.
        ranges: of the activations, which stay those of the parent.
        ids: calibration images.
        progress: called with (stage, done, total).
    """
    source = _source(run, model)
    key = artefact.stage_key("biascorrect 2", artefact.sha256_file(source), recipe,
                             [list(i) for i in sorted(ranges.items())], list(ids),
                             stored.model_spec(run, model))
    folder = layout.model_dir(run, child)
    if artefact.finished(folder, STAGE, key):
        return child
    graph, label = read_graph(source), f"correct {model}"
    data = source.read_bytes()
    layers = graph.convolutions()
    means = _means(run, model, source, graph, [o.inputs[0] for o in layers], ids, progress, label)
    data = biascorrect.correct_weights(data, quantizer.apply_int8(data, recipe, ranges), means)
    shift = (_mean_logits(run, model, source.read_bytes(), ids)
             - _mean_logits(run, model, quantizer.apply_int8(data, recipe, ranges), ids))
    last = graph.tensors[layers[-1].outputs[0]]
    if last.shape[-1] == shift.size:  # the classifier itself, as in all of our networks
        data = biascorrect.correct_classifier(data, shift)
    _publish(run, model, child, key, data, {
        "method": "bias correction", "layers": len(layers), "images": list(ids),
        "mean_logit_shift": [float(v) for v in shift]})
    return child


def _source(run: Path, model: str) -> Path:
    folder = layout.model_dir(run, model)
    artefact.check(folder, layout.float_stage(run, model))
    return folder / layout.FLOAT_MODEL


def _watched(run: Path, model: str, path: Path, ids: Sequence[str], wanted: Sequence[int],
             progress: Progress | None, label: str) -> Iterable[Mapping[int, npt.NDArray[Any]]]:
    loaded, graph = LiteRTModel(path, preserve_all=True), read_graph(path)
    with stored.pixel_store(run, stored.model_spec(run, model).preprocess) as store:
        for done, image in enumerate(store.tensors(ids), 1):
            loaded.run(image)
            yield {i: dequantize(loaded.tensor(i), graph.tensors[i].quantization)
                   for i in dict.fromkeys(wanted)}
            if progress:
                progress(label, done, len(ids))


def _means(run: Path, model: str, path: Path, graph: Graph, wanted: Sequence[int],
           ids: Sequence[str], progress: Progress | None, label: str
           ) -> list[npt.NDArray[np.float64]]:
    sums = {i: np.zeros(graph.tensors[i].shape[-1]) for i in wanted}
    for tensors in _watched(run, model, path, ids, wanted, progress, label):
        for index, values in tensors.items():
            sums[index] += values.reshape(-1, values.shape[-1]).mean(axis=0, dtype=np.float64)
    return [sums[i] / len(ids) for i in wanted]


def _mean_logits(run: Path, model: str, data: bytes, ids: Sequence[str]) -> npt.NDArray[np.float64]:
    with stored.pixel_store(run, stored.model_spec(run, model).preprocess) as store:
        logits, _ = predict(data, store.tensors(ids))
    return np.asarray(np.mean(logits, axis=0, dtype=np.float64))


def _publish(run: Path, parent: str, child: str, key: str, data: bytes, facts: dict[str, Any]
             ) -> None:
    spec = dataclasses.replace(stored.model_spec(run, parent), id=child, parent=parent)
    with artefact.writing(layout.model_dir(run, child), STAGE, key) as scratch:
        (scratch / layout.FLOAT_MODEL).write_bytes(data)
        artefact.write_text(scratch / layout.SPEC, codec.to_json(spec))
        artefact.write_text(scratch / IMPROVE, codec.to_json({"parent": parent, **facts}))
