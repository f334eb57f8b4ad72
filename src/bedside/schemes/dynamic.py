"""Dynamic range (paper, Section 3.2.4): int8 weights, activations quantized at run time."""

from __future__ import annotations

from typing import Any

from bedside.core.build import Scheme
from bedside.schemes.quantizer import INT8_WEIGHTS

SCHEME = Scheme(
    name="dynamic", weights="int8", activations="float32", needs_calibration=False,
    summary="weights int8 per channel, activations quantized on the fly at each inference",
)


def recipe(options: frozenset[str]) -> list[dict[str, Any]]:
    """Return a recipe: symmetric per-channel int8 weights, integer arithmetic, float between."""
    del options
    return [{
        "regex": ".*", "operation": "*", "algorithm_key": "min_max_uniform_quantize",
        "op_config": {"weight_tensor_config": INT8_WEIGHTS, "compute_precision": "INTEGER",
                      "explicit_dequantize": False},
    }]
