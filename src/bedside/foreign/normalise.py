"""A foreign classifier in the project's own form: ``image`` in [0, 1] → ``logits``, ``cam``."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bedside import foreign
from bedside.core.contract import SCHEMA, Contract, Declared, OutputKind, Parity
from bedside.core.errors import BadInput, GateFailed
from bedside.core.types import Preprocess
from bedside.foreign import accept, beside, image_input, metadata, scores, shapes
from bedside.foreign.declare import Meaning, meaning
from bedside.foreign.tree import Net
from bedside.runtime.litert import CAM, LOGITS, SIGNATURE, LiteRTModel, RawModel

Floats = npt.NDArray[np.float32]

TOLERANCE = 1e-3  # of a class probability, between the file as it came and the normalised one
_PROBES = 4


@dataclass(frozen=True)
class Opened:
    """A file read for import, its graph chosen, nothing changed yet.

    ``source``: its bytes as they run, ``output`` the number of the tensor with the scores in them.
    """

    path: Path
    data: bytes
    source: bytes
    net: Net
    ends: accept.Ends
    name: str
    output: int
    shape: tuple[int, ...]
    found: metadata.Found

    @property
    def size(self) -> tuple[int, int, int]:
        """Height, width and channels of the input."""
        return image_input.layout_of(self.net, self.shape)


@dataclass(frozen=True)
class Normalised:
    """A model in the project's form, and its agreement with the file on synthetic images."""

    content: bytes
    contract: Contract
    parity: Parity


def open_model(path: Path, declared: Declared) -> Opened:
    """Read a model file and choose its graph and output.

    Raises:
        BadInput: not a whole model, one that cannot be a float classifier, or a choice between
            signatures or outputs that only a person can make.
    """
    data = foreign.read(path)
    net = Net(data, str(path))
    ends = accept.choose(net, declared.signature)
    faults = accept.problems(net)
    if faults:
        raise faults[0]
    if ends.subgraph:
        net.keep_selected()
        source = net.content()
    else:
        source = data
    name = accept.scores(net, ends, declared.output, len(declared.classes))
    output = ends.outputs[name]
    if net.dtype(output) != "float32":
        raise BadInput(f"its output {name!r} holds {net.dtype(output)}, which are no scores",
                       where=path, remedy="Export the scores before the decision.")
    shape = shapes.pinned_shape(net, declared.image_px)
    image_input.layout_of(net, shape)
    number = net.graph.outputs.index(output) if output in net.graph.outputs else 0
    return Opened(path, data, source, net, ends, name, output, shape,
                  metadata.find(path, data, net, number))


class Reference:
    """The file as it came, run on images (1, H, W, C) in [0, 1] as its contract says.

    Independent of the edited graph: range, colour order and layout are applied in numpy, and its
    output becomes probabilities by what it is declared or seen to be.
    """

    def __init__(self, opened: Opened, meaning: Meaning, head: scores.Head | None) -> None:
        self._source, self._where = opened.source, str(opened.path)
        self._loaded: RawModel | None = None
        self._output, self._shape, self._head = opened.output, opened.shape, head
        self._map = image_input.channel_map(meaning.input_range, meaning.mean, meaning.std,
                                            meaning.colour, opened.size[2])

    def close(self) -> None:
        """Free the model; the next image loads it again."""
        self._loaded = None

    @property
    def _model(self) -> RawModel:
        if self._loaded is None:
            self._loaded = RawModel(self._source, self._where, self._shape)
        return self._loaded

    def raw(self, image: Floats) -> npt.NDArray[np.float64]:
        """Return the output's values (K,) for one image."""
        values = image_input.to_model(image, *self._map, self._shape)
        if np.issubdtype(self._model.dtype, np.integer):
            values = np.rint(values)
        self._model.run(values)
        return self._model.tensor(self._output).reshape(-1).astype(np.float64)

    def probabilities(self, image: Floats) -> npt.NDArray[np.float64]:
        """Return the classes' probabilities (K,), in the model's order of classes.

        One sigmoid a class is returned as it is: the values do not sum to one.
        """
        assert self._head is not None
        values, kind = self.raw(image), self._head.kind
        if len(values) == 1:
            p = values[0] if kind == "probabilities" else 1 / (1 + np.exp(-values[0]))
            return np.asarray([1 - p, p])
        return _softmax(values) if kind in ("logits", "log-probabilities") else values


def _softmax(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    powers = np.exp(values - values.max())
    return np.asarray(powers / powers.sum())


def probe_values(model: Net | bytes, where: str, shape: tuple[int, ...],
                 size: tuple[int, int, int], output: int) -> npt.NDArray[np.float64]:
    """Return (n, K), the values of an output for synthetic images in [0, 1]."""
    raw = RawModel(model if isinstance(model, bytes) else model.content(), where, shape)
    channels = size[2]
    weights, bias = np.eye(channels, dtype=np.float32), np.zeros(channels, np.float32)
    rows = []
    for image in probes(size):
        raw.run(image_input.to_model(image, weights, bias, shape))
        rows.append(raw.tensor(output).reshape(-1).astype(np.float64))
    return np.asarray(rows)


def probes(size: tuple[int, int, int]) -> list[Floats]:
    """Return synthetic images (1, H, W, C) in [0, 1]: black, white, noise and smooth shapes."""
    height, width, channels = size
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width] / max(height, width)
    made = [np.full((height, width), v) for v in (0.0, 1.0)]
    made += [rng.random((height, width))]
    made += [np.clip(0.5 + 0.5 * np.sin(rng.uniform(2, 20) * x + rng.uniform(2, 20) * y), 0, 1)
             for _ in range(_PROBES - 3)]
    return [np.repeat(np.rint(255 * m)[None, :, :, None] / 255, channels, axis=3)
            .astype(np.float32) for m in made]


@dataclass(frozen=True)
class Understood:
    """An opened file with its meaning and the end of its graph: all that import needs to know."""

    opened: Opened
    told: Meaning
    head: scores.Head

    def reference(self) -> Reference:
        """Return the file as it came, ready to run."""
        return Reference(self.opened, self.told, self.head)


def understand(path: Path, declared: Declared, given: Preprocess | None = None) -> Understood:
    """Open a model file and settle its contract; nothing is changed or written.

    Args:
        path: a file of a format of :data:`bedside.foreign.FORMATS`, or a folder that
            ``import-model`` wrote.
        declared: what a person says of it.
        given: preprocessing declared as a whole, applied to images in place of a declared range.

    Raises:
        BadInput: see :func:`open_model` and :func:`bedside.foreign.declare.meaning`.
    """
    path = beside.model_in(path)
    declared, given, classes_from, given_from = beside.joined(
        declared, given, beside.contract_of(path))
    opened = open_model(path, declared)
    net = opened.net
    told = meaning(path, declared, opened.found, opened.size,
                   scores.width_of(net, opened.output), given,
                   net.dtype(net.graph.inputs[0]) == "uint8", classes_from, given_from)
    head = scores.find(net, opened.output)
    if head is None:
        reference = Reference(opened, told, None)
        head = scores.by_value(net, opened.output, np.asarray(
            [reference.raw(i) for i in probes(opened.size)]), declared.output_kind)
    return Understood(opened, told, head)


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
        told.origin | {"output_kind": head.cut or "its values"}, tuple(changes))
    parity = _parity(content, reference, numbers, head.kind, probes(opened.size),
                     str(opened.path))
    return Normalised(content, contract, parity)


def _edit(opened: Opened, told: Meaning, head: scores.Head, order: tuple[int, ...]
          ) -> tuple[bytes, list[str]]:
    """Return the edited model's bytes, packed files included, and what was done."""
    net = opened.net
    weights, bias = image_input.channel_map(told.input_range, told.mean, told.std, told.colour,
                                            opened.size[2])
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
    _name_tensors(net)
    if logits_before:
        changes.append(f"output {opened.name!r} named {LOGITS!r} in the signature {SIGNATURE!r}")
    if metadata.clear_normalisation(net):
        changes.append("mean and standard deviation in the model's metadata set to 0 and 1")
    content = net.pack()
    if order == tuple(sorted(order)):
        # In another order of classes the packed labels would be wrong.
        content = metadata.append(content, metadata.appended(opened.data))
    return content, changes


def _map_output(opened: Opened, head: scores.Head, told: Meaning) -> int | None:
    """Return the class activation map of a file that has one, where it lies over the image."""
    cam = opened.ends.outputs.get(CAM)
    if cam is None or cam == opened.output or "-" in told.preprocess.resize:
        return None
    shape = opened.net.shape(cam)
    fits = len(shape) == 4 and shape[0] == 1 and shape[3] == len(told.classes)
    return cam if fits and not head.single else None


def _name_tensors(net: Net) -> None:
    """Give every tensor a name of its own: calibration finds ranges by name."""
    seen: set[str] = set()
    for index, tensor in enumerate(net.graph.tensors):
        name = tensor.name or f"tensor_{index}"
        tensor.name = name if name not in seen else f"{name};{index}"
        seen.add(tensor.name)
        if net.dtype(index) == "float32":
            tensor.quantization = None


# ------------------------------------------------------------------ agreement


def agreement(logits: npt.NDArray[np.floating[Any]], wanted: npt.NDArray[np.floating[Any]],
              kind: OutputKind) -> Parity:
    """Return how a normalised model agrees with the file that came.

    Args:
        logits: (n, K), of the normalised model.
        wanted: (n, K), the file's probabilities of the same classes.
        kind: of the file's output: one sigmoid a class is compared with sigmoids.
    """
    values = logits.astype(np.float64)
    found = (1 / (1 + np.exp(-values)) if kind == "sigmoids"
             else np.asarray([_softmax(v) for v in values]))
    top = np.sort(wanted, axis=1)
    # Classes that the file itself holds equal have no likeliest one.
    differ = (found.argmax(axis=1) != wanted.argmax(axis=1)) & (top[:, -1] - top[:, -2] > 1e-6)
    return Parity(len(values), int(differ.sum()), float(np.abs(found - wanted).max()))


def require(parity: Parity, where: str) -> None:
    """Refuse a normalised model that answers otherwise than its file.

    Raises:
        GateFailed: another class for some image, or a probability that differs by more than 0.001.
    """
    if parity.classes_differ or not parity.largest_difference <= TOLERANCE:
        raise GateFailed(
            f"normalised, the model answers otherwise: {parity.classes_differ} of {parity.images} "
            f"images change class, probabilities differ by up to {parity.largest_difference:.2g}",
            where=where, remedy="Report the model; do not use this import.")


def _parity(content: bytes, reference: Reference, order: Sequence[int], kind: OutputKind,
            images: Sequence[Floats], where: str) -> Parity:
    # One after the other: the weights of a large network are in memory once.
    wanted = np.asarray([reference.probabilities(i)[list(order)] for i in images])
    reference.close()
    model = LiteRTModel(Path(where), content=content)
    found = agreement(np.asarray([model.run(i)[LOGITS][0].copy() for i in images]), wanted, kind)
    require(found, where)
    return found
