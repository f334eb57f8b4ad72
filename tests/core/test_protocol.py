"""The words of a change and of where a run stands: one sentence a case."""

from __future__ import annotations

import pytest

from bedside.core.protocol import Change, Standing, listed, value_text

MOVED = Change("evidence.auc_margin", 0.02, 0.1)
ADDED = Change("planned", None, "net-int8@phone", "phone")
LOCKED = {"locked": True, "locked_at": "2026-12-01T10:20:30Z", "sha256": "a" * 64}
OPENED = LOCKED | {"opened": True, "opened_at": "2026-12-01T11:00:00Z"}


@pytest.mark.parametrize(("change", "text"), [
    (MOVED, "evidence.auc_margin 0.02 → 0.1"),
    (ADDED, "net-int8@phone was added"),
    (Change("planned", "net-int8@cpu", None, "cpu"), "net-int8@cpu was removed"),
    (Change("predictions", None, "net-int8@cpu", "cpu"),
     "the ledger does not record the predictions of net-int8@cpu"),
    (Change("budget.size_bytes", None, 10), "budget.size_bytes none → 10"),
    (Change("split.sha256", "a" * 64, "b" * 64), f"split.sha256 {'a' * 12}… → {'b' * 12}…"),
    (Change("task.classes", ["a", "b"], []), "task.classes a, b → none"),
])
def test_a_change_names_key_before_and_after(change, text):
    assert change.text == text


def test_values_are_short():
    assert [value_text(v) for v in (None, 0.15, 3, True, (), ("a", 0.5))] == [
        "none", "0.15", "3", "True", "none", "a, 0.5"]


@pytest.mark.parametrize(("standing", "sentence"), [
    (Standing(), "No protocol is locked, and no test image has been predicted"),
    (Standing(opened=True), "No protocol was locked before the test set was opened (a run of an "
                            "earlier version), so nothing shows what stood before it"),
    (Standing(opened=True, fault="x"),
     "x, so nothing shows what stood before the test set was opened"),
    (Standing(**LOCKED), "The protocol was locked on 2026-12-01 10:20 UTC; the test set has not "
                         "been opened"),
    (Standing(**OPENED), "The protocol was locked on 2026-12-01 10:20 UTC, before the test set "
                         "was opened, and is unchanged"),
    (Standing(**OPENED, taken_back=1), "apart from settings that were changed after it and put "
                                       "back (1 in the ledger)"),
    (Standing(**OPENED, changes=(MOVED,)),
     "Exploratory: changed after the test set was opened on 2026-12-01 11:00 UTC: "
     "evidence.auc_margin 0.02 → 0.1"),
])
def test_each_case_has_its_sentence(standing, sentence):
    assert sentence in standing.sentence


def test_only_changes_after_the_opening_make_answers_exploratory():
    assert not Standing(**LOCKED, changes=(MOVED,)).exploratory()
    assert not Standing(**OPENED).exploratory()
    assert Standing(**OPENED, changes=(MOVED,)).exploratory("cpu")
    assert not Standing(opened=True).exploratory()


def test_the_reason_is_the_change_or_the_lost_record():
    moved = Standing(**OPENED, changes=(MOVED, ADDED))
    assert moved.why("cpu") == ("settings changed after the test set was opened: "
                                "evidence.auc_margin 0.02 → 0.1")
    lost = Standing(opened=True, fault="The protocol is gone")
    assert (lost.exploratory("cpu"), lost.why()) == (True, "the protocol is gone")


def test_a_cell_that_was_added_concerns_its_own_target_alone():
    found = Standing(**OPENED, changes=(ADDED,))
    assert found.exploratory() and found.exploratory("phone")
    assert not found.exploratory("cpu")


def test_long_lists_are_counted():
    assert listed((MOVED,) * 5) == ", ".join([MOVED.text] * 3) + " and 2 more"
    assert listed((MOVED, ADDED)) == f"{MOVED.text}, {ADDED.text}"
