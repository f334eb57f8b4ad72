"""The table of variants by target."""

from __future__ import annotations

from report_fixture import make_run

from bedside.core import codec
from bedside.stages.report.build import build_report
from bedside.stages.report.target_matrix import target_matrix


def test_every_cell_of_the_matrix_has_numbers_with_evidence_or_a_reason(targets_run):
    page = build_report(targets_run)
    results = codec.parse_json((page.parent / "results.json").read_text(), "results")["rows"]
    targets = list(dict.fromkeys(r["target"] for r in results))
    table = target_matrix(results, targets)
    cells = [c for _, lines in table.groups for _, row in lines for c in row]
    assert len(cells) == len(targets) * len({r["variant"] for r in results})
    for cell in cells:
        assert bool(cell.facts) == (cell.status == "ok")
        assert cell.facts or cell.reason
        for fact in cell.facts[:2]:
            assert fact.tag or fact.detail
            assert (fact.text == "—") != bool(fact.tag)
    text = page.read_text()
    for said in ("no float arithmetic", "estimated, unfitted", "nncf 3.4.0", 'id="matrix"'):
        assert said in text


def test_one_target_has_no_matrix_page(tmp_path):
    assert 'id="matrix"' not in build_report(make_run(tmp_path / "run")).read_text()
