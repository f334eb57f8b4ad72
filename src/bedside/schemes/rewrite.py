"""Rewriting of a ``.tflite``: its tables as objects, and back to a file."""

from __future__ import annotations

from typing import Any

import ai_edge_litert.schema_py_generated as schema
import numpy as np

_IDENTIFIER = b"TFL3"


def tables(data: bytes) -> Any:
    """Return a file's tables (``schema.ModelT``), weights that lie behind them included."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data))
    for buffer in model.buffers:
        if buffer.offset and buffer.offset > 1:
            buffer.data = np.frombuffer(data, np.uint8, int(buffer.size), int(buffer.offset))
            buffer.offset = buffer.size = 0
    return model


def packed(model: Any) -> bytes:
    """Return the file of some tables."""
    import flatbuffers

    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())
