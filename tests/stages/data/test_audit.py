"""Counts and notes of the audit."""

from __future__ import annotations

from bedside.core.types import Case
from bedside.stages.data import audit


def test_shared_counts_groups_and_patients_from_cases() -> None:
    cases = [Case("a", "a", "x", "P", "g1", "train"), Case("b", "b", "x", "P", "g1", "test"),
             Case("c", "c", "x", "P", "g2", "val"), Case("d", "d", "x", None, "g3", "train"),
             Case("e", "e", "x", None, "g3", "set_aside")]
    assert audit.shared(cases) == (1, 1)


def test_a_rare_class_is_named() -> None:
    assert audit.balance_notes({"a": 500, "b": 500}) == []
    note, = audit.balance_notes({"a": 950, "b": 50})
    assert "'b' has 50 of 1000" in note
