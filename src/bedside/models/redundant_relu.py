"""Removal of redundant ReLUs: those whose input is never negative.

GoogLeNet's pool branches hold a ReLU of values that are never negative, for the converter's sake
(:mod:`bedside.models.googlenet`). In float32 it costs nothing; in int8 it is a separate
operation that XNNPACK does not support, which splits the delegate at every branch.
"""

from __future__ import annotations

from typing import Any

import ai_edge_litert.schema_py_generated as schema

_OPS = schema.BuiltinOperator
_FUSED = (schema.ActivationFunctionType.RELU, schema.ActivationFunctionType.RELU6)
# Outputs are among, or between, the first input's values and zero.
_KEEPS_SIGN = (_OPS.MAX_POOL_2D, _OPS.AVERAGE_POOL_2D, _OPS.PAD, _OPS.RESHAPE, _OPS.TRANSPOSE)
_IDENTIFIER = b"TFL3"


def remove_redundant_relus(model: bytes) -> bytes:
    """Return the same ``.tflite`` without ReLUs whose input is never negative.

    Args:
        model: a float ``.tflite`` with one subgraph, as litert-torch writes it.

    Returns:
        The model; the same bytes where no ReLU is idle.
    """
    import flatbuffers

    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model))
    graph = tree.subgraphs[0]
    made_by: dict[int, Any] = {}
    replaced: dict[int, int] = {}
    kept = []
    outputs = {int(t) for t in graph.outputs}
    for operation in graph.operators:
        operation.inputs = [replaced.get(int(t), int(t)) for t in operation.inputs]
        output = int(operation.outputs[0])
        if (_code(tree, operation) == _OPS.RELU and output not in outputs
                and _never_negative(tree, operation.inputs[0], made_by)):
            replaced[output] = operation.inputs[0]
            continue
        made_by.update((int(t), operation) for t in operation.outputs)
        kept.append(operation)
    if not replaced:
        return model
    graph.operators = kept
    builder = flatbuffers.Builder(len(model))
    builder.Finish(tree.Pack(builder), file_identifier=_IDENTIFIER)
    return bytes(builder.Output())


def _code(tree: Any, operation: Any) -> int:
    code = tree.operatorCodes[operation.opcodeIndex]
    # Files of the first schema hold the code in a byte; later ones in both.
    return max(int(code.builtinCode), int(code.deprecatedBuiltinCode))


def _never_negative(tree: Any, tensor: int, made_by: dict[int, Any]) -> bool:
    operation = made_by.get(int(tensor))
    if operation is None:
        return False
    code = _code(tree, operation)
    if code in (_OPS.RELU, _OPS.RELU6):
        return True
    if getattr(operation.builtinOptions, "fusedActivationFunction", None) in _FUSED:
        return True
    if code == _OPS.CONCATENATION:
        return all(_never_negative(tree, t, made_by) for t in operation.inputs)
    return code in _KEEPS_SIGN and _never_negative(tree, operation.inputs[0], made_by)
