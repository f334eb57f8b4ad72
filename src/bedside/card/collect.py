"""The filled table: every field with its values, their sources, and its open questions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bedside.card import compute
from bedside.card.facts import Facts, empty, walk
from bedside.card.table import Field, Item, listed, table
from bedside.core import codec
from bedside.runfolder import stored


@dataclass(frozen=True, slots=True)
class Value:
    """One automatic value, or the ``reason`` why there is none."""

    label: str
    value: Any
    source: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """One question; ``text`` is null until it is answered, and ``awaits`` names who should."""

    key: str
    question: str
    text: str | None
    awaits: str | None = None


@dataclass(frozen=True, slots=True)
class Filled:
    """One field of the evidence file."""

    id: str
    field: str
    filled_by: str
    standards: str
    values: tuple[Value, ...] = ()
    answers: tuple[Answer, ...] = ()


@dataclass(frozen=True, slots=True)
class Card:
    """Contents of ``evidence.json``, from which the model card is written.

    ``about`` holds questions that belong to no field of the list: who made it, its release.
    """

    schema: int
    model: str
    variants: tuple[str, ...]
    targets: tuple[str, ...]
    classes: tuple[str, ...]
    notice: str
    fields: tuple[Filled, ...]
    about: tuple[Answer, ...] = ()

    def value(self, field_id: str, label: str) -> Any:
        """Return a value by the field's id and its label, or None."""
        return next((v.value for f in self.fields if f.id == field_id
                     for v in f.values if v.label == label), None)

    def awaited(self) -> list[Answer]:
        """List the unanswered questions."""
        return [a for a in self.answers() if a.text is None]

    def answers(self) -> list[Answer]:
        """List every question, about the model first, then field by field."""
        return [*self.about, *(a for f in self.fields for a in f.answers)]


NOTICE = "Research software, not a medical device."


def facts_of(run: Path, model: str) -> Facts:
    """Return all variants and cells of one model of a run."""
    return Facts(run, model, tuple(v for v in stored.variants(run) if v.model == model),
                 tuple(m for m in stored.measurements(run) if m.model == model))


def collect(facts: Facts, answers: dict[str, str]) -> Card:
    """Fill the table.

    Args:
        facts: of a run's model, or of the one build of a bundle.
        answers: of people, by key.
    """
    fields = tuple(_filled(f, facts, answers) for f in table().field)
    asked = {k for f in table().field for k in f.human}
    return Card(1, facts.model, tuple(v.id for v in facts.variants),
                tuple(dict.fromkeys(m.target for m in facts.cells)), facts.task.classes, NOTICE,
                fields, tuple(_answer(k, answers) for k in table().question if k not in asked))


def _filled(row: Field, facts: Facts, answers: dict[str, str]) -> Filled:
    about = listed()[row.name]
    return Filled(row.id, row.name, about.filled_by, about.standards,
                  tuple(_value(i, facts) for i in row.items),
                  tuple(_answer(k, answers) for k in row.human))


def _value(item: Item, facts: Facts) -> Value:
    found = (compute.of(item.compute)(facts) if item.compute
             else walk(facts.document(item.file), item.path))
    if empty(found):
        return Value(item.label, None, item.source, item.otherwise)
    return Value(item.label, codec.encode(found), item.source)


def _answer(key: str, answers: dict[str, str]) -> Answer:
    question = table().question[key]
    given = answers.get(key)
    return Answer(key, question.text, given,
                  None if given else f"to be filled in by {question.who}")
