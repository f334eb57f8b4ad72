"""A model file read for import: its graph, its meaning and the end of its graph, settled."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bedside import foreign
from bedside.core.contract import Declared, OutputKind
from bedside.core.errors import BadInput
from bedside.core.types import Preprocess
from bedside.foreign import accept, beside, image_input, metadata, scores, shapes
from bedside.foreign.declare import Meaning, meaning
from bedside.foreign.reference import Reference, probes
from bedside.foreign.tree import Net

Floats = npt.NDArray[np.float32]


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

    def channel_map(self, told: Meaning) -> tuple[Floats, Floats]:
        """Return what takes a pixel in [0, 1] to the model's, as the contract says."""
        return image_input.channel_map(told.input_range, told.mean, told.std, told.colour,
                                       self.size[2])

    def run(self, told: Meaning, kind: OutputKind = "logits") -> Reference:
        """Return the file as it came, ready to run."""
        return Reference(self.source, str(self.path), self.shape, self.output,
                         self.channel_map(told), kind)


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


@dataclass(frozen=True)
class Understood:
    """An opened file with its meaning and the end of its graph: all that import needs to know."""

    opened: Opened
    told: Meaning
    head: scores.Head

    def reference(self) -> Reference:
        """Return the file as it came, ready to run."""
        return self.opened.run(self.told, self.head.kind)


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
        reference = opened.run(told)
        head = scores.by_value(net, opened.output, np.asarray(
            [reference.raw(i) for i in probes(opened.size)]), declared.output_kind)
    return Understood(opened, told, head)
