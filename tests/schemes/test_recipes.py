"""Recipes of the schemes as plain data: which formats each option asks of the quantizer."""

from __future__ import annotations

from bedside.schemes import (
    dynamic,
    float16,
    float32,
    int8,
    int16x8,
    mixed,
    options,
    weight_int8,
)

PLAIN = frozenset()


def _bits(rule, part):
    return rule["op_config"][f"{part}_tensor_config"]["num_bits"]


def test_float32_leaves_the_model_as_it_is():
    assert float32.recipe(PLAIN) == []


def test_weights_alone_are_stored_small_and_expanded():
    [half], [byte] = float16.recipe(PLAIN), weight_int8.recipe(PLAIN)
    assert half["op_config"]["explicit_dequantize"] and _bits(half, "weight") == 16
    assert byte["op_config"]["explicit_dequantize"] and _bits(byte, "weight") == 8
    assert "activation_tensor_config" not in byte["op_config"]


def test_dynamic_range_computes_in_integers_without_calibrated_activations():
    rules = dynamic.recipe(PLAIN)
    assert {r["op_config"]["compute_precision"] for r in rules if r["op_config"]} == {"INTEGER"}
    assert not any("activation_tensor_config" in r["op_config"] for r in rules)


def test_static_schemes_differ_in_the_bits_of_activations_and_of_inputs():
    for scheme, bits, io in ((int8, 8, "io8"), (int16x8, 16, "io16")):
        rules = scheme.recipe(PLAIN)
        assert (_bits(rules[0], "activation"), _bits(rules[0], "weight")) == (bits, 8)
        kept = [r["operation"] for r in rules if r["algorithm_key"] == "no_quantize"]
        assert kept == ["INPUT", "OUTPUT"]
        assert not any(r["algorithm_key"] == "no_quantize"
                       for r in scheme.recipe(frozenset({io})))
    assert mixed.recipe(PLAIN) == int8.recipe(PLAIN)


def test_an_option_names_its_estimator_or_weight_algorithm():
    assert options.estimator(("io8", "percentile")) == "percentile"
    assert options.estimator(("io8",)) is None
    assert options.algorithm(frozenset({"weights_mse"})) == "MSE"
    assert options.algorithm(PLAIN) == options.MIN_MAX
