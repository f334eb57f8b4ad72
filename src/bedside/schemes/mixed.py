"""INT8 with some layers left in higher precision.

``mixed`` leaves the first and the last layer in float32, a common rule of thumb.
``mixed+searched`` leaves those that ``bedside search`` found necessary for the study's budget.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bedside.core.build import Scheme
from bedside.core.errors import BadInput
from bedside.core.registry import did_you_mean
from bedside.runtime.graph import Graph
from bedside.schemes.layers import Layer, float_rules, layers
from bedside.schemes.options import (
    ESTIMATOR_OPTIONS,
    MODEL_OPTIONS,
    WEIGHT_OPTIONS,
    static_rules,
)
from bedside.schemes.quantizer import (
    INT8_ACTIVATIONS,
    INT8_WEIGHTS,
    INT16_ACTIVATIONS,
    KEEP_FLOAT_IO,
)

SEARCHED = "searched"
WIDE = "wide"

SCHEME = Scheme(
    name="mixed", weights="int8", activations="int8", needs_calibration=True,
    summary="int8, but the first and the last layer stay in float32",
    options={SEARCHED: "the layers that bedside search found stay in float32 instead",
             WIDE: "what is kept out of int8 runs with int16 activations instead of float32",
             **ESTIMATOR_OPTIONS, **WEIGHT_OPTIONS, **MODEL_OPTIONS},
    steps=1,
)

_WIDE_CONFIG: dict[str, Any] = {
    "activation_tensor_config": INT16_ACTIVATIONS, "weight_tensor_config": INT8_WEIGHTS,
    "compute_precision": "INTEGER", "explicit_dequantize": False}


def recipe(options: frozenset[str]) -> list[dict[str, Any]]:
    """Return the rules of int8; those of :func:`layer_rules` follow them."""
    return static_rules(options, INT8_ACTIVATIONS, INT8_WEIGHTS) + KEEP_FLOAT_IO


def layer_rules(graph: Graph, options: frozenset[str], float_layers: Sequence[str] | None
                ) -> list[dict[str, Any]]:
    """Return the rules for the layers that stay out of int8.

    Args:
        graph: the float model.
        options: of the scheme.
        float_layers: names of the layers to leave in float; None for the first and the last.

    Raises:
        BadInput: a name that no layer has.
    """
    every = layers(graph)
    config = _WIDE_CONFIG if WIDE in options else None
    return float_rules(_chosen(every, float_layers), config)


def layer_formats(graph: Graph, options: frozenset[str], float_layers: Sequence[str] | None
                  ) -> dict[int, tuple[str, str]]:
    """Return (weights, activations) of the layers of :func:`layer_rules`, by their position.

    Raises:
        BadInput: a name that no layer has.
    """
    every = layers(graph)
    formats = ("int8", "int16") if WIDE in options else ("float32", "float32")
    return {every.index(layer): formats for layer in _chosen(every, float_layers)}


def _chosen(every: tuple[Layer, ...], names: Sequence[str] | None) -> list[Layer]:
    if names is None:
        return list(dict.fromkeys([*every[:1], *every[-1:]]))
    by_name = {layer.name: layer for layer in every}
    for name in names:
        if name not in by_name:
            raise BadInput(f"the model has no layer {name!r}", where="mixture",
                           remedy=did_you_mean(name, by_name))
    return [by_name[n] for n in names]
