"""Half precision (paper, Section 3.2.2): weights stored as 16-bit floats.

A processor without 16-bit arithmetic widens them again and computes in float32; which one
happened is recorded with every measurement.
"""

from __future__ import annotations

from typing import Any

from bedside.core.build import Scheme

SCHEME = Scheme(
    name="float16", weights="float16", activations="float32", needs_calibration=False,
    summary="weights stored as 16-bit floats, half the size",
)


def recipe(options: frozenset[str]) -> list[dict[str, Any]]:
    """Return a recipe: float16 weights, each with an explicit DEQUANTIZE before its user."""
    del options
    return [{
        "regex": ".*", "operation": "*", "algorithm_key": "float_casting",
        "op_config": {
            "weight_tensor_config": {"num_bits": 16, "symmetric": True,
                                     "granularity": "TENSORWISE", "dtype": "FLOAT"},
            "compute_precision": "FLOAT", "explicit_dequantize": True,
        },
    }]
