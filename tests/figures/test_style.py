"""Colours, names and style that the figures share."""

from __future__ import annotations

from bedside.figures import style


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
