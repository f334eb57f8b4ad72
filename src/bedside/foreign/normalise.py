"""A foreign classifier in the project's own form: ``image`` in [0, 1] → ``logits`` (and ``cam``)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bedside import foreign
from bedside.core.contract import SCHEMA, Contract, Declared, Parity
from bedside.core.errors import BadInput, GateFailed
from bedside.core.types import Preprocess
from bedside.foreign import accept, image_input, metadata, scores, shapes
from bedside.foreign.declare import Meaning, meaning
from bedside.foreign.tree import Net
from bedside.runtime.litert import CAM, LOGITS, SIGNATURE, LiteRTModel, RawModel

Floats = npt.NDArray[np.float32]

TOLERANCE = 1e-3  # of a class probability, between the file as it came and the normalised one
_PROBES = 8


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
    """A model in the project's form, and how the file that entered is run beside it."""

    content: bytes
    contract: Contract
    reference: Reference


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
    shape = shapes.pinned_shape(net, declared.image_px)
    image_input.layout_of(net, shape)
    number = net.graph.outputs.index(output) if output in net.graph.outputs else 0
    return Opened(path, data, source, net, ends, name, output, shape,
                  metadata.find(path, data, net, number))


class Reference:
    """The file as it came, run on images (1, H, W, C) in [0, 1] with the arithmetic of its contract.

    Independent of the edited graph: range, colour order and layout are applied in numpy, and its
    output becomes probabilities by what it is declared or seen to be.
    """

    def __init__(self, opened: Opened, meaning: Meaning, head: scores.Head | None) -> None:
        self._model = RawModel(opened.source, str(opened.path), opened.shape)
        self._output, self._shape, self._head = opened.output, opened.shape, head
        self._map = image_input.channel_map(meaning.input_range, meaning.mean, meaning.std,
                                            meaning.colour, opened.size[2])

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


def probes(size: tuple[int, int, int]) -> list[Floats]:
    """Return synthetic images (1, H, W, C) in [0, 1]: black, white, noise and smooth shapes."""
    height, width, channels = size
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width] / max(height, width)
    made = [np.full((height, width), v) for v in (0.0, 1.0)]
    made += [rng.random((height, width)) for _ in range(2)]
    made += [np.clip(0.5 + 0.5 * np.sin(rng.uniform(2, 20) * x + rng.uniform(2, 20) * y), 0, 1)
             for _ in range(_PROBES - 4)]
    return [np.repeat(np.rint(255 * m)[None, :, :, None] / 255, channels, axis=3)
            .astype(np.float32) for m in made]


def normalise(path: Path, declared: Declared, given: Preprocess | None = None,
              order: Sequence[str] = (), opened: Opened | None = None) -> Normalised:
    """Return a model file in the project's form, with its contract.

    Args:
        path: a file of a format of :data:`bedside.foreign.FORMATS`.
        declared: what a person says of it.
        given: preprocessing declared as a whole, applied to images in place of a declared range.
        order: the classes in the order in which the result is to score them; the model's own
            without it.
        opened: the file, where it was opened already.

    Raises:
        BadInput: see :func:`open_model`, :func:`bedside.foreign.declare.meaning`; or ``order`` names
            other classes than the model's.
        GateFailed: the result answers otherwise than the file that came.
    """
    opened = opened or open_model(path, declared)
    net = opened.net
    width = scores.width_of(net, opened.output)
    told = meaning(path, declared, opened.found, opened.size, width, given,
                   net.dtype(net.graph.inputs[0]) == "uint8")
    if order and sorted(order) != sorted(told.classes):
        raise BadInput(f"the model's classes are {', '.join(told.classes)}, the task's "
                       f"{', '.join(order)}", where=path,
                       remedy="Name the model's with --model-classes in the task's words, or "
                       "choose the task's with --class-names, --exclude or --merge.")
    net.keep_selected()
    head = scores.find(net, opened.output)
    if head is None:
        reference = Reference(opened, told, None)
        head = scores.by_value(net, opened.output, np.asarray(
            [reference.raw(i) for i in probes(opened.size)]), declared.output_kind)
    reference = Reference(opened, told, head)
    content, changes = _edit(opened, told, head, tuple(
        told.classes.index(c) for c in order or told.classes))
    contract = Contract(
        SCHEMA, path.name, hashlib.sha256(opened.data).hexdigest(),
        hashlib.sha256(content).hexdigest(), tuple(order) or told.classes, told.input_range,
        told.mean, told.std, told.colour, head.kind, told.preprocess,
        told.origin | {"output kind": head.cut or "its values"}, tuple(changes))
    done = Normalised(content, contract, reference)
    check(done, told.classes, probes(opened.size))
    return done


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


def compare(done: Normalised, classes: Sequence[str], images: Sequence[Floats]) -> Parity:
    """Return how the normalised model's probabilities agree with the file's, image by image.

    Args:
        done: the result.
        classes: the model's own order.
        images: (1, H, W, C) in [0, 1].
    """
    model = LiteRTModel(Path(done.contract.source), content=done.content)
    order = [list(classes).index(c) for c in done.contract.classes]
    worst, differ, sigmoids = 0.0, 0, done.contract.output_kind == "sigmoids"
    for image in images:
        wanted = done.reference.probabilities(image)[order]
        logits = model.run(image)[LOGITS][0].astype(np.float64)
        found = 1 / (1 + np.exp(-logits)) if sigmoids else _softmax(logits)
        worst = float(np.maximum(worst, np.abs(found - wanted).max()))
        top = np.sort(wanted)[::-1]
        # Classes that the file itself holds equal have no likeliest one.
        differ += int(found.argmax() != wanted.argmax() and top[0] - top[1] > 1e-6)
    return Parity(len(images), differ, worst)


def check(done: Normalised, classes: Sequence[str], images: Sequence[Floats]) -> Parity:
    """Return :func:`compare`, where the two agree.

    Raises:
        GateFailed: another class for some image, or a probability that differs by more than 0.001.
    """
    found = compare(done, classes, images)
    if found.classes_differ or not found.largest_difference <= TOLERANCE:
        raise GateFailed(
            f"normalised, the model answers otherwise: {found.classes_differ} of {found.images} "
            f"images change class, probabilities differ by up to {found.largest_difference:.2g}",
            where=done.contract.source, remedy="Report the model; do not use this import.")
    return found
