"""Schemes and their options, parsed into values."""

from __future__ import annotations

import math

import pytest

from bedside import schemes
from bedside.core.errors import BadInput


@pytest.mark.parametrize("other", ["biascorrected", "weights_mse", "weights_octav"])
def test_options_that_do_not_go_together_are_refused(other):
    with pytest.raises(BadInput, match="exclude each other"):
        schemes.parse(f"int8+qat+{other}")


def test_simplicity_is_known_of_every_scheme():
    steps = {s: schemes.parse(s).steps for s in schemes.SCHEMES}
    assert steps["float16"] == steps["int8"] == steps["float32"] == 0
    assert steps["int8"] < steps["mixed"] < schemes.parse("mixed+searched").steps
    assert all(isinstance(v, int) and not math.isnan(v) for v in steps.values())


@pytest.mark.parametrize(("name", "near"), [("int9", "int8"), ("float_16", "float16"),
                                            ("int8+io9", "io8")])
def test_unknown_names_get_the_near_one(name, near):
    with pytest.raises(BadInput, match=f"Did you mean '{near}'"):
        schemes.parse(name)
