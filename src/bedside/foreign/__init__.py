"""Formats in which models trained elsewhere arrive, by file ending: a table of lazy names.

A reader offers ``to_tflite(path: Path) -> bytes``: a float ``.tflite`` (channels last) of the
file's graph, or ``BadInput`` with the fault and the remedy.
"""

from __future__ import annotations

FORMATS: dict[str, str] = {".onnx": "bedside.foreign.onnx_reader"}
