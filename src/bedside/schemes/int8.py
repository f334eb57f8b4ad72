"""Full integer (paper, Section 3.2.3): int8 weights and activations, calibrated ranges."""

from __future__ import annotations

from typing import Any

from bedside.core.build import Scheme
from bedside.schemes.options import (
    ESTIMATOR_OPTIONS,
    MODEL_OPTIONS,
    WEIGHT_OPTIONS,
    static_rules,
)
from bedside.schemes.quantizer import INT8_ACTIVATIONS, INT8_WEIGHTS, KEEP_FLOAT_IO

SCHEME = Scheme(
    name="int8", weights="int8", activations="int8", needs_calibration=True,
    summary="weights int8 per channel, activations int8 in ranges calibrated on training images",
    options={"io8": "input and outputs int8 too, instead of float32",
             **ESTIMATOR_OPTIONS, **WEIGHT_OPTIONS, **MODEL_OPTIONS},
    io={"io8": "int8"},
)


def recipe(options: frozenset[str]) -> list[dict[str, Any]]:
    """Return the rules: weights symmetric per channel, activations asymmetric."""
    rules = static_rules(options, INT8_ACTIVATIONS, INT8_WEIGHTS)
    return rules if "io8" in options else rules + KEEP_FLOAT_IO
