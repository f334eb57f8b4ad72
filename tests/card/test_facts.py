"""Paths into documents."""

from __future__ import annotations

from bedside.card.facts import empty, walk


def test_a_path_leads_to_its_value_or_to_nothing() -> None:
    document = {"a": {"b.c": {"d": 0}}, "e": [1]}
    assert walk(document, "a.b|c.d") == 0
    assert walk(document, "a.x.y") is None and walk(document, "e.f") is None
    assert walk(document, "") == document


def test_zero_and_false_are_values() -> None:
    assert not empty(0) and not empty(False)
    assert empty(None) and empty({}) and empty("")
