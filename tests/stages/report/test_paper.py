"""The paper's numbers."""

from __future__ import annotations

from bedside.stages.report import paper


def test_the_papers_numbers_are_the_papers() -> None:
    # Read from the article once more, by column.
    accuracy = [[c.accuracy for c in column.values()] for column in paper.TABLE_2.values()]
    assert accuracy == [[.87, .87, .87, .865], [.885, .88, .885, .88], [.77, .77, .77, .765]]
    sizes = [[c.size_mb for c in column.values()] for column in paper.TABLE_2.values()]
    assert sizes == [[74.1, 18.6, 37.0, 18.6], [61.7, 15.6, 30.9, 15.6], [85.1, 21.5, 42.6, 21.5]]
