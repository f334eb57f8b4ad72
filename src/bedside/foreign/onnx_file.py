"""Reading of an ONNX file: what cannot be converted is refused by name before any work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bedside.core.errors import BadInput

Array = npt.NDArray[Any]

OLDEST_OPSET = 9
# What a default operator may be called in a file.
_DOMAINS = ("", "ai.onnx")
MOST_VALUES = 50_000_000


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """A checked model: one float image in, shapes known, constants by name.

    ``shape`` of the input has batch 1. ``nodes`` are in execution order.
    """

    path: Path
    opset: int
    input: str
    shape: tuple[int, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Any, ...]
    constants: dict[str, Array]


def read(path: Path) -> OnnxFile:
    """Read an ONNX model, with the data that lies in files beside it.

    Raises:
        BadInput: no ONNX model, truncated, data outside its folder, an operator set that is too
            old or too new, quantized, several inputs, or an input whose shape is left open.
    """
    from onnx import TensorProto, numpy_helper

    model = _load(path)
    opset = _opset(path, model)
    graph = model.graph
    _external(path, model)
    foreign = next((n for n in graph.node if n.domain not in _DOMAINS), None)
    if foreign is not None:
        raise BadInput(f"operator {foreign.op_type} of {foreign.domain} is not part of ONNX",
                       where=path, remedy="Export the model with ONNX's own operators.")
    _check(path, model)
    if any("QuantizeLinear" in n.op_type for n in graph.node):
        raise BadInput("the model is quantized already", where=path,
                       remedy="Give the float model; a study quantizes from it.")
    constants = {}
    for tensor in graph.initializer:
        if tensor.data_type in (TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE):
            kind = TensorProto.DataType.Name(tensor.data_type)
            raise BadInput(f"{tensor.name!r} is stored as {kind}", where=path,
                           remedy="Export the model in float32.")
        try:
            constants[tensor.name] = np.asarray(numpy_helper.to_array(tensor))
        except (ValueError, TypeError) as error:
            raise BadInput(f"the values of {tensor.name!r} are incomplete ({error})", where=path,
                           remedy="Get the file again.") from None
    inputs = [v for v in graph.input if v.name not in constants]
    if len(inputs) != 1:
        names = ", ".join(v.name for v in inputs) or "none"
        raise BadInput(f"the model has {len(inputs)} inputs ({names}); one image is needed",
                       where=path, remedy="Export it with a single image input.")
    return OnnxFile(path, opset, inputs[0].name, _shape(path, inputs[0]),
                    tuple(v.name for v in graph.output), tuple(graph.node), constants)


def _load(path: Path) -> Any:
    import onnx

    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot be read ({error.strerror})", where=path,
                       remedy="Check the path.") from None
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's own, which shares no base class
        raise BadInput(f"not an ONNX model, or truncated ({type(error).__name__})", where=path,
                       remedy="Get the file again, or export it again.") from None
    if not model.graph.node or not model.graph.output:
        raise BadInput("not an ONNX model: it has no graph", where=path,
                       remedy="Get the file again, or export it again.")
    return model


def _check(path: Path, model: Any) -> None:
    """Refuse a graph that breaks ONNX's own rules: inputs or attributes that an operator lacks."""
    from onnx import checker

    for value in (*model.graph.output, *model.graph.value_info):
        # Exporters may leave these shapes out; none is read here.
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.shape.SetInParent()
    try:
        checker.check_model(model)
    except Exception as error:  # the checker's own and the parser's share no base class
        first = next((line for line in str(error).splitlines() if line.strip()), "no reason")
        raise BadInput(f"not a valid ONNX model ({first[:160]})", where=path,
                       remedy="Export it again.") from None


def _opset(path: Path, model: Any) -> int:
    from onnx import defs

    found = next((o.version for o in model.opset_import if o.domain in _DOMAINS), 0)
    newest = defs.onnx_opset_version()
    if not OLDEST_OPSET <= found <= newest:
        raise BadInput(f"the model uses operator set {found}; {OLDEST_OPSET} to {newest} are read",
                       where=path, remedy="Export it again with opset 17, or convert it with "
                                          "onnx.version_converter.")
    return int(found)


def _tensors(model: Any) -> Iterator[Any]:
    yield from model.graph.initializer
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t


def _external(path: Path, model: Any) -> None:
    """Load what lies in files beside the model; nothing outside its folder is opened."""
    from onnx import external_data_helper

    outside = [t for t in _tensors(model) if external_data_helper.uses_external_data(t)]
    folder = path.parent.resolve()
    for tensor in outside:
        place = next((e.value for e in tensor.external_data if e.key == "location"), "")
        target = (folder / place).resolve()
        if not place or Path(place).is_absolute() or not target.is_relative_to(folder):
            raise BadInput(f"the data of {tensor.name!r} lie outside the model's folder "
                           f"({place or 'no place is given'})", where=path,
                           remedy="Export the model as one file, or put its data beside it.")
        if not target.is_file():
            raise BadInput(f"its data file {place} is missing", where=path,
                           remedy="Put it beside the model.")
        try:
            external_data_helper.load_external_data_for_tensor(tensor, str(folder))
        except Exception as error:  # the checker's own, ValueError, OSError
            raise BadInput(f"the data of {tensor.name!r} in {place} cannot be read "
                           f"({type(error).__name__})", where=path,
                           remedy="Get the model and its data file again.") from None
        tensor.data_location = 0
        del tensor.external_data[:]


def _shape(path: Path, value: Any) -> tuple[int, ...]:
    """Return the input's shape with batch 1."""
    from onnx import TensorProto

    kind = value.type.tensor_type
    if kind.elem_type != TensorProto.FLOAT:
        raise BadInput(f"the input {value.name!r} is "
                       f"{TensorProto.DataType.Name(kind.elem_type)}; float32 is needed",
                       where=path, remedy="Export it with a float32 image input.")
    sides = [d.dim_value if d.HasField("dim_value") else 0 for d in kind.shape.dim]
    if len(sides) != 4:
        raise BadInput(f"the input {value.name!r} has {len(sides)} dimensions; an image batch has "
                       "4", where=path, remedy="Export it with an input of (1, C, H, W).")
    if sides[0] in (0, 1) and 0 in sides[1:]:
        shown = [d.dim_param or d.dim_value or "?" for d in kind.shape.dim]
        raise BadInput(f"the input's shape {shown} is left open", where=path,
                       remedy="Fix it: python -m onnxruntime.tools.make_dynamic_shape_fixed "
                              f"--input_name {value.name} --input_shape 1,C,H,W IN OUT.")
    if sides[0] not in (0, 1):
        raise BadInput(f"the model takes {sides[0]} images at once; 1 is needed", where=path,
                       remedy="Export it with batch 1.")
    if min(sides[1:]) < 1 or int(np.prod(sides[1:], dtype=np.int64)) > MOST_VALUES:
        raise BadInput(f"an input of {sides} is not an image", where=path,
                       remedy="Export it with an input of (1, C, H, W).")
    return (1, *sides[1:])
