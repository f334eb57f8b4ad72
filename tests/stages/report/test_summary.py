"""The recommendation on the first screen."""

from __future__ import annotations

from pathlib import Path

from report_fixture import (
    make_run,
)
from report_reader import page, read, rows_of

from bedside.runfolder import stored
from bedside.stages.report.build import build_report


def test_the_page_opens_with_the_recommendation(run: Path) -> None:
    found = stored.recommendations(run).recommendations
    assert [(r.target, r.chosen) for r in found] == [("cpu", "efficientnet_lite0-int8")]
    text = " ".join("".join(read(page(run)).words).split())
    top = text[:text.index("Results of every variant")]
    assert "On cpu use efficientnet_lite0-int8 inconclusive: too few test images" in top
    for r in found:
        assert r.rule in top and all(w in top for w in r.why)
        for variant, reason in r.rejected.items():
            assert f"{variant}{reason[:1].upper()}{reason[1:]}." in top
    assert [r["variant"] for r in rows_of(run) if r["recommended"]] == ["efficientnet_lite0-int8"]


def test_a_run_without_a_recommendation_says_how_to_get_one(tmp_path: Path) -> None:
    make_run(tmp_path)
    (tmp_path / "manifest.json").unlink()
    build_report(tmp_path)
    assert "Run: bedside recommend RUN" in page(tmp_path)
    assert {r["recommended"] for r in rows_of(tmp_path)} == {None}
