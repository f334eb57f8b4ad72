"""Wide activations: int8 weights, int16 activations.

For accelerators; LiteRT's CPU runs it on reference kernels, many times slower than float32.
"""

from __future__ import annotations

from typing import Any

from bedside.core.build import Scheme
from bedside.schemes.options import (
    ESTIMATOR_OPTIONS,
    MODEL_OPTIONS,
    WEIGHT_OPTIONS,
    static_rules,
)
from bedside.schemes.quantizer import INT8_WEIGHTS, INT16_ACTIVATIONS, KEEP_FLOAT_IO

SCHEME = Scheme(
    name="int16x8", weights="int8", activations="int16", needs_calibration=True,
    summary="weights int8 per channel, activations int16; for NPUs, slow on a CPU",
    options={"io16": "input and outputs int16 too, instead of float32",
             **ESTIMATOR_OPTIONS, **WEIGHT_OPTIONS, **MODEL_OPTIONS},
    steps=1, io={"io16": "int16"},
)


def recipe(options: frozenset[str]) -> list[dict[str, Any]]:
    """Return a recipe: symmetric weights and activations; float32 in and out by default."""
    rules = static_rules(options, INT16_ACTIVATIONS, INT8_WEIGHTS)
    return rules if "io16" in options else rules + KEEP_FLOAT_IO
