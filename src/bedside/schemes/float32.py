"""The unquantized model: 32-bit floating point."""

from __future__ import annotations

from typing import Any

from bedside.core.build import Scheme

SCHEME = Scheme(
    name="float32", weights="float32", activations="float32", needs_calibration=False,
    summary="the converted model as it is",
)


def recipe(options: frozenset[str]) -> list[dict[str, Any]]:
    """Return no rules: nothing is quantized."""
    del options
    return []
