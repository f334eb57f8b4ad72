"""The card as XML, against the CHAI schema."""

from __future__ import annotations

import re
from dataclasses import replace

from card_fixture import MODEL
from hypothesis import given, settings
from hypothesis import strategies as st

from bedside.card import chai, documents, markdown
from bedside.runfolder import layout


def test_the_xml_is_valid_by_the_schema_of_chai(run, schema):
    schema.validate(str(layout.card_dir(run, MODEL) / documents.XML))


def test_the_validator_can_fail(run, schema):
    text = (layout.card_dir(run, MODEL) / documents.XML).read_text()
    for broken in (re.sub(r"<ModelName>.*?</ModelName>", "", text),
                   text.replace("BasicInfo", "Basics"),
                   re.sub(r"<Results>.*?</Results>", "<Results/>", text, flags=re.S)):
        assert broken != text
        assert not schema.is_valid(broken)


@settings(max_examples=25, deadline=None)
@given(text=st.text(min_size=1, max_size=60))
def test_any_text_of_a_data_set_or_a_person_stays_text(run, schema, text):
    card = documents.read(run, MODEL)
    about = tuple(replace(a, text=text, awaits=None) for a in card.about)
    hostile = replace(card, classes=(text, "]]><x>"), model=f"<b>{text}</b>", about=about)
    schema.validate(chai.render(hostile))
    page = markdown.render(hostile)
    assert "<b>" not in page
    assert "\n# " not in page.removeprefix("# ")
