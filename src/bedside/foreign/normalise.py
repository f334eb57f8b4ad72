"""A foreign classifier in the project's own form: ``image`` in [0, 1] → ``logits``, ``cam``."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bedside.core.contract import SCHEMA, Contract, OutputKind, Parity
from bedside.core.errors import BadInput
from bedside.foreign import image_input, metadata, scores, shapes
from bedside.foreign.declare import Meaning
from bedside.foreign.reference import Reference, agreement, probes, require
from bedside.foreign.tree import Net
from bedside.foreign.understand import Opened, Understood
from bedside.runtime.litert import CAM, LOGITS, SIGNATURE, LiteRTModel

Floats = npt.NDArray[np.float32]

# A large network takes half a second of processor time an image; a run compares real images.
LARGE_BYTES, FEW = 20_000_000, 1


@dataclass(frozen=True)
class Normalised:
    """A model in the project's form, and its agreement with the file on synthetic images."""

    content: bytes
    contract: Contract
    parity: Parity


def normalise(found: Understood, order: Sequence[str] = ()) -> Normalised:
    """Return an opened model in the project's form, with its contract.

    Args:
        found: from :func:`understand`; its graph is edited in place.
        order: the classes in the order in which the result is to score them; the model's own
            without it.

    Raises:
        BadInput: ``order`` names other classes than the model's.
        GateFailed: the result answers otherwise than the file that came.
    """
    opened, told, head = found.opened, found.told, found.head
    if order and sorted(order) != sorted(told.classes):
        raise BadInput(f"the model's classes are {', '.join(told.classes)}, the task's "
                       f"{', '.join(order)}", where=opened.path,
                       remedy="Name the model's with --model-classes in the task's words, or "
                       "choose the task's with --class-names, --exclude or --merge.")
    reference = found.reference()
    opened.net.keep_selected()
    numbers = tuple(told.classes.index(c) for c in order or told.classes)
    content, changes = _edit(opened, told, head, numbers)
    contract = Contract(
        SCHEMA, opened.path.name, hashlib.sha256(opened.data).hexdigest(),
        hashlib.sha256(content).hexdigest(), tuple(order) or told.classes, told.input_range,
        told.mean, told.std, told.colour, head.kind, told.preprocess,
        told.classes, told.origin | {"output_kind": head.cut or "its values"}, tuple(changes))
    images = probes(opened.size)
    parity = _parity(content, reference, numbers, head.kind,
                     images if len(content) < LARGE_BYTES else images[-FEW:], str(opened.path))
    return Normalised(content, contract, parity)


def _edit(opened: Opened, told: Meaning, head: scores.Head, order: tuple[int, ...]
          ) -> tuple[bytes, list[str]]:
    """Return the edited model's bytes, packed files included, and what was done."""
    net = opened.net
    weights, bias = opened.channel_map(told)
    cam = _map_output(opened, head, told)
    logits_before = opened.name != LOGITS or opened.ends.signature != SIGNATURE
    net.graph.outputs = [opened.output] + ([] if cam is None else [cam])
    changes = shapes.fix(net, opened.shape)
    changes += image_input.normalise(net, opened.shape, weights, bias)
    logits, cam, done = scores.normalise(net, head, order, cam)
    changes += done
    net.graph.outputs = [logits] + ([] if cam is None else [cam])
    net.sign(SIGNATURE, {"image": net.graph.inputs[0]},
             {LOGITS: logits} | ({} if cam is None else {CAM: cam}))
    _full_rank(net)
    _name_tensors(net)
    if logits_before:
        changes.append(f"output {opened.name!r} named {LOGITS!r} in the signature {SIGNATURE!r}")
    if metadata.clear_normalisation(net):
        changes.append("mean and standard deviation in the model's metadata set to 0 and 1")
    content = net.pack()
    if order == tuple(sorted(order)):
        # In another order of classes the packed labels would be wrong.
        content = metadata.append(content, metadata.appended(opened.data), str(opened.path))
    return content, changes


def _map_output(opened: Opened, head: scores.Head, told: Meaning) -> int | None:
    """Return the class activation map of a file that has one, where it lies over the image."""
    cam = opened.ends.outputs.get(CAM)
    if cam is None or cam == opened.output or "-" in told.preprocess.resize:
        return None
    shape = opened.net.shape(cam)
    fits = len(shape) == 4 and shape[0] == 1 and shape[3] == len(told.classes)
    return cam if fits and not head.single else None


def _full_rank(net: Net) -> None:
    """Give the constants of MAXIMUM the rank of what they meet: the int8 quantizer needs it there.

    The values stay: leading dimensions of one broadcast alike.
    """
    for operation in net.operations:
        if net.op(operation) != "MAXIMUM":
            continue
        rank = max(len(net.shape(t)) for t in operation.inputs)
        for place, tensor in enumerate(operation.inputs):
            values = net.constant(tensor)
            if values is not None and values.ndim < rank:
                whole = values.reshape((1,) * (rank - values.ndim) + values.shape)
                operation.inputs[place] = net.add_constant(f"{net.name(tensor)};rank", whole)


def _name_tensors(net: Net) -> None:
    """Give every tensor a name of its own: calibration finds ranges by name."""
    seen: set[str] = set()
    for index, tensor in enumerate(net.graph.tensors):
        name = tensor.name or f"tensor_{index}"
        tensor.name = name if name not in seen else f"{name};{index}"
        seen.add(tensor.name)
        if net.dtype(index) == "float32":
            tensor.quantization = None


def _parity(content: bytes, reference: Reference, order: Sequence[int], kind: OutputKind,
            images: Sequence[Floats], where: str) -> Parity:
    # One after the other: the weights of a large network are in memory once.
    wanted = np.asarray([reference.probabilities(i)[list(order)] for i in images])
    reference.close()
    model = LiteRTModel(Path(where), content=content)
    found = agreement(np.asarray([model.run(i)[LOGITS][0].copy() for i in images]), wanted, kind)
    require(found, where)
    return found
