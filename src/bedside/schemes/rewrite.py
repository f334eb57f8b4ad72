"""Rewriting of a ``.tflite``: its tables as objects, and back to a file."""

from __future__ import annotations

from typing import Any

import ai_edge_litert.schema_py_generated as schema
import numpy as np
import numpy.typing as npt

_IDENTIFIER = b"TFL3"
_ALIGNMENT = 16  # schema.fbs, Buffer.data: force_align


class AlignedBuffer(schema.BufferT):  # type: ignore[misc]
    """A buffer whose bytes are aligned as the schema asks, which the generated code does not do."""

    def Pack(self, builder: Any) -> Any:  # noqa: N802 (the generated code's name)
        """Write the buffer into a flatbuffer under construction."""
        if self.data is None or not len(self.data):
            return super().Pack(builder)
        raw = bytes(np.asarray(self.data, np.uint8))
        builder.StartVector(1, len(raw), _ALIGNMENT)
        builder.head = builder.Head() - len(raw)
        builder.Bytes[builder.Head():builder.Head() + len(raw)] = raw
        builder.vectorNumElems = len(raw)
        data = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, data)
        return schema.BufferEnd(builder)


def aligned(values: npt.NDArray[Any]) -> AlignedBuffer:
    """Return a buffer of an array's bytes."""
    buffer = AlignedBuffer()
    buffer.data = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    return buffer


def tables(data: bytes) -> Any:
    """Return a file's tables (``schema.ModelT``), weights that lie behind them included."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data))
    for number, buffer in enumerate(model.buffers):
        if buffer.offset and buffer.offset > 1:
            model.buffers[number] = aligned(np.frombuffer(
                data, np.uint8, int(buffer.size), int(buffer.offset)))
        elif buffer.data is not None and len(buffer.data):
            model.buffers[number] = aligned(np.asarray(buffer.data, np.uint8))
    return model


def packed(model: Any) -> bytes:
    """Return the file of some tables."""
    import flatbuffers

    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())
