"""File sizes beside the paper's."""

from __future__ import annotations

from analyse_fixture import figure_data

from bedside.figures import sizes
from bedside.runfolder import stored


def test_shares_are_of_the_float32_file(run) -> None:
    rows = figure_data(run, "sizes", "all").facts["models"]["tiny"]
    saved = {v.id: v.size_bytes for v in stored.variants(run)}
    assert rows["float32"]["share"] == 1.0
    assert rows["int8"]["size_bytes"] == saved["tiny-int8"]
    assert rows["int8"]["share"] == saved["tiny-int8"] / saved["tiny-float32"]
    assert rows["int8"]["paper_mb"] is None


def test_a_range_of_reductions_is_printed_once_where_it_is_one_number() -> None:
    assert (sizes._span([72.1, 71.9]), sizes._span([70.0, 73.0])) == ("72%", "70–73%")
