"""A file that was quantized elsewhere: no recipe makes it, it is judged as it came.

One thing is changed where it must be: a final SOFTMAX is cut off, so that its input, the
quantized logits, is the output. Every other byte of arithmetic stays.
"""

from __future__ import annotations

from typing import Any

import ai_edge_litert.schema_py_generated as schema

from bedside.core.build import Scheme
from bedside.core.errors import BadInput
from bedside.runtime.graph import Graph, Operation, parse_graph

SCHEME = Scheme(
    name="given", weights="as in the file", activations="as in the file",
    needs_calibration=False, summary="a file quantized elsewhere, judged as it is",
)
_HEADS = {"SOFTMAX": "probabilities", "LOGISTIC": "probabilities"}
_COPIES = ("DEQUANTIZE", "QUANTIZE", "RESHAPE")
_INTEGERS = ("int8", "uint8", "int16")
_IDENTIFIER = b"TFL3"


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
    import flatbuffers

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data))
    main = model.subgraphs[0]
    old, new = int(graph.outputs[0]), last.inputs[0]
    main.operators = main.operators[:last.index]
    main.outputs = [new]
    for signature in model.signatureDefs or ():
        for output in signature.outputs:
            output.tensorIndex = new if output.tensorIndex == old else output.tensorIndex
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output()), last.op


def _last(graph: Graph) -> Operation | None:
    """Return the operation that computes the only output, before what only converts numbers."""
    if len(graph.outputs) != 1:
        return None
    found = graph.producer(graph.outputs[0])
    while found is not None and found.op in _COPIES:
        found = graph.producer(found.inputs[0])
    return found
