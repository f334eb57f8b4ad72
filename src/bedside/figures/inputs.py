"""Variants, layers, tensors and predictions of a run, as the figures read them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bedside.core.build import Measurement, Variant
from bedside.core.types import Case, Task
from bedside.figures.base import NotAvailable
from bedside.runfolder import layout, stored
from bedside.runfolder.predictions import Predictions
from bedside.runtime.graph import Graph, Operation, Tensor, dequantize, read_graph
from bedside.runtime.litert import LiteRTModel

ORIGINAL = "float32"
INTEGER = "int8"

Real = npt.NDArray[np.float32]

_SCHEME_ORDER = ("float32", "float16", "dynamic", "int8")


def scheme_label(variant: Variant) -> str:
    """Return the scheme with its options, as in a variant's id: ``int8+percentile``."""
    return "+".join((variant.scheme, *variant.options))


def scheme_order(label: str) -> tuple[int, str]:
    """Return a sorting key: the original, the paper's schemes, then the rest by name."""
    name = label.split("+")[0]
    known = _SCHEME_ORDER.index(name) if name in _SCHEME_ORDER else len(_SCHEME_ORDER)
    return known, label


def variants_of(run: Path, model: str) -> dict[str, Variant]:
    """Return the finished variants of a model by scheme label, the original first."""
    found = {scheme_label(v): v for v in stored.variants(run) if v.model == model}
    return dict(sorted(found.items(), key=lambda item: scheme_order(item[0])))


def original_of(run: Path, model: str) -> Variant:
    """Return the float32 variant.

    Raises:
        NotAvailable: the study holds none.
    """
    found = variants_of(run, model)
    if ORIGINAL not in found:
        raise NotAvailable(f"the study holds no {ORIGINAL} variant of {model} to compare with")
    return found[ORIGINAL]


def quantized_of(run: Path, model: str) -> dict[str, Variant]:
    """Return every variant but the original.

    Raises:
        NotAvailable: there is none.
    """
    found = {k: v for k, v in variants_of(run, model).items() if k != ORIGINAL}
    if not found:
        raise NotAvailable(f"the study holds no quantized variant of {model}")
    return found


def positive_index(task: Task) -> int | None:
    """Return the index of the positive class of a binary task, else None."""
    binary = task.positive is not None and len(task.classes) == 2
    return task.classes.index(task.positive) if binary else None


def validation_cases(run: Path) -> list[Case]:
    """Return the validation cases by id.

    Raises:
        NotAvailable: there is none.
    """
    cases = sorted((c for c in stored.cases(run) if c.split == "val"), key=lambda c: c.id)
    if not cases:
        raise NotAvailable("the study has no validation image")
    return cases


def validation_sample(run: Path, count: int) -> list[Case]:
    """Sample at most ``count`` validation images, stratified by class.

    Raises:
        NotAvailable: there is none.
    """
    cases = validation_cases(run)
    if len(cases) <= count:
        return cases
    ranked = []
    for label in dict.fromkeys(c.label for c in cases):
        mine = [c for c in cases if c.label == label]
        ranked += [((i + 0.5) / len(mine), c.id, c) for i, c in enumerate(mine)]
    return [c for _, _, c in sorted(ranked, key=lambda r: r[:2])[:count]]


def main_comparison(labels: Sequence[str]) -> str:
    """Choose the scheme of a figure that shows only one: int8 as in the paper, else the first."""
    return INTEGER if INTEGER in labels else next(
        (k for k in labels if k.startswith(INTEGER)), labels[0])


def variant_path(run: Path, variant: Variant) -> Path:
    """Return the path of a variant's ``.tflite``."""
    return layout.variant_dir(run, variant.id) / variant.file


def variant_graph(run: Path, variant: Variant) -> Graph:
    """Read the operations of a variant's file."""
    return read_graph(variant_path(run, variant))


# ------------------------------------------------------------------ layers


def stored_weights(graph: Graph, operation: Operation) -> Tensor:
    """Return the constant tensor of an operation's weights, also behind a DEQUANTIZE (FP16).

    Raises:
        NotAvailable: the weights are computed, not stored.
    """
    index = operation.inputs[1]
    while not graph.tensors[index].buffer:
        source = graph.producer(index)
        if source is None or source.op != "DEQUANTIZE":
            raise NotAvailable(f"the weights of {graph.layer(operation)} are not constants")
        index = source.inputs[0]
    return graph.tensors[index]


def real_weights(graph: Graph, operation: Operation) -> Real:
    """Return weights as real numbers, (out, kh, kw, in) or (1, kh, kw, out) for depthwise."""
    values = graph.real_constant(stored_weights(graph, operation))
    if values is None:
        raise NotAvailable(f"the weights of {graph.layer(operation)} do not read")
    return values


def filters(graph: Graph, operation: Operation) -> Real:
    """Return real weights filter by filter, (out, kh, kw, in).

    The converter writes a convolution of one input channel as a depthwise one with a multiplier;
    its weights (1, kh, kw, out) become (out, kh, kw, 1), as any depthwise filter's.
    """
    weights = real_weights(graph, operation)
    if operation.op == "DEPTHWISE_CONV_2D":
        return np.ascontiguousarray(np.moveaxis(weights, 3, 0).transpose(0, 2, 3, 1))
    return weights


def is_depthwise(graph: Graph, operation: Operation) -> bool:
    """Return whether each filter reads one channel of several (false with one input channel)."""
    return (operation.op == "DEPTHWISE_CONV_2D"
            and graph.tensors[operation.inputs[0]].shape[-1] > 1)


def spatial_convolutions(graph: Graph) -> tuple[int, ...]:
    """Return the positions in ``graph.convolutions()`` of those with four-dimensional weights."""
    return tuple(i for i, o in enumerate(graph.convolutions())
                 if o.op in ("CONV_2D", "DEPTHWISE_CONV_2D"))


def first_conv(graph: Graph) -> int:
    """Return the position of the first convolution.

    Raises:
        NotAvailable: there is none.
    """
    found = spatial_convolutions(graph)
    if not found:
        raise NotAvailable("the network has no convolution")
    return found[0]


def last_conv(graph: Graph, name: str | None, classes: int) -> int:
    """Return the position of the last convolution before the classifier.

    Args:
        graph: the original's.
        name: the layer that ``Variant.last_conv`` names, or None.
        classes: K; a last 1×1 convolution to K channels is the classifier (DESIGN).
    """
    convolutions = graph.convolutions()
    found = spatial_convolutions(graph)
    if not found:
        raise NotAvailable("the network has no convolution")
    named = [i for i in found if name is not None and graph.layer(convolutions[i]) == name]
    if named:
        return named[-1]
    features = [i for i in found if graph.tensors[convolutions[i].outputs[0]].shape[-1] != classes
                or i == found[0]]
    return features[-1]


def same_layer(original: Graph, other: Graph, position: int) -> Operation:
    """Return the convolution of ``other`` that corresponds to ``original``'s at ``position``.

    Raises:
        NotAvailable: the quantizer changed the order or the shape of the convolutions.
    """
    wanted = original.convolutions()[position]
    candidates = other.convolutions()
    shape = original.tensors[wanted.inputs[1]].shape
    if position < len(candidates):
        found = candidates[position]
        if found.op == wanted.op and other.tensors[found.inputs[1]].shape == shape:
            return found
    raise NotAvailable(f"{original.layer(wanted)} has no counterpart in the quantized file")


class Runner:
    """A variant whose intermediate tensors can be read.

    It runs as deployed, with XNNPACK: its arithmetic for dynamic range differs from LiteRT's own
    kernels, and those refuse some integer files. Weights behind a DEQUANTIZE cannot be read here;
    see :func:`stored_weights`.
    """

    def __init__(self, run: Path, variant: Variant, threads: int = 2) -> None:
        path = variant_path(run, variant)
        self.graph = read_graph(path)
        self._model = LiteRTModel(path, threads, preserve_all=True)

    def tensors(self, image: Real, indices: Sequence[int]) -> list[Real]:
        """Run one image, (1, H, W, C), and return tensors as real numbers."""
        self._model.run(image)
        return [dequantize(self._model.tensor(i), self.graph.tensors[i].quantization)
                for i in indices]


# ------------------------------------------------------------------ measurements


def predictions_by_scheme(run: Path, model: str, split: str = "test") -> dict[str, Predictions]:
    """Return predictions on this machine's CPU by scheme label, all in one order of images.

    Raises:
        NotAvailable: the original was not evaluated, or no image is of the split.
    """
    found = {}
    for label, variant in variants_of(run, model).items():
        cell = cpu_cell(run, variant.id)
        if cell is not None:
            found[label] = stored.predictions(run, cell.variant, cell.target).of(split)
    if ORIGINAL not in found:
        raise NotAvailable(f"{model} float32 has no predictions on the CPU")
    base = found[ORIGINAL]
    if not base.ids.size:
        raise NotAvailable(f"no image of the {split} split was predicted")
    return {k: _in_order(p, base.ids) for k, p in found.items()
            if set(p.ids.tolist()) >= set(base.ids.tolist())}


def _in_order(rows: Predictions, ids: npt.NDArray[np.str_]) -> Predictions:
    place = {v: i for i, v in enumerate(rows.ids.tolist())}
    order = np.asarray([place[v] for v in ids.tolist()], dtype=np.int64)
    return Predictions(rows.ids[order], rows.split[order], rows.labels[order], rows.logits[order])


def cpu_cell(run: Path, variant: str) -> Measurement | None:
    """Return the finished measurement of a variant on this machine's CPU, target ``cpu`` first."""
    cells = [m for m in stored.measurements(run)
             if m.variant == variant and m.status == "ok" and is_cpu(m.target)]
    return min(cells, key=lambda m: (m.target != "cpu", m.target), default=None)


def is_cpu(target: str) -> bool:
    """Return whether a target id is LiteRT on this machine's CPU (``cpu``, ``cpu-4threads``, …)."""
    return target == "cpu" or target.startswith("cpu-")


# ------------------------------------------------------------------ comparisons


def sqnr_db(reference: npt.NDArray[Any], other: npt.NDArray[Any]) -> float | None:
    """Return the signal-to-quantization-noise ratio, 10·log10(Σx² / Σ(x − y)²) dB.

    None where nothing differs or the reference is all zero.
    """
    signal = float(np.sum(np.square(reference, dtype=np.float64)))
    noise = float(np.sum(np.square(np.subtract(reference, other, dtype=np.float64))))
    if noise == 0.0 or signal == 0.0:
        return None
    return float(10.0 * np.log10(signal / noise))
