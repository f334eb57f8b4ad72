"""The table of card fields."""

from __future__ import annotations

import csv

import pytest
from card_fixture import CARD

from bedside.card import compute
from bedside.card.table import LIST, listed, table


def rows():
    with (CARD / LIST).open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def test_the_table_holds_every_field_of_the_list_in_order():
    assert [f.name for f in table().field] == [r["field"] for r in rows()] == list(listed())
    assert len({f.id for f in table().field}) == len(table().field)


@pytest.mark.parametrize("row", rows(), ids=lambda r: r["field"][:30])
def test_an_automatic_field_has_sources_and_a_human_one_questions(row):
    field = next(f for f in table().field if f.name == row["field"])
    assert bool(field.items) or "auto" not in row["filled_by"]
    assert bool(field.human) or "human" not in row["filled_by"]
    assert {*field.human} <= set(table().question)
    for item in field.items:
        assert bool(item.compute) != bool(item.file), item.label
        if item.compute:
            assert compute.of(item.compute)


def test_the_list_is_the_one_beside_the_checkout(checkout):
    """Where the shared list lies beside a checkout, the package carries the same one."""
    beside = checkout.parent / "shared" / LIST
    if not beside.is_file():
        pytest.skip(f"no shared/{LIST} beside this checkout")
    assert beside.read_text() == (CARD / LIST).read_text()
