"""The LiteRT quantizer: a recipe as plain data in, a ``.tflite`` out (its only import)."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bedside.core.errors import Unquantizable
from bedside.runtime.graph import parse_graph
from bedside.runtime.litert import quiet_stderr
from bedside.schemes.biases import hold_biases
from bedside.schemes.operator_codes import current_codes

INT8_WEIGHTS: dict[str, Any] = {"num_bits": 8, "symmetric": True, "granularity": "CHANNELWISE",
                                "dtype": "INT"}
INT8_ACTIVATIONS: dict[str, Any] = {"num_bits": 8, "symmetric": False,
                                    "granularity": "TENSORWISE", "dtype": "INT"}
INT16_ACTIVATIONS: dict[str, Any] = {"num_bits": 16, "symmetric": True,
                                     "granularity": "TENSORWISE", "dtype": "INT"}
KEEP_FLOAT_IO: list[dict[str, Any]] = [
    {"regex": ".*", "operation": name, "algorithm_key": "no_quantize", "op_config": {}}
    for name in ("INPUT", "OUTPUT")
]

Ranges = Mapping[str, tuple[float, float]]


def apply(float_model: bytes, recipe: list[dict[str, Any]], ranges: Ranges | None,
          where: str | Path = "model") -> bytes:
    """Quantize a float ``.tflite``.

    Args:
        float_model: its bytes.
        recipe: the quantizer's recipe.
        ranges: real (minimum, maximum) of every activation tensor by name, for recipes that
            quantize activations; None otherwise.
        where: what to call the model in a message.

    Returns:
        The quantized model.

    Raises:
        Unquantizable: the quantizer refuses the model.
    """
    float_model = current_codes(float_model)
    statistics = None
    if ranges is not None:
        # The quantizer broadcasts ranges against the tensors.
        ones = {t.name: (1,) * max(1, len(t.shape)) for t in parse_graph(float_model).tensors}
        statistics = {
            name: {"min": np.full(ones.get(name, (1,)), low, np.float32),
                   "max": np.full(ones.get(name, (1,)), high, np.float32)}
            for name, (low, high) in ranges.items()
        }
    with (warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()),
          contextlib.redirect_stderr(io.StringIO()), quiet_stderr()):
        warnings.simplefilter("ignore")
        from litert_quantizer import quantizer

        logging.getLogger("absl").setLevel(logging.ERROR)
        try:
            engine = quantizer.Quantizer(bytearray(float_model), recipe)
            model = engine.quantize(statistics).quantized_model
        except Exception as error:  # its checks raise types without a common base
            first = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
            raise Unquantizable(f"the quantizer refuses the model ({first})", where=where,
                                remedy="Leave this scheme out or change the network.") from error
    if model is None:
        raise Unquantizable("the quantizer returned no model", where=where,
                            remedy="Leave this scheme out.")
    return bytes(model)


def apply_int8(float_model: bytes, recipe: list[dict[str, Any]], ranges: Ranges) -> bytes:
    """Quantize as :func:`apply`, after biases that int32 would cut were held."""
    held, _ = hold_biases(float_model, ranges)
    return apply(held, recipe, ranges)
