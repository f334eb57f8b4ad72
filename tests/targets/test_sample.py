"""The sample of a slow target: in proportion, the same every time, stratified to any length."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from bedside.core.types import Case
from bedside.targets.sample import stratified

_PARTS = ("val", "test")
_CLASSES = ("benign", "malignant", "normal")


def _cases(sizes):
    return [Case(f"c{p}{c}{i}", "", c, split=p) for (p, c), n in sizes.items() for i in range(n)]


@given(st.lists(st.integers(0, 60), min_size=6, max_size=6), st.integers(1, 200))
def test_shares_are_in_proportion_and_none_is_empty(sizes, count):
    strata = {(p, c): n for (p, c), n in zip(
        [(p, c) for p in _PARTS for c in _CLASSES], sizes, strict=True) if n}
    cases = _cases(strata)
    chosen = stratified(cases, count)
    assert len(chosen) == min(count, len(cases))
    assert len({c.id for c in chosen}) == len(chosen)
    found = Counter((c.split, c.label) for c in chosen)
    if count >= len(cases):
        assert sorted(c.id for c in chosen) == sorted(c.id for c in cases)
        return
    for key, n in strata.items():
        exact = count * n / len(cases)
        # An empty stratum takes its one place from the rounding of others.
        assert exact - 1 - len(strata) < found[key] < exact + 1.0001
        if count >= 2 * len(strata):
            assert found[key] >= 1 or n == 0


def test_the_choice_depends_on_ids_alone_and_any_beginning_is_stratified():
    cases = _cases({("test", "benign"): 60, ("test", "malignant"): 30, ("val", "benign"): 20,
                    ("val", "malignant"): 10})
    chosen = stratified(cases, 24)
    assert stratified(list(reversed(cases)), 24) == chosen
    assert Counter((c.split, c.label) for c in chosen) == {
        ("test", "benign"): 12, ("test", "malignant"): 6, ("val", "benign"): 4,
        ("val", "malignant"): 2}
    half = Counter((c.split, c.label) for c in chosen[:12])
    assert half == {("test", "benign"): 6, ("test", "malignant"): 3, ("val", "benign"): 2,
                    ("val", "malignant"): 1}
    assert stratified(cases, None) == cases
