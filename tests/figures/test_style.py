"""Colours, names and style that the figures share."""

from __future__ import annotations

import pytest

from bedside.figures import style


@pytest.mark.parametrize(("value", "text"), [
    (0.12345, "0.123"), (-0.5, "−0.5"), (None, "–"), (1.5e-7, "1.5·10⁻⁷"), (123456.0, "1.23·10⁵"),
    (0.0, "0")])
def test_numbers_are_typographic(value: float | None, text: str) -> None:
    assert style.number(value) == text


def test_options_share_their_schemes_colour_and_schemes_differ() -> None:
    assert style.scheme_colour("int8+percentile") == style.scheme_colour("int8")
    colours = {style.scheme_colour(s) for s in ("float32", "float16", "dynamic", "int8")}
    assert len(colours) == 4
    assert style.scheme_name("int8+io8") == "full integer (INT8)+io8"


def test_a_users_matplotlibrc_changes_nothing() -> None:
    import matplotlib as mpl

    before = mpl.rcParams["font.size"]
    with mpl.rc_context({"font.size": 30.0}):
        with style.quiet():
            assert mpl.rcParams["font.size"] == 8.5
        assert mpl.rcParams["font.size"] == 30.0
    assert mpl.rcParams["font.size"] == before
