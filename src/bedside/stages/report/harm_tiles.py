"""The numbers of the first screen that tell of harm: what is found, missed, lost, and in whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bedside.core.evidence import Comparison
from bedside.core.statistics import Stratum
from bedside.core.text import count, delta, percent, plural, points
from bedside.metrics.strata import worst
from bedside.stages.report import tables, wording
from bedside.stages.report.changes import BASELINE
from bedside.stages.report.evidence_view import Evidence, change, p_value
from bedside.stages.report.matrix import Cell, Notes, changed_cell, estimate
from bedside.stages.report.results import Row
from bedside.stages.report.subgroup_view import COLUMN_NAMES


@dataclass(frozen=True, slots=True)
class Tile:
    """One number of the recommendation, with what it is compared to."""

    title: str
    cell: Cell
    against: str = ""


def tiles(row: Row, rows: Sequence[Row], notes: Notes, evidence: Evidence | None
          ) -> tuple[Tile, ...]:
    """Return sensitivity, specificity, lost positives and the worst group, then the AUC.

    Without a positive class: the AUC, accuracy and the images whose class changed.
    """
    area = tables.auc_name(row)
    if "sensitivity" not in row["metrics"]:
        return (*_scores(row, rows, notes, (area, "accuracy")),
                Tile("Class changed, test", changed_cell(row, notes),
                     "" if row["scheme"] == BASELINE else "images, against float32"))
    found = _scores(row, rows, notes, ("sensitivity", "specificity"))
    test = _comparison(row, evidence)
    if test is not None:
        found = (*found, *_lost(test), *_worst(row, evidence))
    return (*found, *_scores(row, rows, notes, (area,)))


def _scores(row: Row, rows: Sequence[Row], notes: Notes, names: Sequence[str]
            ) -> tuple[Tile, ...]:
    tiles = []
    for name in names:
        title = f"{wording.metric_title(name)}, test"
        own = estimate(row, name)
        if own is None or own.value is None:
            why = row["undefined"].get(name, "was not computed")
            tiles.append(Tile(title, notes.dash(f"{wording.metric_title(name)}: {why}")))
            continue
        gap = tables.metric_difference(row, rows, name)
        against = ""
        if gap is not None and row["scheme"] != BASELINE:
            text = delta(gap) if name.endswith("auroc") else points(gap)
            against = f"{text} against float32"
        detail = f"95% interval {wording.interval(name, own)}, n = {count(own.n)}"
        tiles.append(Tile(title, Cell(wording.metric_value(name, own.value), detail), against))
    return tuple(tiles)


def _comparison(row: Row, evidence: Evidence | None) -> Comparison | None:
    if evidence is None:
        return None
    return next((c for c in evidence.comparisons if c.split == "test"
                 and (c.variant, c.target) == (row["variant"], row["target"])), None)


def _lost(test: Comparison) -> tuple[Tile, ...]:
    """Say which decisions changed against float32, the missed positives first."""
    flips, found = test.flips, test.tests.get("sensitivity")
    if flips is None or flips.missed is None or found is None:
        return ()
    of = f"of {plural(found.difference.n, 'positive image')}"
    alarms = f"{plural(flips.alarms or 0, 'new false alarm')}, {flips.cleared} cleared"
    moved = change(found.metric, found.difference)
    return (Tile("Missed by it and not by float32", Cell(f"{flips.missed}, {flips.found} gained",
                                                       f"sensitivity {moved}"), f"{of}; {alarms}"),)


def _worst(row: Row, evidence: Evidence | None) -> tuple[Tile, ...]:
    """Name the group that lost most of its positives."""
    statistics = None if evidence is None else evidence.statistics.get(row["model"])
    if statistics is None or row["scheme"] == BASELINE:
        return ()
    title = "Worst group, by lost positives"
    if not statistics.strata:
        why = "; ".join(f"{COLUMN_NAMES.get(c, c)}: {t}" for c, t in statistics.columns.items())
        return (Tile(title, Cell("unknown", why or "the data name no groups")),)
    low = worst(statistics.strata, row["variant"], row["target"])
    if low is None:
        return (Tile(title, Cell("none", "no group of five or more lost any on balance")),)
    return (Tile(title, Cell(f"{low.lost} of {count(low.n)}", _power(low)),
                 f"{COLUMN_NAMES.get(low.column, low.column)} {low.group}: "
                 f"{change('sensitivity', low.difference)}"),)


def _power(low: Stratum) -> str:
    """Say what so few cases can and cannot tell."""
    apart = ("" if low.p_interaction is None
             else f"other than the other groups: {p_value(low.p_interaction)}; ")
    if low.detectable is None:
        return f"{apart}too few positives to prove any loss"
    return f"{apart}finds a loss of {percent(low.detectable, 0)} of them four times in five"
