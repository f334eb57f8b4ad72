"""Weights stored as int8 and expanded before use: float arithmetic at a quarter of the size."""

from __future__ import annotations

from typing import Any

from bedside.core.build import Scheme
from bedside.schemes.options import WEIGHT_OPTIONS, algorithm
from bedside.schemes.quantizer import INT8_WEIGHTS

SCHEME = Scheme(
    name="weight_int8", weights="int8", activations="float32", needs_calibration=False,
    summary="weights stored as int8 per channel and expanded before use; float arithmetic",
    options=dict(WEIGHT_OPTIONS),
)


def recipe(options: frozenset[str]) -> list[dict[str, Any]]:
    """Return a recipe: symmetric per-channel int8 weights, a DEQUANTIZE before each user."""
    return [{
        "regex": ".*", "operation": "*", "algorithm_key": algorithm(options),
        "op_config": {"weight_tensor_config": INT8_WEIGHTS, "compute_precision": "FLOAT",
                      "explicit_dequantize": True},
    }]
