"""Options that several schemes share, as ``int8+percentile`` or ``int8+equalized``."""

from __future__ import annotations

from typing import Any

from bedside.estimators import SUMMARIES

# The estimator that sets the ranges; without one, the study's own.
ESTIMATOR_OPTIONS: dict[str, str] = dict(SUMMARIES)

# Algorithm for the weights' scales: name to (the quantizer's name for it, summary).
_WEIGHT_ALGORITHMS: dict[str, tuple[str, str]] = {
    "weights_mse": ("MSE", "weight scales with the smallest mean squared error"),
    "weights_octav": ("OCTAV", "weight scales by OCTAV (optimal clipping, Sakr et al. 2022)"),
}
WEIGHT_OPTIONS: dict[str, str] = {k: v for k, (_, v) in _WEIGHT_ALGORITHMS.items()}

# Changes to the float model before quantization; each makes a derived model (stages/transform).
MODEL_OPTIONS: dict[str, str] = {
    "equalized": "weights of neighbouring layers are equalized first (Nagel et al. 2019)",
    "biascorrected": "biases make up for the mean error of each channel (Nagel et al. 2019)",
    "qat": "weights are fine-tuned with INT8's rounding in the loop (Jacob et al. 2018)",
}

MIN_MAX = "min_max_uniform_quantize"
EXCLUSIVE: tuple[tuple[str, ...], ...] = (tuple(ESTIMATOR_OPTIONS), tuple(WEIGHT_OPTIONS),
                                         # Training sets the biases, for weights scaled by their
                                         # largest.
                                         ("qat", "biascorrected"),
                                         *(("qat", o) for o in WEIGHT_OPTIONS))


def algorithm(options: frozenset[str]) -> str:
    """Return the quantizer's algorithm for the weights."""
    return next((_WEIGHT_ALGORITHMS[o][0] for o in sorted(options)
                 if o in _WEIGHT_ALGORITHMS), MIN_MAX)


def estimator(options: tuple[str, ...] | frozenset[str]) -> str | None:
    """Return the estimator that the options ask for."""
    return next((o for o in options if o in ESTIMATOR_OPTIONS), None)


def static_rules(options: frozenset[str], activations: dict[str, Any], weights: dict[str, Any]
                 ) -> list[dict[str, Any]]:
    """Return rules for integer arithmetic throughout, activations in calibrated ranges.

    The weight algorithms of the quantizer know operations with weights only; all others keep
    the plain one.
    """
    def rule(operation: str, key: str) -> dict[str, Any]:
        return {"regex": ".*", "operation": operation, "algorithm_key": key,
                "op_config": {"activation_tensor_config": activations,
                              "weight_tensor_config": weights,
                              "compute_precision": "INTEGER", "explicit_dequantize": False}}

    rules = [rule("*", MIN_MAX)]
    if algorithm(options) != MIN_MAX:
        rules += [rule(o, algorithm(options))
                  for o in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")]
    return rules
