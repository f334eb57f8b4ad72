"""Operator codes of files from before TensorFlow 2.4, written where the quantizer reads them.

Such files hold the code of an operation in the schema's deprecated field alone. Runtimes take the
larger of the two fields (schema.fbs, ``OperatorCode``); the quantizer reads the new one, takes
every operation for an ADD, and returns the model unchanged.
"""

from __future__ import annotations

import ai_edge_litert.schema_py_generated as schema

from bedside.schemes.rewrite import packed, tables


def current_codes(model: bytes) -> bytes:
    """Return a ``.tflite`` with every code in the current field; the same bytes where it was."""
    root = schema.Model.GetRootAs(model)
    codes = (root.OperatorCodes(i) for i in range(root.OperatorCodesLength()))
    if all(c.BuiltinCode() >= c.DeprecatedBuiltinCode() for c in codes):
        return model
    model_tables = tables(model)
    for code in model_tables.operatorCodes:
        code.builtinCode = max(code.builtinCode, code.deprecatedBuiltinCode)
    return packed(model_tables)
