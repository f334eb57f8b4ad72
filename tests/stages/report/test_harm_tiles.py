"""The numbers of the first screen that tell of harm, and the tables behind them."""

from __future__ import annotations

import numpy as np
from choice_fixture import Cell, make, sample
from gate_fixture import splits

from bedside.core import codec
from bedside.runfolder import artefact, layout, stored
from bedside.runfolder.cases import cases_to_csv
from bedside.stages.evidence import stage as evidence
from bedside.stages.report import abstention_view, evidence_view, harm_tiles, matrix, results


def _view(run):
    measured = list(stored.decided(run))
    found = evidence_view.load(run, ("net",))
    rows = [results.row(m, None, evidence_view.row_answer(found, m)) for m in measured]
    return measured, found, rows


def _run(tmp_path, ages=True):
    _, labels, odds = sample(800, noise=1.3)
    worse = np.where((labels == 1) & (np.arange(800) >= 400) & (np.arange(800) % 20 < 2),
                     -3.0, odds)
    make(tmp_path, labels, splits(400, 400), {"float32": Cell(odds, 12, 4_000_000),
                                              "int8": Cell(worse, 4)}, finish=False)
    if ages:  # the losses are of young patients
        cases = [codec.decode(type(c), codec.encode(c) | {
            "age": 30.0 if i % 20 < 4 else 65.0}, "case")
            for i, c in enumerate(stored.cases(tmp_path))]
        with artefact.writing(layout.data_dir(tmp_path), "data", "k2") as scratch:
            artefact.write_text(scratch / layout.CASES, cases_to_csv(cases))
            artefact.write_text(scratch / layout.TASK, codec.to_json(stored.task(tmp_path)))
    evidence.evidence(tmp_path, stored.study(tmp_path).evidence)
    return _view(tmp_path)


def test_the_first_numbers_are_of_harm_and_name_the_worst_group(tmp_path):
    _, found, rows = _run(tmp_path)
    row = next(r for r in rows if r["scheme"] == "int8")
    tiles = harm_tiles.tiles(row, rows, matrix.Notes(), found)
    assert [t.title for t in tiles] == [
        "Sensitivity, test", "Specificity, test", "Missed by it and not by float32",
        "Worst group, by lost positives", "AUC, test"]
    test = next(c for c in found.comparisons if c.split == "test")
    assert tiles[2].cell.text == f"{test.flips.missed}, {test.flips.found} gained"
    assert test.flips.missed > 10
    assert tiles[3].against.startswith("age under 40: −")
    lost, _, n = tiles[3].cell.text.partition(" of ")
    assert int(lost) == test.flips.missed and 0 < int(n) < test.tests["sensitivity"].difference.n
    assert "other than the other groups: p < 0.001" in tiles[3].cell.detail


def test_without_groups_the_tile_says_that_nobody_can_know(tmp_path):
    _, found, rows = _run(tmp_path, ages=False)
    row = next(r for r in rows if r["scheme"] == "int8")
    worst = harm_tiles.tiles(row, rows, matrix.Notes(), found)[3]
    assert worst.cell.text == "unknown"
    assert "age: the data have no such column" in worst.cell.detail


def test_tables_of_groups_and_of_withheld_classes(tmp_path):
    measured, found, _ = _run(tmp_path)
    [(column, table)] = abstention_view.strata(found, measured)
    assert column == "age"
    lines = {(e.entries[0].text, e.entries[0].small[0].partition(",")[0]): e
             for _, rows in table.groups for e in rows}
    assert set(lines) == {(g, m) for g in ("under 40", "60 and over")
                          for m in ("sensitivity", "specificity")}
    assert lines["60 and over", "sensitivity"].entries[1].text == "0, 0"
    withheld = abstention_view.abstention(found, measured)
    heads = [h for h, _ in withheld.heads]
    assert heads == ["No class between", "Answered", "Missed, of positives",
                     "False alarms, of negatives", "Accuracy"]
    for _, rows in withheld.groups:
        for line in rows:
            assert "limit 5%" in line.entries[2].small[-1]
