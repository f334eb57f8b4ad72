"""The stage that writes model cards."""

from __future__ import annotations

import shutil

import pytest
from card_fixture import MODEL, card_run, chai_schema

from bedside.card import documents, human
from bedside.card.table import table
from bedside.core.errors import BadInput
from bedside.runfolder import layout
from bedside.stages import card as stage


@pytest.fixture
def copy(tiny_quantized, tmp_path_factory, tmp_path):
    shutil.copytree(card_run(tiny_quantized, tmp_path_factory), tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture(scope="session")
def schema():
    return chai_schema()


def test_answers_reach_every_file_and_survive_a_run(copy, schema):
    path = human.path_of(copy)
    assert path.is_file(), "the stage offers the questions once"
    answers = ('intended_use = "A second opinion <after> the radiologist\'s"\n'
               'developer = "Clinic A | Team *B*"\n')
    path.write_text(answers)
    stage.card(copy)
    found = documents.read(copy, MODEL)
    assert {a.key for a in found.awaited()} == set(table().question) - {"intended_use",
                                                                        "developer"}
    tree = (layout.card_dir(copy, MODEL) / documents.XML).read_text()
    schema.validate(tree)
    assert "<ModelDeveloper>Clinic A | Team *B*</ModelDeveloper>" in tree
    page = (layout.card_dir(copy, MODEL) / documents.MARKDOWN).read_text()
    assert "A second opinion &lt;after&gt; the radiologist's" in page
    assert r"Clinic A \| Team \*B\*" in page
    assert path.read_text() == answers


def test_a_card_of_the_same_things_is_left(copy):
    before = {p.name: p.stat().st_mtime_ns for p in layout.card_dir(copy, MODEL).iterdir()}
    stage.card(copy)
    assert before == {p.name: p.stat().st_mtime_ns for p in layout.card_dir(copy, MODEL).iterdir()}


@pytest.mark.parametrize(("text", "message"), [
    ('intended_ues = "x"', "did you mean 'intended_use'"), ("developer = 3", "expected a text"),
    ("developer = ", "not valid TOML"), ('developer = "\\u0000"', "U\\+0000"),
    ('[developer]\nname = "x"', "expected a text")])
def test_answers_that_do_not_read_are_refused(copy, text, message):
    human.path_of(copy).write_text(text)
    before = (layout.card_dir(copy, MODEL) / documents.MARKDOWN).read_bytes()
    with pytest.raises(BadInput, match=f"(?i){message}") as caught:
        stage.card(copy)
    assert human.CARD in caught.value.message
    assert (layout.card_dir(copy, MODEL) / documents.MARKDOWN).read_bytes() == before
