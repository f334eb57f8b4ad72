"""The files of a card: JSON and CHAI's XML for programs, Markdown for people."""

from __future__ import annotations

from pathlib import Path

from bedside.card import chai, markdown
from bedside.card.collect import Card, collect
from bedside.card.facts import Facts
from bedside.core import codec
from bedside.runfolder import artefact, layout

STAGE = "card"
EVIDENCE, MARKDOWN, XML = "evidence.json", "model-card.md", "model-card.xml"


def documents(facts: Facts, answers: dict[str, str]) -> dict[str, str]:
    """Return the three files of a card by name."""
    filled = collect(facts, answers)
    return {EVIDENCE: codec.to_json(filled), MARKDOWN: markdown.render(filled),
            XML: chai.render(filled)}


def read(run: Path, model: str) -> Card:
    """Read a published card.

    Raises:
        BadInput: the stage has not published it.
    """
    return codec.read_json(Card, artefact.checked(layout.card_dir(run, model), STAGE, EVIDENCE))
