"""What a file says of itself: packed labels, TensorFlow Lite's model metadata, files beside it.

Packed metadata is a zip appended to the model. ``TFLITE_METADATA`` is a buffer in the model, a
FlatBuffer of its own (identifier ``M001``); the slots below follow TensorFlow's
``metadata_schema.fbs``. It is patched in place, so that everything else in it stays.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.foreign.tree import Net

_METADATA = "TFLITE_METADATA"
_IDENTIFIER = b"M001"
# Slots of ModelMetadata, SubGraphMetadata, TensorMetadata, Content, ProcessUnit.
_SUBGRAPHS, _INPUTS, _OUTPUTS, _CONTENT, _UNITS, _FILES = 3, 2, 3, 3, 4, 6
_IMAGE_PROPERTIES, _NORMALIZATION, _AXIS_LABELS = 2, 1, 2
_COLOURS = {1: "rgb", 2: "grey"}
MAX_LABEL_BYTES = 1_000_000
MAX_PACKED_BYTES = 50_000_000
_DAMAGED = (struct.error, IndexError, TypeError, ValueError, UnicodeDecodeError)
# What zipfile raises on damaged, encrypted and exotic archives.
_BAD_ZIP = (*_DAMAGED, zipfile.BadZipFile, RuntimeError, NotImplementedError, OverflowError,
            EOFError, OSError, zlib.error)


@dataclass(frozen=True, slots=True)
class Found:
    """What was found, and where; None or empty: nothing.

    ``mean`` and ``std`` are those of TensorFlow Lite's NormalizationOptions, which apply to pixel
    values in [0, 255].
    """

    labels: tuple[str, ...] = ()
    labels_from: str = ""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    colour: str | None = None
    description: str = ""
    packed: tuple[str, ...] = ()


def find(path: Path, data: bytes, net: Net, output: int = 0) -> Found:
    """Return what a model's file, and a ``labels.txt`` beside it, say of its meaning.

    Args:
        path: the file as it came.
        data: its bytes as a ``.tflite``.
        net: the same, with the chosen subgraph selected.
        output: the number of the chosen output in that subgraph.

    Raises:
        BadInput: packed metadata that does not read.
    """
    archive = _archive(data, path)
    names = tuple(archive.namelist()) if archive else ()
    try:
        described = _described(net, output)
    except _DAMAGED as error:
        raise BadInput(f"its {_METADATA} does not read ({type(error).__name__})", where=path,
                       remedy="Export the model again.") from None
    labels, source = _labels(path, archive, names, described.get("labels", ""))
    return Found(labels, source, described.get("mean", ()), described.get("std", ()),
                 described.get("colour"), described.get("description", ""), names)


def appended(data: bytes) -> bytes:
    """Return the zip that is appended to a model, empty where there is none."""
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return b""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        # Offsets as the zip gives them, corrected for what stands before it.
        return data[min(e.header_offset for e in entries):] if entries else b""


def append(model: bytes, archive: bytes, where: str) -> bytes:
    """Return a model with its packed files behind it again, at offsets that fit.

    Raises:
        BadInput: a packed file that does not read; ``where`` names the model.
    """
    if not archive:
        return model
    try:
        return _append(model, archive)
    except _BAD_ZIP as error:
        raise BadInput(f"its packed files do not read ({error})", where=where,
                       remedy="Export the model again.") from None


def _append(model: bytes, archive: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(archive)) as old:
        if sum(e.file_size for e in old.infolist()) > MAX_PACKED_BYTES:
            raise ValueError(f"more than {MAX_PACKED_BYTES // 1_000_000} MB unpacked")
    out = io.BytesIO(model)
    out.seek(0, io.SEEK_END)
    with (zipfile.ZipFile(io.BytesIO(archive)) as old,
          zipfile.ZipFile(out, "a", zipfile.ZIP_STORED) as new):
        for entry in old.infolist():
            new.writestr(zipfile.ZipInfo(entry.filename, entry.date_time), old.read(entry))
    return out.getvalue()


# ------------------------------------------------------------------ labels


def _archive(data: bytes, path: Path) -> zipfile.ZipFile | None:
    try:
        return zipfile.ZipFile(io.BytesIO(data)) if zipfile.is_zipfile(io.BytesIO(data)) else None
    except _BAD_ZIP as error:
        raise BadInput(f"its packed metadata does not read ({error})", where=path,
                       remedy="Export the model again.") from None


def _labels(path: Path, archive: zipfile.ZipFile | None, names: tuple[str, ...], named: str
            ) -> tuple[tuple[str, ...], str]:
    texts = [n for n in names if n.lower().endswith(".txt")]
    likely = [n for n in texts if "label" in n.lower()]
    chosen = named if named in names else (likely or texts or [""])[0]
    if archive is not None and chosen and len(likely or texts or [named]) == 1:
        try:
            if archive.getinfo(chosen).file_size > MAX_LABEL_BYTES:
                raise ValueError("too long")
            return parse_labels(archive.read(chosen)), f"{chosen} packed in the model"
        except _BAD_ZIP as error:
            raise BadInput(f"its packed {chosen} does not read ({error})", where=path,
                           remedy="Export the model again, or give --model-classes.") from None
    for beside in (path.with_name("labels.txt"), path.with_suffix(".labels.txt")):
        if beside.is_file():
            return parse_labels(codec.read_text(beside).encode()), f"{beside.name} beside the model"
    return (), ""


def parse_labels(text: bytes) -> tuple[str, ...]:
    """Return the names in a labels file, one a line; the numbers in front of all lines go.

    Teachable Machine writes ``0 benign``, ``1 malignant``.
    """
    lines = [line.strip() for line in text.decode("utf-8-sig").splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    if lines and all(line.startswith(f"{i} ") for i, line in enumerate(lines)):
        lines = [line.split(" ", 1)[1].strip() for line in lines]
    return tuple(lines)


# ------------------------------------------------------------------ the model's own metadata


def _described(net: Net, output: int) -> dict[str, Any]:
    root = _root(net)
    if root is None:
        return {}
    found: dict[str, Any] = {"description": _string(root, 1) or _string(root, 0) or ""}
    graphs = _tables(root, _SUBGRAPHS)
    if not graphs:
        return found
    for tensor in _tables(graphs[0], _INPUTS)[:1]:
        content = _table(tensor, _CONTENT)
        if content is not None and _byte(content, 0) == _IMAGE_PROPERTIES:
            properties = _table(content, 1)
            if properties is not None:
                found["colour"] = _COLOURS.get(_byte(properties, 0))
        for options in _normalisations(tensor):
            found["mean"], found["std"] = _floats(options, 0), _floats(options, 1)
    outputs = _tables(graphs[0], _OUTPUTS)
    for file in _tables(outputs[output], _FILES) if output < len(outputs) else []:
        if _byte(file, 2) == _AXIS_LABELS:
            found["labels"] = _string(file, 0) or ""
    return found


def clear_normalisation(net: Net) -> bool:
    """Let the model's metadata say mean 0 and standard deviation 1; False where it says nothing.

    The normalised model takes values in [0, 1]: its old metadata would let others scale twice.
    """
    root = _root(net)
    graphs = [] if root is None else _tables(root, _SUBGRAPHS)
    done = False
    for tensor in _tables(graphs[0], _INPUTS)[:1] if graphs else []:
        for options in _normalisations(tensor):
            for slot, value in ((0, 0.0), (1, 1.0)):
                offset = options.Offset(4 + 2 * slot)
                for i in range(options.VectorLen(offset) if offset else 0):
                    struct.pack_into("<f", options.Bytes, options.Vector(offset) + 4 * i, value)
                    done = True
    if done:
        _buffer(net).data = np.frombuffer(bytes(root.Bytes), np.uint8)  # type: ignore[union-attr]
    return done


def _buffer(net: Net) -> Any | None:
    for item in net.model.metadata or []:
        name = item.name.decode("utf-8", "replace") if isinstance(item.name, bytes) else item.name
        if name == _METADATA and 0 <= item.buffer < len(net.model.buffers):
            return net.model.buffers[item.buffer]
    return None


def _root(net: Net) -> Any | None:
    import flatbuffers

    buffer = _buffer(net)
    if buffer is None or buffer.data is None or len(buffer.data) < 8:
        return None
    data = bytearray(np.asarray(buffer.data, np.uint8).tobytes())
    if data[4:8] != _IDENTIFIER:
        return None
    return flatbuffers.table.Table(data, struct.unpack_from("<I", data)[0])


def _normalisations(tensor: Any) -> list[Any]:
    units = (u for u in _tables(tensor, _UNITS) if _byte(u, 0) == _NORMALIZATION)
    return [options for options in (_table(u, 1) for u in units) if options is not None]


def _table(table: Any, slot: int) -> Any | None:
    import flatbuffers

    offset = table.Offset(4 + 2 * slot)
    if not offset:
        return None
    return flatbuffers.table.Table(table.Bytes, table.Indirect(table.Pos + offset))


def _tables(table: Any, slot: int) -> list[Any]:
    import flatbuffers

    offset = table.Offset(4 + 2 * slot)
    if not offset:
        return []
    start = table.Vector(offset)
    return [flatbuffers.table.Table(table.Bytes, table.Indirect(start + 4 * i))
            for i in range(table.VectorLen(offset))]


def _floats(table: Any, slot: int) -> tuple[float, ...]:
    offset = table.Offset(4 + 2 * slot)
    if not offset:
        return ()
    return struct.unpack_from(f"<{table.VectorLen(offset)}f", table.Bytes, table.Vector(offset))


def _byte(table: Any, slot: int) -> int:
    offset = table.Offset(4 + 2 * slot)
    return int(table.Bytes[table.Pos + offset]) if offset else 0


def _string(table: Any, slot: int) -> str | None:
    offset = table.Offset(4 + 2 * slot)
    if not offset:
        return None
    return bytes(table.String(table.Pos + offset)).decode("utf-8")
