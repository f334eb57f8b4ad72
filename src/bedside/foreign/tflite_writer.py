"""Writer of a float ``.tflite``: tensors, operations and one signature, through LiteRT's schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ai_edge_litert.schema_py_generated as schema
import numpy as np
import numpy.typing as npt

from bedside.schemes.rewrite import aligned, packed

Array = npt.NDArray[Any]

SIGNATURE = "serving_default"
_TYPES = {"float32": schema.TensorType.FLOAT32, "int32": schema.TensorType.INT32,
          "uint8": schema.TensorType.UINT8, "int64": schema.TensorType.INT64,
          "bool": schema.TensorType.BOOL}


class TfliteWriter:
    """Collector of tensors and operations; tensors are known by their index.

    Shapes are fixed, values float32 unless a constant has another dtype.
    """

    def __init__(self) -> None:
        self._tensors: list[Any] = []
        self._buffers: list[Any] = [schema.BufferT()]
        self._operations: list[Any] = []
        self._codes: dict[int, int] = {}
        self._made_by: dict[int, Any] = {}
        self._names: set[str] = set()

    def shape(self, tensor: int) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        return tuple(self._tensors[tensor].shape)

    def tensor(self, name: str, shape: Sequence[int], dtype: str = "float32") -> int:
        """Add a tensor that is computed (or an input) and return its index."""
        made = schema.TensorT()
        made.name, made.type = self._unique(name), _TYPES[dtype]
        made.shape, made.buffer, made.hasRank = [int(v) for v in shape], 0, True
        self._tensors.append(made)
        return len(self._tensors) - 1

    def constant(self, name: str, values: Array) -> int:
        """Add a constant in its own dtype and return its index."""
        stored = np.ascontiguousarray(values)
        index = self.tensor(name, values.shape, stored.dtype.name)
        self._buffers.append(aligned(stored))
        self._tensors[index].buffer = len(self._buffers) - 1
        return index

    def operation(self, kind: str, inputs: Sequence[int], name: str, shape: Sequence[int],
                  options: Any = None) -> int:
        """Add an operation with one output; returns the output's index.

        Args:
            kind: a builtin operator, as ``CONV_2D``.
            inputs: tensors; -1 for one that is left out.
            name: of the output.
            shape: of the output.
            options: the operator's table of options (``schema.Conv2DOptionsT`` …), or None.
        """
        made = schema.OperatorT()
        code = getattr(schema.BuiltinOperator, kind)
        made.opcodeIndex = self._codes.setdefault(code, len(self._codes))
        made.inputs = [int(i) for i in inputs]
        output = self.tensor(name, shape)
        made.outputs = [output]
        if options is not None:
            made.builtinOptions = options
            made.builtinOptionsType = getattr(schema.BuiltinOptions,
                                              type(options).__name__.removesuffix("T"))
        self._operations.append(made)
        self._made_by[output] = made
        return output

    def fuse(self, tensor: int, activation: str) -> bool:
        """Fuse an activation into the operation that makes a tensor; False where it cannot be."""
        maker = self._made_by.get(tensor)
        options = None if maker is None else maker.builtinOptions
        none = schema.ActivationFunctionType.NONE
        # LiteRT's kernel of CONCATENATION knows no activation, though its table has one.
        if (options is None or isinstance(options, schema.ConcatenationOptionsT)
                or getattr(options, "fusedActivationFunction", None) != none):
            return False
        options.fusedActivationFunction = getattr(schema.ActivationFunctionType, activation)
        return True

    def is_rectified(self, tensor: int) -> bool:
        """Return whether a tensor holds no negative numbers, by the operation that makes it."""
        maker = self._made_by.get(tensor)
        if maker is None:
            return False
        kinds = {i: c for c, i in self._codes.items()}
        names = schema.BuiltinOperator
        if kinds[maker.opcodeIndex] in (names.RELU, names.RELU6, names.RELU_0_TO_1,
                                        names.LOGISTIC, names.SOFTMAX):
            return True
        fused = getattr(maker.builtinOptions, "fusedActivationFunction", None)
        if fused in (schema.ActivationFunctionType.RELU, schema.ActivationFunctionType.RELU6):
            return True
        if kinds[maker.opcodeIndex] in (names.MAX_POOL_2D, names.AVERAGE_POOL_2D, names.RESHAPE,
                                        names.TRANSPOSE, names.PAD):
            return self.is_rectified(maker.inputs[0])
        if kinds[maker.opcodeIndex] == names.CONCATENATION:
            return all(self.is_rectified(i) for i in maker.inputs)
        return False

    def finish(self, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> bytes:
        """Return the file, whose signature names inputs and outputs."""
        graph = schema.SubGraphT()
        graph.name, graph.tensors, graph.operators = "main", self._tensors, self._operations
        graph.inputs, graph.outputs = list(inputs.values()), list(outputs.values())
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = SIGNATURE, 0
        signature.inputs = [_named(n, i) for n, i in inputs.items()]
        signature.outputs = [_named(n, i) for n, i in outputs.items()]
        model = schema.ModelT()
        model.version, model.description = 3, "bedside"
        model.operatorCodes = [_code(c) for c in self._codes]
        model.subgraphs, model.buffers = [graph], self._buffers
        model.signatureDefs = [signature]
        return packed(model)

    def _unique(self, name: str) -> str:
        # Dots, as the networks' own layer names have: "/" marks the names of LiteRT's converter.
        plain = ".".join(p for p in name.split("/") if p)
        found, number = plain, 1
        while found in self._names:
            number += 1
            found = f"{plain}#{number}"
        self._names.add(found)
        return found


def _named(name: str, tensor: int) -> Any:
    made = schema.TensorMapT()
    made.name, made.tensorIndex = name, tensor
    return made


def _code(code: int) -> Any:
    made = schema.OperatorCodeT()
    made.builtinCode, made.version = code, 1
    # Readers from before TensorFlow 2.4 look here; 127 sends them to the other field.
    made.deprecatedBuiltinCode = min(code, 127)
    return made
