"""Card values about measurements."""

from __future__ import annotations

from card_fixture import MODEL

from bedside.card.collect import facts_of
from bedside.card.compute import results


def test_latency_names_its_evidence(run) -> None:
    cells = results.latency(facts_of(run, MODEL))
    assert set(cells) == {f"{MODEL}-float32@cpu", f"{MODEL}-int8@cpu"}
    for cell in cells.values():
        assert cell["evidence"]["latency"] == "measured" and cell["latency_ms"]["median"] == 1.0


def test_answers_are_those_of_the_comparisons(run) -> None:
    facts = facts_of(run, MODEL)
    answers = results.answers(facts)
    assert set(answers) == {f"{c.variant}@{c.target}" for c in facts.comparisons}
    assert all(a["answer"] in ("shown", "not shown", "worse", None) for a in answers.values())
