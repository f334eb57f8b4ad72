"""Quantization-aware fine-tuning of a float model by distillation from its parent.

Training targets are the *parent's* logits on training images, not the labels: a quantized model
should reproduce the float model, and a few hundred labels would only be memorised. After every
epoch the real INT8 file is run on validation images. The epoch with the least sum of AUC lost and
share of classes changed (at the parent's threshold there) wins, then the one nearest to the
parent's logits. Epoch 0 is the parent, so that fine-tuning never ends below plain INT8 on
validation.

Publishes ``RUN/models/<model>+int8+qat/`` with ``float.tflite``, ``model.json`` (its
``parent`` named) and ``improve.json`` (every epoch). The ranges stay those of the parent.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bedside import metrics
from bedside.core import codec
from bedside.core.errors import BadInput, Unquantizable
from bedside.core.progress import Progress
from bedside.core.study import EvidenceConfig
from bedside.metrics import compare, probability
from bedside.models.deterministic import deterministic
from bedside.runfolder import artefact, layout, stored
from bedside.runtime.graph import Graph, parse_graph
from bedside.runtime.litert import LOGITS, predict
from bedside.schemes import quantizer
from bedside.stages.finetune import replay

# The stage's name in manifests, as earlier versions wrote it (see stages/transform).
STAGE = "improve"
FACTS = "improve.json"
_VERSION = 3

Logits = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Training settings. ``rate``: Adam's step as a share of a filter's mean weight.

    ``epochs``, or as many more as ``steps`` take where training images are few.
    """

    epochs: int = 6
    steps: int = 200
    batch: int = 8
    rate: float = 5e-4
    seed: int = 0
    threads: int = 2

    def passes(self, images: int) -> int:
        """Return epochs over so many images."""
        return max(self.epochs, -(-self.steps // -(-images // self.batch)))


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch: training loss; on validation, AUC and what differs from the parent's logits.

    ``damage``: root mean square difference over the standard deviation of the parent's.
    ``auroc`` is null where validation lacks a class.
    """

    epoch: int
    loss: float | None
    auroc: float | None
    damage: float
    flips: int
    images: int

    def rank(self, parent: float | None) -> tuple[float, float, int]:
        """Return a sort key, smaller is better.

        First the AUC lost against the parent (a gain is luck) plus the share of labels that
        differ from the parent's, then damage.
        """
        short = (parent - self.auroc if parent is not None and self.auroc is not None else 0.0)
        return max(short, 0.0) + self.flips / max(1, self.images), self.damage, self.epoch


def finetune(run: Path, model: str, child: str, rules: list[dict[str, Any]],
             ranges: quantizer.Ranges, recipe: Recipe | None = None,
             progress: Progress | None = None) -> str:
    """Publish the child ``child`` of a float model; returns its id.

    Args:
        run: the run folder.
        model: a converted model, or a child.
        child: the id of the new model.
        rules: the quantizer's recipe, as for the variant.
        ranges: of the activations.
        recipe: how to train.
        progress: called with (stage, done, total).

    Raises:
        BadInput: an operation that cannot be trained, no training or validation images, or a
            loss that is not finite.
    """
    recipe = recipe or Recipe()
    source = layout.model_dir(run, model)
    files = artefact.check(source, layout.float_stage(run, model)).files
    ids = {s: sorted(c.id for c in stored.cases(run) if c.split == s) for s in ("train", "val")}
    for split, found in ids.items():
        if not found:
            raise BadInput(f"no image in the split {split!r}", where="data/cases.csv",
                           remedy="Fine-tuning needs training and validation images.")
    evidence = _evidence(run)
    key = artefact.stage_key("qat", _VERSION, files[layout.FLOAT_MODEL].sha256, rules,
                             [list(i) for i in sorted(ranges.items())], recipe, ids,
                             torch.__version__, stored.model_spec(run, model),
                             evidence.threshold, evidence.required_sensitivity)
    folder = layout.model_dir(run, child)
    if artefact.finished(folder, STAGE, key):
        return child
    data = (source / layout.FLOAT_MODEL).read_bytes()
    with deterministic(recipe.threads):
        best, chosen, history = _train(run, model, data, rules, ranges, ids, recipe, progress)
    spec = dataclasses.replace(stored.model_spec(run, model), id=child, parent=model)
    with artefact.writing(folder, STAGE, key, facts={"torch": torch.__version__}) as scratch:
        (scratch / layout.FLOAT_MODEL).write_bytes(best)
        artefact.write_text(scratch / layout.SPEC, codec.to_json(spec))
        artefact.write_text(scratch / FACTS, codec.to_json({
            "parent": model, "method": "quantization-aware fine-tuning", "recipe": recipe,
            "images": len(ids["train"]), "validation_images": len(ids["val"]),
            "chosen_epoch": chosen.epoch, "epochs": history}))
    return child


def answers(run: Path, model: str, data: bytes, ids: Sequence[str]) -> Logits:
    """Return the logits (n, K) of images by a ``.tflite``."""
    with stored.pixel_store(run, stored.model_spec(run, model).preprocess) as store:
        return predict(data, store.tensors(ids))[0]


# ------------------------------------------------------------------ training


@dataclass(frozen=True)
class Weights:
    """Trainable parameters in units of their filter's size, so that one step size suits all."""

    units: dict[int, Tensor]
    steps: dict[int, Tensor]

    def values(self) -> dict[int, Tensor]:
        """Return weights and biases by tensor index."""
        return {i: unit * self.steps[i] for i, unit in self.units.items()}


def parameters(graph: Graph, activations: dict[str, replay.Grid]) -> Weights:
    """Return the constants of every layer as trainable parameters."""
    units, steps = {}, {}
    for operation in graph.operations:
        if operation.op not in replay.LAYERS:
            continue
        given = graph.constant(operation.inputs[1])
        if given is None or given.dtype != np.float32:
            raise Unquantizable("weights are not stored as float32 constants",
                                where=graph.layer(operation), remedy="Leave the option +qat out.")
        weights = torch.from_numpy(given.copy())
        axis = replay.filter_axis(operation)
        others = [d for d in range(weights.ndim) if d != axis]
        size = weights.square().mean(others, keepdim=True).sqrt().clamp_min(1e-12)
        index = operation.inputs[1]
        units[index], steps[index] = weights / size, size
        bias = graph.constant(operation.inputs[2]) if len(operation.inputs) > 2 and \
            operation.inputs[2] >= 0 else None
        if bias is not None:
            grid = activations.get(graph.tensors[operation.outputs[0]].name)
            reach = size.flatten() * math.sqrt(weights.numel() / size.numel())
            one = reach if grid is None else reach.clamp_min(grid.step)
            index = operation.inputs[2]
            units[index], steps[index] = torch.from_numpy(bias.copy()) / one, one
    return Weights({i: u.requires_grad_() for i, u in units.items()}, steps)


def written(data: bytes, values: dict[int, Tensor]) -> bytes:
    """Return a float model with other weights and biases."""
    changed = bytearray(data)
    graph = parse_graph(changed)
    for index, value in values.items():
        place = graph.constant(index)
        assert place is not None
        place[...] = value.detach().numpy()
    return bytes(changed)


def _train(run: Path, model: str, data: bytes, rules: list[dict[str, Any]],
           ranges: quantizer.Ranges, ids: dict[str, list[str]], recipe: Recipe,
           progress: Progress | None) -> tuple[bytes, Epoch, list[Epoch]]:
    graph = parse_graph(data)
    replay.check(graph, model)
    first = quantizer.apply_int8(data, rules, ranges)
    quantized = parse_graph(first)
    activations, rounded = replay.grids(quantized), replay.rounded_weights(quantized)
    constants = constants_of(graph)
    weights = parameters(graph, activations)
    selector = EpochSelector(run, model, ids["val"], answers(run, model, data, ids["val"]))
    teacher = answers(run, model, data, ids["train"])
    spread = max(float(teacher.std()), 1e-6)
    optimizer = torch.optim.Adam(list(weights.units.values()), lr=recipe.rate)
    epochs = recipe.passes(len(teacher))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, epochs * -(-len(teacher) // recipe.batch))
    best, chosen = data, selector.score(first, 0, None)
    history = [chosen]
    with stored.pixel_store(run, stored.model_spec(run, model).preprocess) as store:
        for epoch in range(1, epochs + 1):
            order = np.random.default_rng([recipe.seed, epoch]).permutation(len(teacher))
            total = 0.0
            for start in range(0, len(order), recipe.batch):
                rows = order[start:start + recipe.batch]
                images = torch.from_numpy(np.concatenate(
                    [store.tensor(ids["train"][i]) for i in rows]))
                given = logits_of(graph, replay.run(graph, constants | weights.values(), images,
                                                    activations, rounded))
                loss = ((given - torch.from_numpy(teacher[rows])) / spread).square().mean()
                if not math.isfinite(float(loss.detach())):
                    raise Unquantizable(f"the loss of fine-tuning is not finite in epoch {epoch}",
                                        where=model, remedy="Leave the option +qat out.")
                optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
                total += float(loss.detach()) * len(rows)
            child = written(data, weights.values())
            try:
                found = selector.score(quantizer.apply_int8(child, rules, ranges), epoch,
                                   total / len(order))
            except BadInput:
                raise Unquantizable(f"fine-tuning left what an INT8 file can hold in epoch {epoch}",
                                    where=model, remedy="Leave the option +qat out.") from None
            history.append(found)
            if found.rank(selector.parent) < chosen.rank(selector.parent):
                best, chosen = child, found
            if progress:
                progress(f"fine-tune {model}", epoch, epochs)
    return best, chosen, history


def constants_of(graph: Graph) -> dict[int, Tensor]:
    """Return every float constant that an operation reads, by tensor index."""
    return {i: torch.from_numpy(v.copy()) for o in graph.operations for i in o.inputs
            if i >= 0 and (v := graph.constant(i)) is not None and v.dtype == np.float32}


def logits_of(graph: Graph, values: dict[int, Tensor]) -> Tensor:
    """Return the logits among a graph's tensors."""
    return values[graph.output_names.get(LOGITS, graph.outputs[0])]


def _evidence(run: Path) -> EvidenceConfig:
    """Return the rule of the study's threshold; the default in a run that is of no study."""
    return (stored.study(run).evidence if layout.study_file(run).is_file() else EvidenceConfig())


class EpochSelector:
    """Scores epochs on validation images against the parent's logits and its decisions."""

    def __init__(self, run: Path, model: str, ids: Sequence[str], truth: Logits) -> None:
        self._run, self._model, self._ids, self._truth = run, model, ids, truth
        task = stored.task(run)
        by_id = {c.id: c.label for c in stored.cases(run)}
        self._labels = np.array([task.classes.index(by_id[i]) for i in ids], np.int64)
        self._positive = None if task.positive is None else task.classes.index(task.positive)
        self.parent = self._auroc(truth)
        wide = truth.astype(np.float64)
        # The parent's threshold on these images, by the study's rule: what will be locked.
        self._point = probability.operating_point(self._labels, wide, self._binary,
                                                  compare.scores_of(wide, self._binary),
                                                  _evidence(run))
        self._classes = self._decided(truth)

    @property
    def _binary(self) -> int | None:
        return self._positive if self._truth.shape[1] == 2 else None

    def _decided(self, logits: Logits) -> npt.NDArray[np.int64]:
        wide = logits.astype(np.float64)
        return probability.decide(wide, compare.scores_of(wide, self._binary), self._binary,
                                  self._point)

    def _auroc(self, logits: Logits) -> float | None:
        found = metrics.evaluate(self._labels, logits, self._positive)
        return (found.get("auroc") or found["macro_auroc"]).value

    def score(self, data: bytes, epoch: int, loss: float | None) -> Epoch:
        """Score an INT8 file on the validation images."""
        found = answers(self._run, self._model, data, self._ids)
        apart = float(np.sqrt(np.square(found - self._truth, dtype=np.float64).mean()))
        return Epoch(epoch, loss, self._auroc(found),
                     apart / max(float(self._truth.std()), 1e-12),
                     int((self._decided(found) != self._classes).sum()), len(found))
