"""A file that was quantized elsewhere: no recipe makes it, it is judged as it came.

Two things are changed where they must be: a final SOFTMAX is cut off, so that its input, the
quantized logits, is the output; and a GATHER puts the logits into the task's order of classes.
Every weight and every other operation stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ai_edge_litert.schema_py_generated as schema
import numpy as np

from bedside.core.build import Scheme
from bedside.core.errors import BadInput
from bedside.runtime.graph import Graph, Operation, parse_graph
from bedside.schemes.rewrite import aligned, packed, tables

SCHEME = Scheme(
    name="given", weights="as in the file", activations="as in the file",
    needs_calibration=False, summary="a file quantized elsewhere, judged as it is",
)
_HEADS = {"SOFTMAX": "probabilities", "LOGISTIC": "probabilities"}
_COPIES = ("DEQUANTIZE", "QUANTIZE", "RESHAPE")
_INTEGERS = ("int8", "uint8", "int16")


def recipe(options: frozenset[str]) -> list[dict[str, Any]]:
    """Refuse: the file comes from outside.

    Raises:
        BadInput: always.
    """
    del options
    raise BadInput("the scheme 'given' names a file that was quantized elsewhere",
                   where="--scheme", remedy="Give the file with --quantized-model FILE.tflite.")


def is_quantized(graph: Graph) -> bool:
    """Return whether a file computes with quantized numbers, or stores weights as float16."""
    return any((t.quantization is not None and t.dtype in _INTEGERS)
               or (t.dtype == "float16" and t.buffer) for t in graph.tensors)


def with_logits(data: bytes, where: str) -> tuple[bytes, str | None]:
    """Return the file with logits as its output, and the operation that was cut off.

    The same bytes, and None, where it ends in logits already.

    Raises:
        BadInput: it ends in a LOGISTIC: one probability, or one for each class by itself.
    """
    graph = parse_graph(data, where)
    last = _last(graph)
    if last is None or last.op not in _HEADS:
        return data, None
    if last.op != "SOFTMAX":
        raise BadInput(f"the model ends in {last.op}: it gives {_HEADS[last.op]}, and logits of "
                       "each class are needed", where=where,
                       remedy="Quantize it without its last activation.")
    model = tables(data)
    model.subgraphs[0].operators = model.subgraphs[0].operators[:last.index]
    _end_in(model, last.inputs[0])
    return packed(model), last.op


def reordered(data: bytes, order: Sequence[int]) -> bytes:
    """Return the file with its classes in another order, as quantized as they were.

    Args:
        data: a file with one output, (1, K) logits.
        order: class k of the result is class ``order[k]`` of the file.
    """
    model = tables(data)
    main = model.subgraphs[0]
    old = main.tensors[int(main.outputs[0])]
    made, places = schema.TensorT(), schema.TensorT()
    made.name, made.shape, made.type = "logits_in_order", [1, len(order)], old.type
    made.quantization, made.buffer, made.hasRank = old.quantization, 0, True
    model.buffers.append(aligned(np.asarray(order, np.int32)))
    places.name, places.shape = "order_of_classes", [len(order)]
    places.type, places.buffer = schema.TensorType.INT32, len(model.buffers) - 1
    places.hasRank = True
    main.tensors += [made, places]
    code, gather = schema.OperatorCodeT(), schema.OperatorT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.GATHER
    code.version = 2  # the first that takes int8
    model.operatorCodes.append(code)
    gather.opcodeIndex = len(model.operatorCodes) - 1
    gather.inputs = [int(main.outputs[0]), len(main.tensors) - 1]
    gather.outputs = [len(main.tensors) - 2]
    gather.builtinOptionsType = schema.BuiltinOptions.GatherOptions
    gather.builtinOptions = schema.GatherOptionsT()
    gather.builtinOptions.axis = 1
    main.operators.append(gather)
    _end_in(model, len(main.tensors) - 2)
    return packed(model)


def _end_in(model: Any, tensor: int) -> None:
    """Let a tensor be the only output, under the signature's name."""
    main = model.subgraphs[0]
    old, main.outputs = int(main.outputs[0]), [tensor]
    for signature in model.signatureDefs or ():
        for output in signature.outputs:
            output.tensorIndex = tensor if output.tensorIndex == old else output.tensorIndex


def _last(graph: Graph) -> Operation | None:
    """Return the operation that computes the only output, before what only converts numbers."""
    if len(graph.outputs) != 1:
        return None
    found = graph.producer(graph.outputs[0])
    while found is not None and found.op in _COPIES:
        found = graph.producer(found.inputs[0])
    return found
