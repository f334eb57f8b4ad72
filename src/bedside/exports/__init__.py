"""Formats in which a variant leaves for other programs: one file each, listed by lazy name.

A format's module offers ``SUMMARY``, one line for ``bedside export --help``, and
``write(variant, file, folder, images) -> Exported``: files of the variant's ``.tflite`` in
``folder``, compared with it on ``images`` (each (1, H, W, C) float32). It raises ``Unsupported``
where the format cannot say what the variant is, and ``GateFailed`` where the answers differ.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

FORMATS: dict[str, str] = {"onnx": "bedside.exports.onnx_model"}


@dataclass(frozen=True, slots=True)
class Exported:
    """What a format wrote. ``largest_difference``: of a logit, on the images that were compared.

    ``facts`` are the format's own, for the contract.
    """

    main: str
    runtime: str
    largest_difference: float
    facts: dict[str, Any] = field(default_factory=dict)
