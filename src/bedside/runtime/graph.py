"""Read-only view of a ``.tflite`` file: operations, tensors, quantization, constants.

Nothing is executed here; the flatbuffer is read through LiteRT's own schema.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ai_edge_litert.schema_py_generated as schema
import numpy as np
import numpy.typing as npt

from bedside.core.errors import BadInput

_REMEDY = "Give a complete LiteRT (.tflite) file."

_DTYPES = {getattr(schema.TensorType, n): n.lower() for n in vars(schema.TensorType) if n.isupper()}
_NUMPY = {"float32": np.float32, "float16": np.float16, "int8": np.int8, "int16": np.int16,
          "int32": np.int32, "int64": np.int64, "uint8": np.uint8, "bool": np.bool_}
_OPS = {getattr(schema.BuiltinOperator, n): n for n in vars(schema.BuiltinOperator) if n.isupper()}

_OPTIONS = {"CONV_2D": schema.Conv2DOptions, "DEPTHWISE_CONV_2D": schema.DepthwiseConv2DOptions,
            "FULLY_CONNECTED": schema.FullyConnectedOptions, "ADD": schema.AddOptions,
            "SUB": schema.SubOptions, "MUL": schema.MulOptions, "MEAN": schema.ReducerOptions,
            "MAX_POOL_2D": schema.Pool2DOptions, "AVERAGE_POOL_2D": schema.Pool2DOptions,
            "CONCATENATION": schema.ConcatenationOptions}
_ACTIVATIONS: dict[int, str] = {
    getattr(schema.ActivationFunctionType, n): n
                for n in vars(schema.ActivationFunctionType) if n.isupper()}

CONVOLUTIONS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"})


@dataclass(frozen=True, slots=True)
class Quantization:
    """Affine parameters: ``real = scale · (q − zero_point)`` (Jacob et al. 2018, eq. 1).

    ``scales`` float32 (n,), ``zero_points`` int64 (n,); n is 1 for a tensor, or the size of
    dimension ``axis`` for per-channel.
    """

    scales: npt.NDArray[np.float32]
    zero_points: npt.NDArray[np.int64]
    axis: int


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of the main subgraph; ``buffer`` is 0 where it holds no constant.

    ``dynamic``: a dimension is left open until the model runs.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    buffer: int
    quantization: Quantization | None
    dynamic: bool = False

    @property
    def layer(self) -> str:
        """The short layer name, as the network's own source calls it."""
        return layer_name(self.name)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation, in execution order; inputs and outputs are tensor indices."""

    index: int
    op: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Graph:
    """The main subgraph of a model and its signature (names of inputs and outputs)."""

    tensors: tuple[Tensor, ...]
    operations: tuple[Operation, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    input_names: dict[str, int]
    output_names: dict[str, int]
    signatures: int
    subgraphs: int
    _model: Any
    _data: bytes | bytearray

    def constant(self, tensor: Tensor | int) -> npt.NDArray[Any] | None:
        """Return the stored values of a constant tensor in its own dtype and shape, else None."""
        item = self.tensors[tensor] if isinstance(tensor, int) else tensor
        if item.buffer == 0 or item.dtype not in _NUMPY:
            return None
        raw = self._model.Buffers(item.buffer)
        dtype = np.dtype(_NUMPY[item.dtype])
        # Writers may put a buffer's bytes after the flatbuffer, at an offset in the file.
        data = (np.frombuffer(self._data, np.uint8, int(raw.Size()), int(raw.Offset()))
                if raw.Offset() > 1 else raw.DataAsNumpy())
        values: npt.NDArray[Any] = data.view(dtype)
        return values.reshape(item.shape)

    def real_constant(self, tensor: Tensor | int) -> npt.NDArray[np.float32] | None:
        """Return constant values as real numbers: dequantized where the tensor is quantized."""
        item = self.tensors[tensor] if isinstance(tensor, int) else tensor
        values = self.constant(item)
        return None if values is None else dequantize(values, item.quantization)

    def producer(self, tensor: int) -> Operation | None:
        """Return the operation that writes a tensor, None for inputs and constants."""
        return next((o for o in self.operations if tensor in o.outputs), None)

    def layer(self, operation: Operation) -> str:
        """Return the layer of an operation: its weights' name where it has weights."""
        named = operation.inputs[1] if operation.op in CONVOLUTIONS else operation.outputs[0]
        return self.tensors[named].layer

    def activation(self, operation: Operation) -> str:
        """Return the activation fused into an operation: ``NONE``, ``RELU``, ``RELU6``, …"""
        stored = getattr(self.options(operation), "FusedActivationFunction", None)
        return "NONE" if stored is None else _ACTIVATIONS.get(int(stored()), "NONE")

    def options(self, operation: Operation) -> Any:
        """Return an operation's stored options (strides …); None without any, or of other kinds."""
        table = self._model.Subgraphs(0).Operators(operation.index).BuiltinOptions()
        kind = _OPTIONS.get(operation.op)
        if table is None or kind is None:
            return None
        options = kind()
        options.Init(table.Bytes, table.Pos)
        return options

    def consumers(self, tensor: int) -> tuple[Operation, ...]:
        """Return the operations that read a tensor."""
        return tuple(o for o in self.operations if tensor in o.inputs)

    def convolutions(self) -> tuple[Operation, ...]:
        """Return convolution-like operations in execution order."""
        return tuple(o for o in self.operations if o.op in CONVOLUTIONS)


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return TFLite's SAME padding before and after one dimension; the odd pixel comes after."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def dequantize(values: npt.NDArray[Any], quantization: Quantization | None
               ) -> npt.NDArray[np.float32]:
    """Return ``scale · (q − zero_point)`` along the quantized axis; a cast where unquantized."""
    if quantization is None or not np.issubdtype(values.dtype, np.integer):
        return values.astype(np.float32)
    shape = [1] * values.ndim
    if quantization.scales.size > 1:
        shape[quantization.axis] = quantization.scales.size
    zero = quantization.zero_points.reshape(shape)
    real = (values.astype(np.int64) - zero) * quantization.scales.reshape(shape)
    return real.astype(np.float32)


_COMPONENT = re.compile(r"^[A-Za-z0-9]+?_(.+)$")


def layer_name(tensor_name: str) -> str:
    """Return ``layer1.0.conv1`` of ``…Sequential_layer1/BasicBlock_0/…Conv2d_conv1;1``.

    Names that are not in the converter's form are returned as they are.
    """
    parts = [p for p in tensor_name.split(";") if "/" in p]
    if not parts:
        return tensor_name
    best = next((p for p in parts if "conv" in p.rsplit("/", 1)[-1].lower()), parts[-1])
    found = (_COMPONENT.match(piece.rsplit(".", 1)[-1]) for piece in best.split("/"))
    return ".".join(m.group(1) for m in found if m) or tensor_name


def _quantization(parameters: Any) -> Quantization | None:
    if parameters is None or parameters.ScaleLength() == 0:
        return None
    scales = np.asarray(parameters.ScaleAsNumpy(), dtype=np.float32)
    zeros = (np.asarray(parameters.ZeroPointAsNumpy(), dtype=np.int64)
             if parameters.ZeroPointLength() else np.zeros(scales.size, np.int64))
    if zeros.size == 1 < scales.size:
        zeros = np.full(scales.size, zeros[0])
    return Quantization(scales, zeros, int(parameters.QuantizedDimension()))


def _tensor(index: int, raw: Any, model: Any) -> Tensor:
    shape = tuple(int(v) for v in raw.ShapeAsNumpy()) if raw.ShapeLength() else ()
    buffer = int(raw.Buffer())
    stored = model.Buffers(buffer)
    holds = buffer != 0 and (stored.DataLength() > 0 or stored.Offset() > 1)
    # A name that is not UTF-8 is damage: runtimes raise where they print it.
    return Tensor(index, (raw.Name() or b"").decode(), shape,
                  _DTYPES.get(raw.Type(), str(raw.Type())), buffer if holds else 0,
                  _quantization(raw.Quantization()),
                  bool(raw.ShapeSignatureLength() and (raw.ShapeSignatureAsNumpy() < 0).any()))


def _operation(index: int, raw: Any, model: Any) -> Operation:
    code = model.OperatorCodes(raw.OpcodeIndex())
    builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    name = _OPS.get(builtin, str(builtin))
    if name == "CUSTOM":
        name = (code.CustomCode() or b"CUSTOM").decode("utf-8", "replace")
    return Operation(index, name,
                     tuple(int(v) for v in raw.InputsAsNumpy()) if raw.InputsLength() else (),
                     tuple(int(v) for v in raw.OutputsAsNumpy()) if raw.OutputsLength() else ())


def _names(count: int, get: Any) -> dict[str, int]:
    items = (get(i) for i in range(count))
    return {i.Name().decode(): int(i.TensorIndex()) for i in items}


def read_graph(path: Path) -> Graph:
    """Read the main subgraph of a ``.tflite`` file.

    Raises:
        BadInput: missing, or not a model that the schema can read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot be read ({error.strerror})", where=path, remedy=_REMEDY) from None
    return parse_graph(data, str(path))


def parse_graph(data: bytes | bytearray, where: str = "model") -> Graph:
    """Read a graph as :func:`read_graph` does, from bytes."""
    if len(data) < 16 or data[4:8] != b"TFL3":
        raise BadInput("not a LiteRT model (no TFL3 identifier)", where=where, remedy=_REMEDY)
    try:
        model = schema.Model.GetRootAs(data)
        main = model.Subgraphs(0)
        tensors = tuple(_tensor(i, main.Tensors(i), model) for i in range(main.TensorsLength()))
        operations = tuple(_operation(i, main.Operators(i), model)
                           for i in range(main.OperatorsLength()))
        _check_buffers(model, len(data), where)
        inputs = tuple(int(v) for v in main.InputsAsNumpy())
        outputs = tuple(int(v) for v in main.OutputsAsNumpy())
        count = model.SignatureDefsLength()
        signature = model.SignatureDefs(0) if count else None
        input_names = (_names(signature.InputsLength(), signature.Inputs) if signature
                       else {tensors[i].name: i for i in inputs})
        output_names = (_names(signature.OutputsLength(), signature.Outputs) if signature
                        else {tensors[i].name: i for i in outputs})
    except (struct.error, IndexError, TypeError, AttributeError, ValueError, UnicodeDecodeError,
            MemoryError, OverflowError) as error:
        kind = "a table outside it" if isinstance(error, struct.error) else type(error).__name__
        raise BadInput(f"damaged or truncated LiteRT model ({kind})", where=where,
                       remedy=_REMEDY) from None
    return Graph(tensors, operations, inputs, outputs, input_names, output_names, count,
                 model.SubgraphsLength(), model, data)


def _check_buffers(model: Any, size: int, where: str) -> None:
    """Refuse a file cut short before the weights that lie behind its flatbuffer."""
    for i in range(model.BuffersLength()):
        raw = model.Buffers(i)
        if raw.Offset() > 1 and raw.Offset() + raw.Size() > size:
            raise BadInput("truncated: the model's weights lie past the end of the file",
                           where=where, remedy=_REMEDY)


def custom_options(graph: Graph, operation: Operation) -> bytes:
    """Return the stored options of a custom operation, empty where it has none."""
    raw = graph._model.Subgraphs(0).Operators(operation.index)
    if raw.CustomOptionsLength():
        return bytes(raw.CustomOptionsAsNumpy())
    start, size = int(raw.LargeCustomOptionsOffset()), int(raw.LargeCustomOptionsSize())
    return bytes(graph._data[start:start + size])


def ops_by_dtype(graph: Graph) -> dict[str, dict[str, int]]:
    """Return the number of operations by number format and kind.

    The format of an operation is ``activation`` or, where it has weights of another format,
    ``activation×weights`` (``float32×int8`` is dynamic range).
    """
    counts: dict[str, dict[str, int]] = {}
    for operation in graph.operations:
        kind = counts.setdefault(operation_format(graph, operation), {})
        kind[operation.op] = kind.get(operation.op, 0) + 1
    return {k: dict(sorted(v.items())) for k, v in sorted(counts.items())}


def operation_format(graph: Graph, operation: Operation) -> str:
    """Return the number formats of one operation, see :func:`ops_by_dtype`."""
    if operation.op in ("QUANTIZE", "DEQUANTIZE"):
        source, target = operation.inputs[0], operation.outputs[0]
        return f"{graph.tensors[source].dtype}→{graph.tensors[target].dtype}"
    activation = graph.tensors[operation.inputs[0]].dtype if operation.inputs else "none"
    if operation.op in CONVOLUTIONS and len(operation.inputs) > 1:
        weights = graph.tensors[operation.inputs[1]].dtype
        if weights != activation:
            return f"{activation}×{weights}"
    return activation


def macs(graph: Graph, operation: Operation) -> int:
    """Return multiply-accumulates of one convolution-like operation at batch 1, else 0."""
    if operation.op not in CONVOLUTIONS:
        return 0
    weights = graph.tensors[operation.inputs[1]].shape
    output = graph.tensors[operation.outputs[0]].shape
    positions = int(np.prod(output[1:-1])) if len(output) == 4 else 1
    return positions * int(np.prod(weights))
