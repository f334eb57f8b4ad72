"""The profile's table of attributes and its options."""

from __future__ import annotations

import pytest

from bedside.core.errors import BadInput
from bedside.deid.profile import basic, load, option_names


def test_the_table_and_its_options():
    table = basic()
    assert len(table) > 600
    assert table[0x00100010] == "Z"
    assert table[0x00081030] == "X"
    assert 0x00081090 not in table
    assert load().actions[0x00081090] == "X"
    assert load(("retain-device",)).actions[0x00081090] == "K"
    assert load(("modified-dates",)).actions[0x00080020] == "C"
    assert set(option_names()) == {"clean-pixels", "modified-dates", "retain-device"}
    for name in option_names():
        assert load((name,)).codes[1][0].startswith("1131")
    with pytest.raises(BadInput, match="Did you mean 'retain-device'"):
        load(("retain-devices",))
