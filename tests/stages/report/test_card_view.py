"""Model cards in the report."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from card_fixture import MODEL, card_run

from bedside.card.table import table


@pytest.fixture
def copy(tiny_quantized, tmp_path_factory, tmp_path):
    shutil.copytree(card_run(tiny_quantized, tmp_path_factory), tmp_path / "run")
    return tmp_path / "run"


def test_the_report_links_the_card_and_counts_what_is_blank(copy):
    from bedside.stages.report import card_view

    (found,) = card_view.view(copy, (MODEL,))
    assert sum(len(q) for _, q in found.awaited) == len(table().question)
    card_view.copy(copy, Path(copy / "report"), (MODEL,))
    for _, link in found.files:
        assert (copy / "report" / link).is_file()
