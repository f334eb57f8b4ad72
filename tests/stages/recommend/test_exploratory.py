"""A choice whose margins moved: never a confirmation, and a veto stays a veto."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bedside.core.protocol import Change, Standing
from bedside.core.recommendation import Confirmation, Recommendation
from bedside.core.study import BudgetConfig
from bedside.stages.recommend.exploratory import qualify

BUDGET = BudgetConfig()
MOVED = Change("evidence.sensitivity_margin", 0.02, 0.15)
MADE = Recommendation("cpu", "net-int8", ranked=("net-int8", "net-float32"),
                      rejected={"net-float32": "slower"}, why=("Best.",),
                      test=Confirmation("confirmed", "confirmed as non-inferior in sensitivity",
                                        "net-float32@cpu", 200))


def standing(*changes, opened=True):
    return Standing(locked=True, opened=opened, locked_at="2026-12-01T10:00:00Z",
                    opened_at="2026-12-01T11:00:00Z", changes=changes)


def test_nothing_changes_where_the_protocol_stood():
    assert qualify(MADE, standing(), BUDGET) == MADE
    assert qualify(MADE, Standing(opened=True), BUDGET) == MADE
    assert qualify(MADE, standing(MOVED, opened=False), BUDGET) == MADE


def test_a_confirmation_becomes_exploratory_and_names_the_change():
    found = qualify(MADE, standing(MOVED), BUDGET)
    assert (found.chosen, found.test.verdict, found.test.n) == ("net-int8", "exploratory", 200)
    assert found.test.text == (
        "exploratory, not confirmed as non-inferior in sensitivity: settings changed after the "
        "test set was opened: evidence.sensitivity_margin 0.02 → 0.15")
    assert found.exploratory == ("evidence.sensitivity_margin 0.02 → 0.15",)
    assert found.warnings == ()


def test_where_proof_is_required_nothing_is_recommended():
    found = qualify(MADE, standing(MOVED), BudgetConfig(require="shown"))
    assert (found.chosen, found.cause, found.vetoed) == (None, "not shown", "net-int8")
    assert set(found.rejected) == {"net-int8", "net-float32"}
    assert "0.02 → 0.15" in found.rejected["net-int8"]
    assert found.causes == {"net-int8": "not shown"}


@pytest.mark.parametrize("verdict", ["vetoed", "not shown", "untested", "reference"])
def test_other_verdicts_stay_what_they_are(verdict):
    made = replace(MADE, test=replace(MADE.test, verdict=verdict))
    found = qualify(made, standing(MOVED), BUDGET)
    assert found.test == made.test
    assert found.exploratory
    assert found.warnings == ("exploratory: settings changed after the test set was opened: "
                              "evidence.sensitivity_margin 0.02 → 0.15",)


def test_a_lost_protocol_confirms_nothing():
    lost = Standing(opened=True, fault="The protocol a1b2… is no longer in the run")
    found = qualify(MADE, lost, BUDGET)
    assert (found.test.verdict, found.exploratory) == ("exploratory", (lost.fault,))
    assert found.test.text.endswith(": the protocol a1b2… is no longer in the run")


def test_a_target_that_was_added_leaves_the_others_alone():
    added = Change("planned", None, "net-int8@phone", "phone")
    assert qualify(MADE, standing(added), BUDGET) == MADE
    phone = replace(MADE, target="phone")
    assert qualify(phone, standing(added), BUDGET).exploratory == ("net-int8@phone was added",)
