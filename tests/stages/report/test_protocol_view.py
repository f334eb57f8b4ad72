"""Every sentence about "before" is of the ledger: stood, changed, or no protocol."""

from __future__ import annotations

import json
import shutil

import pytest
from protocol_fixture import again, finished, move_margins

from bedside.core.protocol import Change, Standing
from bedside.runfolder import layout
from bedside.stages import card
from bedside.stages.report import protocol_view
from bedside.stages.report.build import build_report

LOCKED = Standing(locked=True, opened=True, locked_at="2026-12-01T10:20:00Z", sha256="a" * 64,
                  opened_at="2026-12-01T11:00:00Z")


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    run = finished(tmp_path_factory.mktemp("view") / "run")
    card.card(run)
    build_report(run)
    return run


def page(run):
    return " ".join((layout.report_dir(run) / "index.html").read_text().split())


def results(run):
    return json.loads((layout.report_dir(run) / "results.json").read_text())


def test_the_three_cases_have_their_words():
    stood = protocol_view.view(LOCKED)
    assert stood.alarm == ""
    assert stood.margins == ("these margins were locked in the protocol on 2026-12-01 10:20 UTC, "
                             "before the test set was opened")
    changed = protocol_view.view(Standing(
        locked=True, opened=True, locked_at=LOCKED.locked_at, opened_at=LOCKED.opened_at,
        changes=(Change("evidence.auc_margin", 0.02, 0.1),)))
    assert changed.alarm.startswith("Changed after the test set was opened")
    assert "are not those of the protocol" in changed.margins
    none = protocol_view.view(Standing(opened=True))
    assert none.alarm.startswith("No protocol was locked before the test set was opened")
    assert none.margins.startswith("no protocol shows")
    assert protocol_view.view(Standing(opened=True, fault="gone")).margins == none.margins


def test_another_setting_than_a_margin_leaves_the_margins_where_they_stood():
    found = protocol_view.view(Standing(
        locked=True, opened=True, locked_at=LOCKED.locked_at, opened_at=LOCKED.opened_at,
        changes=(Change("budget.size_bytes", None, 10),)))
    assert found.margins == protocol_view.view(LOCKED).margins
    assert "budget.size_bytes none → 10" in found.alarm


def test_a_run_that_stood_says_since_when(shared):
    text = page(shared)
    assert "margins were locked in the protocol on" in text
    assert "before the run" not in text
    assert "banner exploratory" not in text
    found = results(shared)["protocol"]
    assert (found["locked"], found["exploratory"], found["changes"]) == (True, False, [])
    told = (layout.card_dir(shared, "net") / "model-card.md").read_text()
    assert "before the test set was opened, and is unchanged." in told


def test_a_run_whose_margins_moved_is_exploratory_everywhere(shared, tmp_path):
    run = shutil.copytree(shared, tmp_path / "run")
    assert again(run)[0].test.verdict == "not shown"
    move_margins(run)
    (made,) = again(run)
    assert made.test.verdict == "exploratory"
    card.card(run)
    build_report(run)
    text = page(run)
    assert "confirmed by the test images" not in text
    assert "were locked in the protocol" not in text
    first = text[text.index('<section id="answer">'):text.index('<section id="results">')]
    for said in ("banner exploratory", "Exploratory, not confirmatory.",
                 "evidence.sensitivity_margin 0.02 → 0.15",
                 "exploratory, not confirmatory</span>",
                 "non-inferior, exploratory"):
        assert said in first
    found = results(run)
    assert found["protocol"]["exploratory"] is True
    assert {c["key"] for c in found["protocol"]["changes"]} == {
        "evidence.sensitivity_margin", "evidence.specificity_margin", "evidence.auc_margin"}
    (answer,) = [r["answer"] for r in found["rows"] if r["answer"]]
    assert (answer["answer"], answer["exploratory"]) == ("shown", True)
    told = (layout.card_dir(run, "net") / "model-card.md").read_text()
    assert "**Exploratory: changed after the test set was opened" in told
    xml = (layout.card_dir(run, "net") / "model-card.xml").read_text()
    assert "Exploratory: changed after the test set was opened" in xml


def test_a_run_of_an_earlier_version_says_that_nothing_was_locked(tmp_path):
    run = finished(tmp_path / "run", locked=False)
    build_report(run)
    text = page(run)
    assert "No protocol was locked before the test set was opened" in text
    assert "no protocol shows that these margins stood before" in text
    assert results(run)["protocol"]["locked"] is False


def test_a_run_that_lost_its_protocol_is_exploratory(shared, tmp_path):
    """Deleting protocol and ledger does not bring a confirmation back."""
    run = shutil.copytree(shared, tmp_path / "run")
    move_margins(run)
    for path in (layout.protocol_file(run), layout.ledger_file(run)):
        path.unlink()
    (made,) = again(run)
    assert made.test.verdict == "exploratory"
    assert "is no longer in the run" in made.test.text
    build_report(run)
    text = page(run)
    assert "confirmed by the test images" not in text
    assert "Exploratory, not confirmatory.</strong> The protocol" in text
    assert results(run)["protocol"]["exploratory"] is True


def test_taking_the_margins_back_makes_the_report_anew(shared, tmp_path):
    run = shutil.copytree(shared, tmp_path / "run")
    move_margins(run)
    again(run)
    build_report(run)
    move_margins(run, back=True)
    again(run)
    build_report(run)
    assert "banner exploratory" not in page(run)
