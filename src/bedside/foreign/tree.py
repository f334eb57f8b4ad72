"""An editable ``.tflite``: its operations, tensors and constants, and the bytes of the result.

Constants stay numpy arrays from file to file: the schema's own packer writes lists byte by byte.
"""

from __future__ import annotations

import struct
from typing import Any

import ai_edge_litert.schema_py_generated as schema
import numpy as np
import numpy.typing as npt

from bedside.core.errors import BadInput
from bedside.runtime.graph import parse_graph

Array = npt.NDArray[Any]

_REMEDY = "Give a complete LiteRT (.tflite) file."
_IDENTIFIER = b"TFL3"
_CODES = {n: getattr(schema.BuiltinOperator, n)
          for n in vars(schema.BuiltinOperator) if n.isupper()}
_NAMES = {v: n for n, v in _CODES.items()}
_TYPES = {n.lower(): getattr(schema.TensorType, n) for n in vars(schema.TensorType) if n.isupper()}
_TYPE_NAMES = {v: n for n, v in _TYPES.items()}
_NUMPY = {"float32": np.float32, "float16": np.float16, "int8": np.int8, "uint8": np.uint8,
          "int16": np.int16, "int32": np.int32, "int64": np.int64, "bool": np.bool_}
_ITEM_BYTES = {n: np.dtype(t).itemsize for n, t in _NUMPY.items()}
# Of one tensor: 512 MB of float32. A larger one is damage, and costs the machine its memory.
MAX_ELEMENTS = 2**27
_LAST_DEPRECATED = 127  # of the codes that the byte of old files can hold
_ALIGNMENT_BYTES = 16


class _Aligned(schema.BufferT):  # type: ignore[misc]
    """A buffer as the schema wants it, aligned to 16 bytes; its generated packer does not."""

    def Pack(self, builder: Any) -> Any:  # noqa: N802 (the schema's name)
        values = None if self.data is None else np.asarray(self.data, np.uint8)
        data = None
        if values is not None:
            builder.StartVector(1, values.size, _ALIGNMENT_BYTES)
            builder.head -= values.size
            builder.Bytes[builder.head:builder.head + values.size] = values.tobytes()
            data = builder.EndVector()
        schema.BufferStart(builder)
        if data is not None:
            schema.BufferAddData(builder, data)
        return schema.BufferEnd(builder)


class Net:
    """One subgraph of a model, to be edited in place and packed.

    Args:
        data: a ``.tflite``, with or without something appended.
        where: the file, for messages.

    Raises:
        BadInput: the bytes are not a whole model.
    """

    def __init__(self, data: bytes, where: str) -> None:
        parse_graph(data, where)  # refuses what is truncated or damaged, in words
        try:
            self.model: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data))
        except (struct.error, IndexError, TypeError, AttributeError, ValueError, MemoryError,
                OverflowError) as error:
            raise BadInput(f"damaged: {type(error).__name__} while its tables were read",
                           where=where, remedy=_REMEDY) from None
        self.where = where
        self._size = len(data)
        for code in self.model.operatorCodes or []:
            # Files from before TF 2.4 hold the code in a byte, which quantizers do not read.
            code.builtinCode = max(int(code.builtinCode), int(code.deprecatedBuiltinCode))
            code.deprecatedBuiltinCode = min(code.builtinCode, _LAST_DEPRECATED)
        for buffer in self.model.buffers or []:
            if buffer.offset > 1:  # bytes behind the tables, as of models above 2 GB
                buffer.data = np.frombuffer(data, np.uint8, int(buffer.size), int(buffer.offset))
            buffer.offset = buffer.size = 0
        for subgraph in range(len(self.model.subgraphs)):
            self.select(subgraph)
            fault = self._damage()
            if fault:
                raise BadInput(f"damaged: {fault}", where=where, remedy=_REMEDY)
        self.select(0)

    def _damage(self) -> str | None:
        """Return what cannot be in the selected subgraph; numbers that lead outside it."""
        tensors, buffers = len(self.graph.tensors), len(self.model.buffers or [])
        codes = len(self.model.operatorCodes or [])
        for index, tensor in enumerate(self.graph.tensors):
            if not 0 <= tensor.buffer < buffers:
                return f"tensor {index} names buffer {tensor.buffer} of {buffers}"
            if any(v < 0 for v in tensor.shape) or self.size(index) > MAX_ELEMENTS:
                return f"tensor {index} has the shape {list(tensor.shape)}"
            data = self.model.buffers[tensor.buffer].data if tensor.buffer else None
            itemsize = _ITEM_BYTES.get(self.dtype(index))
            if data is not None and len(data) and itemsize and tensor.sparsity is None and (
                    len(data) != itemsize * self.size(index)):
                return f"tensor {index} of shape {list(tensor.shape)} has {len(data)} bytes"
        for index, operation in enumerate(self.operations):
            if not 0 <= operation.opcodeIndex < codes:
                return f"operation {index} has no kind"
            if any(not -1 <= t < tensors for t in operation.inputs) or any(
                    not 0 <= t < tensors for t in operation.outputs):
                return f"operation {index} names a tensor that is not there"
        if any(not 0 <= t < tensors for t in (*self.graph.inputs, *self.graph.outputs)):
            return "an input or output names a tensor that is not there"
        return None

    def select(self, subgraph: int) -> None:
        """Edit another subgraph."""
        self.graph: Any = self.model.subgraphs[subgraph]
        for tensor in self.graph.tensors:
            tensor.name = (tensor.name or b"").decode() if isinstance(
                tensor.name, bytes | type(None)) else tensor.name
            tensor.shape = [] if tensor.shape is None else [int(v) for v in tensor.shape]
        for operation in self.operations:
            for side in ("inputs", "outputs"):
                indices = getattr(operation, side)
                setattr(operation, side, [] if indices is None else [int(v) for v in indices])
        self.graph.inputs = [int(v) for v in self.graph.inputs]
        self.graph.outputs = [int(v) for v in self.graph.outputs]

    # ------------------------------------------------------------------ reading

    @property
    def operations(self) -> list[Any]:
        """The operations, in execution order."""
        operations: list[Any] = self.graph.operators
        return operations

    def op(self, operation: Any) -> str:
        """Return an operation's name, ``CUSTOM`` for a custom one."""
        code = int(self.model.operatorCodes[operation.opcodeIndex].builtinCode)
        return str(_NAMES.get(code, code))

    def custom_name(self, operation: Any) -> str:
        """Return the name of a custom operation."""
        name = self.model.operatorCodes[operation.opcodeIndex].customCode or b"CUSTOM"
        return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)

    def name(self, tensor: int) -> str:
        """Return a tensor's name."""
        return str(self.graph.tensors[tensor].name)

    def shape(self, tensor: int) -> tuple[int, ...]:
        """Return a tensor's shape."""
        return tuple(self.graph.tensors[tensor].shape)

    def size(self, tensor: int) -> int:
        """Return a tensor's number of elements."""
        return int(np.prod(self.shape(tensor), dtype=np.int64))

    def dtype(self, tensor: int) -> str:
        """Return a tensor's type, as numpy calls it."""
        kind = self.graph.tensors[tensor].type
        return str(_TYPE_NAMES.get(kind, kind))

    def constant(self, tensor: int) -> Array | None:
        """Return a constant's values in its shape; None for what is computed."""
        if tensor < 0:
            return None
        item = self.graph.tensors[tensor]
        data = self.model.buffers[item.buffer].data if item.buffer else None
        dtype = self.dtype(tensor)
        if data is None or not len(data) or dtype not in _NUMPY:
            return None
        values: Array = np.asarray(data, np.uint8).view(_NUMPY[dtype])
        return values.reshape(self.shape(tensor))

    def producer(self, tensor: int) -> Any | None:
        """Return the operation that writes a tensor; None for inputs and constants."""
        return next((o for o in self.operations if tensor in o.outputs), None)

    def consumers(self, tensor: int) -> list[Any]:
        """Return the operations that read a tensor."""
        return [o for o in self.operations if tensor in o.inputs]

    def only_consumer(self, tensor: int) -> Any | None:
        """Return the operation that alone reads a tensor, where no output is made of it."""
        readers = self.consumers(tensor)
        return readers[0] if len(readers) == 1 and tensor not in self.graph.outputs else None

    # ------------------------------------------------------------------ editing

    def set_constant(self, tensor: int, values: Array) -> None:
        """Let a tensor hold ``values``; its shape and type become theirs."""
        item = self.graph.tensors[tensor]
        item.shape, item.shapeSignature, item.quantization = list(values.shape), None, None
        item.type = _TYPES[values.dtype.name]
        item.sparsity = None
        # A buffer of its own: tensors may share one.
        self.model.buffers.append(schema.BufferT(_bytes(values)))
        item.buffer = len(self.model.buffers) - 1

    def add_tensor(self, name: str, shape: tuple[int, ...], dtype: str = "float32") -> int:
        """Add a tensor that an operation will write; return its index."""
        item = schema.TensorT()
        item.name, item.shape, item.type, item.buffer = name, list(shape), _TYPES[dtype], 0
        item.hasRank = True
        self.graph.tensors.append(item)
        return len(self.graph.tensors) - 1

    def add_constant(self, name: str, values: Array) -> int:
        """Add a constant; return its index."""
        index = self.add_tensor(name, values.shape, values.dtype.name)
        self.set_constant(index, values)
        return index

    def add_operation(self, op: str, inputs: list[int], outputs: list[int], options: Any = None,
                      first: bool = False) -> Any:
        """Add a built-in operation at the end, or as the ``first``.

        Args:
            op: its name.
            inputs: tensor indices.
            outputs: likewise.
            options: its options table (``schema.<Kind>OptionsT``), or None.
            first: put it before all others.
        """
        item = schema.OperatorT()
        item.opcodeIndex, item.inputs, item.outputs = self._code(op), inputs, outputs
        if options is not None:
            item.builtinOptions = options
            kind = type(options).__name__.removesuffix("T")
            item.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
        self.operations.insert(0 if first else len(self.operations), item)
        return item

    def _code(self, op: str) -> int:
        wanted = _CODES[op]
        for index, code in enumerate(self.model.operatorCodes):
            if code.builtinCode == wanted:
                return index
        code = schema.OperatorCodeT()
        code.builtinCode, code.version = wanted, 1
        code.deprecatedBuiltinCode = min(wanted, _LAST_DEPRECATED)
        self.model.operatorCodes.append(code)
        return len(self.model.operatorCodes) - 1

    def reconnect(self, old: int, new: int) -> None:
        """Let every reader of ``old``, and the outputs, read ``new``."""
        for operation in self.operations:
            operation.inputs = [new if t == old else t for t in operation.inputs]
        self.graph.outputs = [new if t == old else t for t in self.graph.outputs]

    def remove(self, operation: Any) -> None:
        """Remove one operation; what reads its outputs must have been reconnected."""
        self.graph.operators = [o for o in self.operations if o is not operation]

    # ------------------------------------------------------------------ writing

    def keep_selected(self) -> None:
        """Leave out the other subgraphs, and every signature."""
        self.model.subgraphs, self.model.signatureDefs = [self.graph], None

    def sign(self, key: str, inputs: dict[str, int], outputs: dict[str, int]) -> None:
        """Give the model its one signature: names and tensors."""
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = key, 0
        signature.inputs = [schema.TensorMapT(n, t) for n, t in inputs.items()]
        signature.outputs = [schema.TensorMapT(n, t) for n, t in outputs.items()]
        self.model.signatureDefs = [signature]

    def pack(self) -> bytes:
        """Return the model as bytes, without what no output needs."""
        self._drop_unused()
        return self.content()

    def content(self) -> bytes:
        """Return the model as bytes as it stands, its tensors under their present numbers."""
        import flatbuffers

        self.model.buffers = [_Aligned(b.data) for b in self.model.buffers]
        builder = flatbuffers.Builder(self._size + 65536)
        builder.Finish(self.model.Pack(builder), file_identifier=_IDENTIFIER)
        return bytes(builder.Output())

    def _drop_unused(self) -> None:
        needed, kept = set(self.graph.outputs), []
        for operation in reversed(self.operations):
            if needed & set(operation.outputs):
                kept.append(operation)
                needed |= {t for t in operation.inputs if t >= 0}
                needed |= set(operation.outputs)
        self.graph.operators = kept[::-1]
        self._renumber(needed | set(self.graph.inputs))

    def _renumber(self, used: set[int]) -> None:
        order = sorted(used)
        tensor = {old: new for new, old in enumerate(order)} | {-1: -1}
        self.graph.tensors = [self.graph.tensors[i] for i in order]
        for operation in self.operations:
            operation.inputs = [tensor[t] for t in operation.inputs]
            operation.outputs = [tensor[t] for t in operation.outputs]
            operation.intermediates = None
        self.graph.inputs = [tensor[t] for t in self.graph.inputs]
        self.graph.outputs = [tensor[t] for t in self.graph.outputs]
        for signature in self.model.signatureDefs or []:
            for item in (*signature.inputs, *signature.outputs):
                item.tensorIndex = tensor[item.tensorIndex]
        codes = sorted({o.opcodeIndex for o in self.operations})
        self.model.operatorCodes = [self.model.operatorCodes[i] for i in codes]
        for operation in self.operations:
            operation.opcodeIndex = codes.index(operation.opcodeIndex)
        metadata = self.model.metadata or []
        buffers = sorted({0, *(i.buffer for i in (*self.graph.tensors, *metadata))})
        self.model.buffers = [self.model.buffers[i] for i in buffers]
        place = {old: new for new, old in enumerate(buffers)}
        for item in (*self.graph.tensors, *metadata):
            item.buffer = place[item.buffer]
        self.model.metadataBuffer = None  # deprecated: indices into the old list


def _bytes(values: Array) -> npt.NDArray[np.uint8]:
    flat: npt.NDArray[np.uint8] = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    return flat
