"""Values as Markdown."""

from __future__ import annotations

from bedside.card import markdown


def test_an_estimate_has_its_interval_and_an_undefined_one_its_reason() -> None:
    estimate = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 9, "reason": None}
    assert markdown.short(estimate) == "0.500 [0.400, 0.600], n = 9"
    assert markdown.short({"value": None, "reason": "no image"}) == "— (no image)"


def test_rows_of_the_same_keys_become_a_table() -> None:
    rows = {"v1": {"ms": 1.0, "mb": 2.0}, "v2": {"ms": 3.0}}
    assert markdown.grid(rows) == ["|  | ms | mb |", "| --- | --- | --- |", "| v1 | 1 | 2 |",
                                   "| v2 | 3 |  |"]
    assert markdown.grid({"v1": 1, "v2": 2}) is None


def test_text_stays_text() -> None:
    assert markdown.escape("<b> a|b\n# c") == "&lt;b&gt; a\\|b \\# c"
