"""Redrawn splits of a study: as large as before, by group, every image tested once by folds."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedside.core.errors import BadInput
from bedside.core.types import Case
from bedside.runfolder import artefact, stored
from bedside.stages.data import derive


def cases(count=120, per_group=2):
    parts = ["train"] * 8 + ["val", "test"]
    return [Case(f"c{i:03d}", f"{i}.png", ("benign", "malignant")[(i // per_group) % 2],
                 group=f"g{i // per_group}", split=parts[(i // (2 * per_group)) % 10])
            for i in range(count)] + [Case("aside", "x.png", "benign", group="x")]


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_a_redrawn_split_keeps_sizes_groups_and_what_was_set_aside(seed):
    given_cases = cases()
    parts = derive.redraw(given_cases, seed)
    assert "aside" not in parts
    before = Counter(c.split for c in given_cases if c.split != "set_aside")
    after = Counter(parts.values())
    assert all(abs(after[p] - before[p]) <= 4 for p in before)
    by_group = {}
    for c in given_cases[:-1]:
        by_group.setdefault(c.group, set()).add(parts[c.id])
    assert all(len(v) == 1 for v in by_group.values())


def test_seeds_differ_and_repeat():
    assert derive.redraw(cases(), 1) == derive.redraw(cases(), 1)
    assert derive.redraw(cases(), 1) != derive.redraw(cases(), 2)


def test_folds_test_every_image_once_and_keep_a_validation_part():
    given_cases = cases()
    drawn = [derive.redraw(given_cases, 5, 4, f) for f in range(4)]
    tested = Counter(i for parts in drawn for i, p in parts.items() if p == "test")
    assert set(tested) == {c.id for c in given_cases[:-1]}
    assert set(tested.values()) == {1}
    for parts in drawn:
        assert {"train", "val", "test"} == set(parts.values())
        count = Counter(parts.values())
        assert count["val"] / count["train"] == pytest.approx(1 / 8, abs=0.06)


def test_more_folds_than_groups_are_refused():
    with pytest.raises(BadInput, match="folds"):
        derive.redraw(cases(8, 2), 0, 10, 0)


def test_derived_data_are_those_of_the_run(tiny_run, tmp_path):
    source = tmp_path / "run"
    data = source / "data"
    with artefact.writing(data, "data", "k") as scratch:
        for name in ("cases.csv", "task.json"):
            artefact.write_text(scratch / name, (tiny_run / "data" / name).read_text())
        artefact.write_text(scratch / "audit.json", "{}\n")
        artefact.write_text(scratch / "source.json", '{"reader": "folder", "root": "data"}\n')
    derive.derive(source, tmp_path / "same", None)
    assert stored.cases(tmp_path / "same") == stored.cases(source)
    parts = derive.redraw(stored.cases(source), 9)
    derive.derive(source, tmp_path / "other", parts)
    other = {c.id: c for c in stored.cases(tmp_path / "other")}
    assert {i: other[i].split for i in parts} == parts
    assert [c.sha256 for c in other.values()] == [c.sha256 for c in stored.cases(source)]


def test_a_part_without_a_class_is_refused():
    lopsided = [c for c in cases() if not (c.split == "test" and c.label == "malignant")]
    with pytest.raises(BadInput, match="test part has no image of class 'malignant'"):
        derive.check_parts(lopsided, ("benign", "malignant"), "split-1")
