"""Reader of ``.tflite`` files, for the table of formats."""

from __future__ import annotations

from pathlib import Path

from bedside.core.errors import BadInput


def to_tflite(path: Path) -> bytes:
    """Return the file's bytes; packed metadata (an appended zip) stays at their end.

    Raises:
        BadInput: the file cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot be read ({error.strerror})", where=path,
                       remedy="Check the file and its permissions.") from None
