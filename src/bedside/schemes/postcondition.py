"""Postcondition of a variant: formats, size and answers that its scheme promises.

A quantizer may return the model as it was, or leave layers out, without a word. What a scheme
promises stands in its ``SCHEME`` (``weights``, ``activations``, ``io``) and, where layers differ,
in its module's ``layer_formats``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from bedside.core.text import megabytes
from bedside.core.types import Preprocess
from bedside.runfolder import layout, stored
from bedside.runtime import launch
from bedside.runtime.files import sha256_file
from bedside.runtime.graph import CONVOLUTIONS, Graph, Operation, parse_graph
from bedside.runtime.worker import Job
from bedside.schemes import SchemeChoice

# Bytes of one number in each format that a scheme may promise.
BYTES = {"float32": 4, "float16": 2, "int16": 2, "int8": 1}
FLOAT_IO = "float32"
# Images on which a new variant must give finite logits.
CHECKED_IMAGES = 4
# What quantization adds to a file: scale and zero point of weights and bias for each channel,
# and name, shape and tables of each tensor.
_BYTES_PER_CHANNEL = 40
_BYTES_PER_TENSOR = 512
_TIMEOUT_S = 1800.0

Formats = tuple[str, str]


def promised(choice: SchemeChoice, original: Graph, float_layers: Sequence[str] | None
             ) -> list[Formats]:
    """Return (weights, activations) that each layer of a variant holds, in execution order.

    Args:
        choice: a scheme with its options.
        original: the float model.
        float_layers: names of the layers that a search left out of int8; None where none did.
    """
    own = (choice.scheme.weights, choice.scheme.activations)
    find = getattr(choice.module, "layer_formats", None)
    other: dict[int, Formats] = ({} if find is None else
                                 find(original, frozenset(choice.options), float_layers))
    return [other.get(i, own) for i in range(len(original.convolutions()))]


def format_fault(choice: SchemeChoice, float_model: bytes, written: bytes,
                 float_layers: Sequence[str] | None = None) -> str | None:
    """Return why a file is not what its scheme promises, or None where it is.

    Args:
        choice: the scheme with its options.
        float_model: the float ``.tflite`` that was quantized.
        written: the variant's ``.tflite``.
        float_layers: see :func:`promised`.

    Raises:
        BadInput: one of the two is no model.
    """
    original, graph = parse_graph(float_model), parse_graph(written)
    wanted = promised(choice, original, float_layers)
    narrow = any(w != ("float32", "float32") for w in wanted)
    if choice.scheme.weights != "float32" and not narrow:
        return ("it is the float32 model: the network has no layer that this scheme quantizes"
                if not wanted else
                "it is the float32 model: every layer is left out of quantization")
    if narrow and written == float_model:
        return "it is a copy of the float model: the quantizer changed nothing"
    fault = _layer_fault(wanted, original, graph) or _io_fault(choice, original, graph)
    if fault is not None:
        return fault
    limit = largest_size(wanted, original, graph, len(float_model))
    if len(written) > limit:
        return (f"its file has {megabytes(len(written))}; weights in the promised formats take "
                f"{megabytes(limit)} at most")
    return None


def largest_size(wanted: Sequence[Formats], original: Graph, graph: Graph, float_bytes: int
                 ) -> int:
    """Return the largest size in bytes of a file that holds its weights in the given formats.

    The float file's, less what the weights save, plus what quantization adds at most.
    """
    size = float_bytes
    for operation, (weights, _) in zip(original.convolutions(), wanted, strict=True):
        values = original.constant(_stored_weights(original, operation))
        if values is None:
            continue
        size += values.size * BYTES[weights] - values.nbytes
        size += _BYTES_PER_CHANNEL * max(values.shape[0], values.shape[-1])
    return size + _BYTES_PER_TENSOR * len(graph.tensors)


def run_fault(file: Path, store: Path, ids: Collection[str], work: Path) -> str | None:
    """Return why a variant's file does not answer images with finite logits, or None.

    It runs on LiteRT in a process of its own, so that a crash of native code is a reason too.

    Args:
        file: the ``.tflite``.
        store: the folder of the pixel store of its preprocessing.
        ids: images of it; none where the run has neither training nor validation images.
        work: an empty folder for what the process writes.
    """
    job = Job("predict", "bedside.runtime.litert:LiteRTModel", str(file), sha256_file(file), 2,
              str(store), tuple(ids), str(work / "result.json"))
    result = launch.run_worker(job, work, timeout_s=_TIMEOUT_S)
    if result.fault is not None:
        # The scratch folder's path says nothing to a reader.
        return "it does not run: " + result.fault.replace(f"{file}: ", "")
    written = work / "result.json.npy"
    if written.is_file() and not np.isfinite(np.load(written, allow_pickle=False)).all():
        return (f"its logits are not finite numbers on {len(ids)} calibration images; weights or "
                "activations may exceed the range of its number format")
    return None


def answers_fault(run: Path, preprocess: Preprocess, file: Path, work: Path) -> str | None:
    """Return the fault of :func:`run_fault` on images of a run, or None.

    They are training images, or validation images where there are none; never test images.
    """
    cases = sorted(stored.cases(run), key=lambda c: (c.split != "train", c.id))
    ids = [c.id for c in cases if c.split in ("train", "val")][:CHECKED_IMAGES]
    return run_fault(file, layout.cache_dir(run, preprocess), ids, work)


def _layer_fault(wanted: Sequence[Formats], original: Graph, graph: Graph) -> str | None:
    """Return the first difference of a layer's formats from the promised ones."""
    written = graph.convolutions()
    if len(written) != len(wanted):
        return f"it has {len(written)} layers with weights; the float model has {len(wanted)}"
    wrong = []
    for before, after, formats in zip(original.convolutions(), written, wanted, strict=True):
        if original.constant(_stored_weights(original, before)) is None:
            continue  # weights that are computed at run time
        found = _formats(graph, after)
        if any(f != formats for f in found):
            wrong.append((original.layer(before), formats, next(f for f in found if f != formats)))
    if not wrong:
        return None
    name, (weights, activations), found_one = wrong[0]
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    return (f"layer {name}{more} holds {found_one[0]} weights and {found_one[1]} activations; "
            f"the scheme promises {weights} and {activations}")


def _formats(graph: Graph, operation: Operation) -> list[Formats]:
    """Return a layer's (weights, activations), of its input and of its output."""
    weights = graph.tensors[_stored_weights(graph, operation)].dtype
    return [(weights, graph.tensors[i].dtype)
            for i in (operation.inputs[0], operation.outputs[0])]


def _stored_weights(graph: Graph, operation: Operation) -> int:
    """Return the tensor that stores a layer's weights, in front of a DEQUANTIZE where one is."""
    assert operation.op in CONVOLUTIONS
    maker = graph.producer(operation.inputs[1])
    return (maker.inputs[0] if maker is not None and maker.op == "DEQUANTIZE"
            else operation.inputs[1])


def _io_fault(choice: SchemeChoice, original: Graph, graph: Graph) -> str | None:
    wanted = next((choice.scheme.io[o] for o in choice.options if o in choice.scheme.io), FLOAT_IO)
    for kind, before, after in (("input", original.inputs, graph.inputs),
                                ("output", original.outputs, graph.outputs)):
        if len(before) != len(after):
            return f"it has {len(after)} {kind}s; the float model has {len(before)}"
        for old, new in zip(before, after, strict=True):
            tensor = graph.tensors[new]
            if original.tensors[old].dtype == FLOAT_IO and tensor.dtype != wanted:
                return (f"its {kind} {tensor.name!r} is {tensor.dtype}; the scheme promises "
                        f"{wanted}")
    return None
