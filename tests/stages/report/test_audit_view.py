"""Contents of the audit page."""

from __future__ import annotations

from bedside.core.types import Case
from bedside.stages.report import audit_view

CASES = [Case("c1", "a.png", "benign", patient="p1", group="g1", split="train", flags=("text",)),
         Case("c2", "b.png", "benign", patient="p1", group="g1", split="test"),
         Case("c3", "c.png", "malignant", group="g2", split="val", flags=("text",)),
         Case("c4", "d.png", "malignant", group="g3", split="set_aside")]
AUDIT = {"duplicates": [{"first": "a.png", "second": "b.png", "kind": "near", "score": 0.9},
                        {"first": "b.png", "second": "c.png", "kind": "crop", "score": 0.7}],
         "conflicts": [{"labels": {"benign": ["a.png", "b.png"], "malignant": ["c.png"]}}],
         "shortcuts": [{"name": "image size", "warning": True}],
         "findings": {"text": {"benign": 1}}}


def test_groups_start_with_the_least_certain_pair_and_name_conflicts() -> None:
    (group,) = audit_view.groups(AUDIT, CASES)
    assert [t.file for t in group.thumbnails] == ["b.png", "c.png", "a.png"]
    assert (group.score, group.conflict, group.more) == (0.7, True, 0)


def test_groups_and_patients_in_two_parts_are_counted() -> None:
    assert audit_view.shared(CASES) == (1, 1)
    assert audit_view.shared(CASES[1:]) == (0, 0)


def test_examples_come_from_every_class_and_leave_out_excluded_images() -> None:
    assert [t.label for t in audit_view.examples(CASES)["text"]] == ["benign", "malignant"]


def test_every_check_has_a_line_with_its_result() -> None:
    lines = {line.title: line for line in audit_view.summary(AUDIT, CASES)}
    assert [line.state for line in lines.values()] == ["fail", "look", "look", "look", "look", "ok"]
    assert "1 group and 1 patient" in lines["Leakage between parts"].text
    assert "predicted from image size alone" in lines["Shortcuts"].text
    clean = audit_view.summary({}, CASES[1:])
    assert {line.state for line in clean} == {"ok"}
