"""What a model file is, and its import with a contract."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bedside import foreign
from bedside.core import codec
from bedside.core.contract import Contract, Declared, OutputKind, Parity
from bedside.core.errors import BadInput
from bedside.core.types import Preprocess
from bedside.foreign import accept, beside, image_input, metadata, scores, shapes
from bedside.foreign.normalise import normalise
from bedside.foreign.reference import Reference, probes
from bedside.foreign.tree import Net
from bedside.foreign.understand import understand
from bedside.runfolder import layout
from bedside.runtime.files import disk_errors, write_bytes, write_text


@dataclass(frozen=True, slots=True)
class End:
    """An input or output: -1 where a dimension is open."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class Inspection:
    """What ``inspect`` says of a model file.

    ``precision``: of the weights and activations. ``output_kind`` is null where it cannot be told;
    ``output_from`` says from what it was. ``metadata``: what the file says of itself, in words.
    ``problems``: why it cannot be imported. ``needed``: flags that import would ask for.
    """

    file: str
    format: str
    size_bytes: int
    precision: str
    operators: dict[str, int]
    signatures: tuple[str, ...]
    inputs: tuple[End, ...]
    outputs: tuple[End, ...]
    layout: str | None
    output_kind: OutputKind | None
    output_from: str
    labels: tuple[str, ...]
    labels_from: str
    metadata: tuple[str, ...]
    problems: tuple[str, ...]
    needed: tuple[str, ...]


def is_data(path: Path) -> bool:
    """Return whether a path is a data set's and not a model's."""
    if path.is_dir():
        return not (path / layout.CONTRACT).is_file()
    return path.exists() and not foreign.is_model(path)


def inspect_model(path: Path) -> Inspection:
    """Describe a model file, one that cannot be imported included.

    Raises:
        BadInput: no such file, or not a whole model.
    """
    path = beside.model_in(path)
    data = foreign.read(path)
    net = Net(data, str(path))
    problems: list[str] = []
    choices: list[str] = []
    try:
        ends = accept.choose(net)
    except accept.Choice as error:
        choices.append(error.flag)
        ends = accept.choose(net, sorted(accept.signatures(net))[0])
    problems += [e.message for e in accept.problems(net)]
    operators = Counter(net.custom_name(o) if net.op(o) == "CUSTOM" else net.op(o)
                        for o in net.operations)
    kind, kind_from, needed = None, "not run", []
    found = metadata.find(path, data, net)
    try:
        if not problems:
            needed = _needed(path, net, found)
            kind, kind_from = _kind(net, ends, data)
    except accept.Choice as error:
        choices.append(error.flag)
    except BadInput as error:
        problems.append(error.message)
    shape = shapes.open_dimensions(net) if net.graph.inputs else ()
    return Inspection(
        path.name, path.suffix.lower().lstrip("."), path.stat().st_size, _precision(net),
        dict(sorted(operators.items())), tuple(accept.signatures(net)), _ends(net, ends.inputs),
        _ends(net, ends.outputs), "channels first" if shapes.is_nchw(shape) else
        "channels last" if len(shape) == 4 else None, kind, kind_from, found.labels,
        found.labels_from, _words(found), tuple(problems), (*choices, *needed))


def _ends(net: Net, names: Mapping[str, int]) -> tuple[End, ...]:
    found = []
    for name, tensor in names.items():
        signature = net.graph.tensors[tensor].shapeSignature
        shape = net.shape(tensor)
        if signature is not None and len(signature) == len(shape):
            shape = tuple(int(v) for v in signature)
        found.append(End(name, shape, net.dtype(tensor)))
    return tuple(found)


def _precision(net: Net) -> str:
    """Return the number formats of constants with weights and of what is computed from them."""
    held: Counter[str] = Counter()
    computed: Counter[str] = Counter()
    for operation in net.operations:
        for tensor in operation.inputs:
            if tensor >= 0 and net.constant(tensor) is not None and net.size(tensor) > 1:
                held[net.dtype(tensor)] += net.size(tensor)
        for tensor in operation.outputs:
            computed[net.dtype(tensor)] += 1
    weights = next((d for d, _ in held.most_common() if d not in ("int32", "int64", "bool")),
                   "no weights")
    work = computed.most_common(1)[0][0] if computed else "nothing"
    bare = accept.without_scale(net)
    return (weights if weights == work else f"{weights} weights, computes in {work}") + (
        " (without scale and zero point)" if bare else "")


def _kind(net: Net, ends: accept.Ends, data: bytes) -> tuple[OutputKind | None, str]:
    output = ends.outputs[accept.scores(net, ends, None, 0)]
    scores.width_of(net, output)
    head = scores.find(net, output)
    if head is not None:
        return head.kind, f"the file ends in {head.cut}"
    shape = shapes.pinned_shape(net, None)
    size = image_input.layout_of(net, shape)
    if ends.subgraph:
        net.keep_selected()
        data = net.content()
    reference = Reference(data, net.where, shape, output, image_input.channel_map(
        (0.0, 1.0), (), (), "rgb", size[2]))
    values = np.asarray([reference.raw(i) for i in probes(size)])
    return scores.kind_of(values), "its values on synthetic images"


def _needed(path: Path, net: Net, found: metadata.Found) -> list[str]:
    """Return the flags that import would ask for."""
    if beside.contract_of(path) is not None:
        return []
    _, _, channels = image_input.layout_of(net, shapes.pinned_shape(net, None))
    image = net.graph.inputs[0]
    return [flag for flag, missing in (
        ("--model-classes A,B", not found.labels),
        ("--input-range 0,1", not (found.mean or found.std) and net.dtype(image) != "uint8"),
        ("--colour rgb", channels == 3 and found.colour != "rgb"),
        ("--resize stretch", True)) if missing]


def _words(found: metadata.Found) -> tuple[str, ...]:
    said = [f"packed files: {', '.join(found.packed)}"] if found.packed else []
    if found.description:
        said.append(found.description)
    if found.mean or found.std:
        said.append(f"pixels in [0, 255], mean {list(found.mean)}, std {list(found.std)}")
    if found.colour:
        said.append(f"colour {found.colour}")
    return tuple(said)


# ------------------------------------------------------------------ import


def import_model(path: Path, out: Path, declared: Declared, preprocess: Path | None = None
                 ) -> tuple[Path, Contract, Parity]:
    """Write a model file in the project's form, and ``contract.toml`` beside it.

    Args:
        path: the file.
        out: the folder, made where it is not there.
        declared: what a person says of the model.
        preprocess: a TOML with its preprocessing, in place of range and resize.

    Returns:
        The new file, its contract and its agreement with the old one.

    Raises:
        BadInput: not a float classifier, or a contract that is not complete.
        GateFailed: the result answers otherwise than the file.
    """
    given = None if preprocess is None else codec.read_toml(Preprocess, preprocess)
    done = normalise(understand(path, declared, given))
    target = out / beside.file_name(done.contract.source)
    if target.exists() and target.resolve() == path.resolve():
        raise BadInput("is the file to import itself", where=target,
                       remedy="Give another folder with --out.")
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        write_bytes(target, done.content)
        # Last: a model without its contract is not an imported one.
        write_text(out / layout.CONTRACT, codec.to_toml(done.contract))
    return target, done.contract, done.parity
