"""Models trained elsewhere: what a file is, and the same classifier in the project's own form.

``FORMATS`` lists what a model may come as: a file's suffix, and the module that turns it into the
bytes of a float ``.tflite`` (``to_tflite(path: Path) -> bytes``).
"""

from __future__ import annotations

from pathlib import Path

from bedside.core.errors import BadInput, MissingComponent
from bedside.core.registry import resolve

FORMATS: dict[str, str] = {
    ".tflite": "bedside.foreign.tflite_reader",
    ".onnx": "bedside.foreign.onnx_reader",
}


def is_model(path: Path) -> bool:
    """Return whether a path names a model file, by its suffix."""
    return path.suffix.lower() in FORMATS


def read(path: Path) -> bytes:
    """Return a model file of any format as the bytes of a ``.tflite``.

    Raises:
        BadInput: no such file, an unknown format, or a file that its reader refuses.
        MissingComponent: the reader of this format is not installed.
    """
    if not path.is_file():
        raise BadInput("no such file", where=path, remedy="Check the path.")
    if not is_model(path):
        raise BadInput(f"{path.suffix or 'no suffix'} is not a format of models", where=path,
                       remedy=f"Give one of {', '.join(FORMATS)}.")
    name = FORMATS[path.suffix.lower()]
    try:
        reader = resolve(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise MissingComponent(f"this version reads no {path.suffix} files", where=path,
                               remedy="Convert the model to .tflite.") from None
    data: bytes = reader.to_tflite(path)
    return data
