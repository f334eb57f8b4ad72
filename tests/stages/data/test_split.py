"""Splits: groups whole, classes in proportion, the same for the same seed."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedside.core.errors import BadInput
from bedside.core.types import Case
from bedside.stages.data.split import PARTS, assign, folds, regroup, separated_groups, split

PAPER = (1000, 200, 200)
IMAGES = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 30)), min_size=4, max_size=120)


def _columns(images: list[tuple[str, int]]) -> tuple[list[str], list[str]]:
    return [label for label, _ in images], [f"g{g}" for _, g in images]


def test_the_papers_proportions() -> None:
    labels = ["benign"] * 700 + ["malignant"] * 700
    parts, notes = split(labels, [str(i) for i in range(1400)], [None] * 1400, PAPER, 0)
    assert Counter(parts) == {"train": 1000, "val": 200, "test": 200}
    assert Counter(zip(labels, parts, strict=True)) == {
        (c, p): n // 2 for c in ("benign", "malignant")
        for p, n in (("train", 1000), ("val", 200), ("test", 200))}
    assert notes == []


@given(IMAGES, st.integers(0, 5))
@settings(max_examples=80, deadline=None)
def test_groups_are_never_separated_and_order_does_not_matter(
        images: list[tuple[str, int]], seed: int) -> None:
    labels, groups = _columns(images)
    parts, _ = split(labels, groups, [None] * len(images), PAPER, seed)
    of_group: dict[str, set[str]] = {}
    for group, part in zip(groups, parts, strict=True):
        of_group.setdefault(group, set()).add(part)
    assert all(len(found) == 1 for found in of_group.values())
    order = list(range(len(images)))
    random.Random(seed).shuffle(order)
    again, _ = split([labels[i] for i in order], [groups[i] for i in order],
                     [None] * len(images), PAPER, seed)
    assert [again[order.index(i)] for i in range(len(images))] == parts


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 5)), min_size=30, max_size=200),
       st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_classes_keep_their_proportions(groups: list[tuple[str, int]], seed: int) -> None:
    labels, names = [], []
    for number, (label, size) in enumerate(groups):
        labels += [label] * size
        names += [str(number)] * size
    parts = assign(labels, names, {"train": 5, "val": 1, "test": 1}, seed)
    counts = Counter(zip(labels, parts, strict=True))
    for label, n in Counter(labels).items():
        if sum(1 for g, _ in groups if g == label) < 3:
            continue
        for part, share in (("train", 5 / 7), ("val", 1 / 7), ("test", 1 / 7)):
            # No further off than a whole group, as groups are not cut.
            assert counts[label, part] >= 1
            assert abs(counts[label, part] - n * share) <= 5


def test_seeds_differ() -> None:
    labels, groups = ["a", "b"] * 50, [str(i) for i in range(100)]
    assert assign(labels, groups, {"x": 1, "y": 1}, 0) == assign(labels, groups,
                                                                 {"x": 1, "y": 1}, 0)
    assert assign(labels, groups, {"x": 1, "y": 1}, 0) != assign(labels, groups,
                                                                 {"x": 1, "y": 1}, 1)


@pytest.mark.parametrize("sizes", [(5, 5, 5), (100, 1, 1), (3, 1, 1, 1)])
def test_few_groups_reach_every_part(sizes: tuple[int, ...]) -> None:
    labels = ["a"] * sum(sizes) + ["b"] * 70
    groups = [f"a{i}" for i, n in enumerate(sizes) for _ in range(n)] + [f"b{i}" for i in range(70)]
    parts, _ = split(labels, groups, [None] * len(labels), PAPER, 0)
    assert {p for p, c in zip(parts, labels, strict=True) if c == "a"} == set(PARTS)
    assert parts[0] == "train" or sizes == (5, 5, 5)


def test_a_given_split_is_kept() -> None:
    labels, groups = ["a", "b"] * 15, [str(i) for i in range(30)]
    given_parts = ["train"] * 20 + ["val"] * 4 + ["test"] * 6
    assert split(labels, groups, given_parts, PAPER, 0) == (given_parts, [])


def test_a_missing_test_part_is_carved_from_train() -> None:
    labels, groups = ["a", "b"] * 70, [str(i) for i in range(140)]
    given_parts = ["train"] * 120 + ["val"] * 20
    parts, notes = split(labels, groups, given_parts, PAPER, 0)
    assert parts[120:] == ["val"] * 20
    assert Counter(parts) == {"train": 100, "val": 20, "test": 20}
    assert len(notes) == 1 and "no test part: 20 of its 120" in notes[0]


def test_validation_and_test_are_carved_together() -> None:
    parts, notes = split(["a", "b"] * 70, [str(i) for i in range(140)], ["train"] * 140, PAPER, 0)
    assert Counter(parts) == {"train": 100, "val": 20, "test": 20}
    assert len(notes) == 2


def test_a_given_split_without_train_is_refused() -> None:
    with pytest.raises(BadInput, match="no training part"):
        split(["a", "b"], ["1", "2"], ["val", "test"], PAPER, 0)


@pytest.mark.parametrize("proportions", [(0, 1, 1), (5, -1, 1)])
def test_bad_proportions(proportions: tuple[int, int, int]) -> None:
    with pytest.raises(BadInput, match="proportions"):
        split(["a", "b"], ["1", "2"], [None, None], proportions, 0)


def test_separated_groups_and_regroup() -> None:
    groups = ["g", "g", "g", "h", "h", "i"]
    given_parts = ["val", "train", "val", "val", "train", "test"]
    found = separated_groups(list("abcdef"), groups, given_parts)
    assert [(t.group, t.files) for t in found] == [
        ("g", {"train": ("b",), "val": ("a", "c")}), ("h", {"train": ("e",), "val": ("d",)})]
    # Most images win; a tie goes to train.
    assert regroup(groups, given_parts) == ["val", "val", "val", "train", "train", "test"]
    assert separated_groups(list("abcdef"), groups, regroup(groups, given_parts)) == []


@given(IMAGES, st.integers(2, 5), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_folds(images: list[tuple[str, int]], k: int, seed: int) -> None:
    labels, groups = _columns(images)
    cases = [Case(str(i), "", label, None, group)
             for i, (label, group) in enumerate(zip(labels, groups, strict=True))]
    if len(set(groups)) < k:
        with pytest.raises(BadInput, match="folds"):
            folds(cases, k, seed)
        return
    found = folds(cases, k, seed)
    assert set(found) == {c.id for c in cases} and set(found.values()) <= set(range(k))
    assert all(len({found[c.id] for c in cases if c.group == g}) == 1 for g in set(groups))
    assert found == folds(cases[::-1], k, seed)


def test_folds_are_even() -> None:
    cases = [Case(str(i), "", "ab"[i % 4 == 0], None, str(i)) for i in range(100)]
    counts = Counter((folds(cases, 5, 0)[c.id], c.label) for c in cases)
    assert all(counts[f, "a"] == 15 and counts[f, "b"] == 5 for f in range(5))
