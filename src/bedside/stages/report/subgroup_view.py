"""Subgroups of the test images as the report's tables, the worst first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bedside.core.build import Measurement
from bedside.core.statistics import Statistics, Worst
from bedside.core.text import DASH, count, plural
from bedside.core.types import Estimate
from bedside.runfolder import layout
from bedside.stages.report import wording
from bedside.stages.report.evidence_view import Entry, Evidence, Line, Table


@dataclass(frozen=True, slots=True)
class WorstLine:
    """The group with the lowest value of a metric, in words and numbers."""

    variant: str
    target: str
    column: str
    metric: str
    group: str
    own: str
    rest: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Subgroups:
    """Worst groups first; every group of every cell; missing columns with the reason.

    ``worst`` holds float32's groups and those clearly below the rest; ``more`` those of the other
    variants.
    """

    worst: tuple[WorstLine, ...]
    more: tuple[WorstLine, ...]
    tables: tuple[tuple[str, Table], ...]
    missing: tuple[tuple[str, str], ...]


COLUMN_NAMES = {"age": "age", "sex": "sex", "size": "lesion size", "device": "device"}


def subgroups(evidence: Evidence, order: Sequence[Measurement]) -> Subgroups | None:
    """Tabulate subgroup metrics of the test images, or return None where there are none."""
    known = [s for s in evidence.statistics.values() if s.probabilities]
    if not known:
        return None
    place = {(m.variant, m.target): (i, m) for i, m in enumerate(order)}
    worst = [w for s in known for w in s.worst if (w.variant, w.target) in place]
    worst.sort(key=lambda w: (not w.apart, w.column, place[w.variant, w.target][0]))
    missing = {c: why for s in known for c, why in s.columns.items()}
    first = [w for w in worst if w.apart
             or place[w.variant, w.target][1].scheme == layout.BASELINE] or worst
    return Subgroups(tuple(_worst(w) for w in first),
                     tuple(_worst(w) for w in worst if w not in first),
                     _group_tables(known, place),
                     tuple((COLUMN_NAMES.get(c, c), why) for c, why in missing.items()))


def _full(name: str, e: Estimate) -> str:
    if e.value is None:
        return f"{DASH} ({e.reason})"
    return (f"{wording.metric_value(name, e.value)} [{wording.interval(name, e)}], "
            f"n = {count(e.n)}")


def _worst(w: Worst) -> WorstLine:
    verdict = ("lower than the rest: the intervals do not overlap" if w.apart else
               "may be chance: the intervals overlap")
    return WorstLine(w.variant, w.target, COLUMN_NAMES.get(w.column, w.column),
                     wording.metric_title(w.metric), w.group, _full(w.metric, w.estimate),
                     _full(w.metric, w.rest), verdict)


def _group_tables(known: Iterable[Statistics], place: dict[tuple[str, str], tuple[int, Any]]
                  ) -> tuple[tuple[str, Table], ...]:
    columns: dict[str, dict[str, list[tuple[int, Line]]]] = {}
    for row in (r for s in known for r in s.subgroups):
        if (row.variant, row.target) not in place:
            continue
        rank, m = place[row.variant, row.target]
        entries = [Entry(row.group, (plural(row.n, "image"),))]
        for name, e in row.metrics.items():
            entries.append(Entry(DASH, (e.reason or "",)) if e.value is None else Entry(
                wording.metric_value(name, e.value),
                (f"{wording.interval(name, e)}, n = {count(e.n)}",)))
        columns.setdefault(row.column, {}).setdefault(m.model, []).append(
            (rank, Line(m.scheme, m.target, tuple(entries))))
    heads = (("Group", ""), *((wording.metric_title(n), "95% interval") for n in (
        "sensitivity", "specificity", "auroc")))
    return tuple((COLUMN_NAMES.get(c, c), Table(heads, tuple(
        (model, tuple(line for _, line in sorted(lines, key=lambda x: x[0])))
        for model, lines in by_model.items()))) for c, by_model in columns.items())
