"""Withheld classes and paired answers by group, as the report's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bedside.core.build import Measurement
from bedside.core.statistics import Stratum
from bedside.core.text import DASH, count, percent, plural
from bedside.core.types import Abstention, Estimate
from bedside.runfolder import layout
from bedside.stages.report import wording
from bedside.stages.report.evidence_view import Entry, Evidence, Line, Table, change, p_value
from bedside.stages.report.subgroup_view import COLUMN_NAMES

_RISKS = {"missed": "Missed, of positives", "alarms": "False alarms, of negatives",
          "wrong": "Answered wrongly"}


def abstention(evidence: Evidence, order: Sequence[Measurement]) -> Table | None:
    """Tabulate coverage against risk on test images, or return None where nothing was withheld."""
    groups: dict[str, list[Line]] = {}
    known = {(a.variant, a.target): a for s in evidence.statistics.values() for a in s.abstained}
    names: tuple[str, ...] = ()
    for m in order:
        found = known.get((m.variant, m.target))
        points = evidence.points.get(m.model)
        own = None if points is None else points.cells.get(layout.cell_name(m.variant, m.target))
        if found is None or own is None or own.abstention is None:
            continue
        names = tuple(found.risks)
        entries = [_band(own.abstention), _share(found.answered),
                   *(_risk(name, e, own.abstention.risks) for name, e in found.risks.items()),
                   _share(found.accuracy)]
        groups.setdefault(m.model, []).append(Line(m.scheme, m.target, tuple(entries)))
    if not groups:
        return None
    heads = (("No class between", "probabilities"), ("Answered", "of test images"),
             *((_RISKS[n], "and the limit") for n in names), ("Accuracy", "of those answered"))
    return Table(heads, tuple((m, tuple(lines)) for m, lines in groups.items()))


def _band(found: Abstention) -> Entry:
    small = (found.reason,) if found.reason else ()
    if found.confidence is not None:
        return Entry(f"below {percent(found.confidence)}", small)
    if found.low is None or found.high is None or found.low == found.high:
        return Entry("none", small)
    return Entry(f"{percent(found.low)} and {percent(found.high)}", small)


def _share(e: Estimate | None) -> Entry:
    if e is None or e.value is None:
        return Entry(DASH, (e.reason,) if e is not None and e.reason else ())
    return Entry(percent(e.value), (f"{wording.interval('accuracy', e)}, n = {count(e.n)}",))


def _risk(name: str, e: Estimate, limits: Mapping[str, float]) -> Entry:
    entry = _share(e)
    said = (f"limit {percent(limits[name], 0)}" if name in limits else "no limit is guaranteed")
    over = name in limits and e.low is not None and e.low > limits[name]
    return Entry(entry.text, (*entry.small, said + (": exceeded on test images" if over else "")))


# ------------------------------------------------------------------ within groups


def strata(evidence: Evidence, order: Sequence[Measurement]) -> tuple[tuple[str, Table], ...]:
    """Tabulate every variant against float32 within every group, a table a column."""
    place = {(m.variant, m.target): m for m in order}
    columns: dict[str, dict[str, list[Line]]] = {}
    for s in (s for one in evidence.statistics.values() for s in one.strata):
        m = place.get((s.variant, s.target))
        if m is not None:
            columns.setdefault(s.column, {}).setdefault(m.model, []).append(
                Line(m.scheme, m.target, _stratum(s)))
    heads = (("Group", ""), ("Lost, gained", "against float32"), ("Change", "95%"),
             ("Other than the rest?", "interaction"), ("Could have found", "a loss of"))
    return tuple((COLUMN_NAMES.get(c, c), Table(heads, tuple(
        (model, tuple(lines)) for model, lines in by_model.items())))
        for c, by_model in columns.items())


def _stratum(s: Stratum) -> tuple[Entry, ...]:
    counted = plural(s.n, "positive" if s.metric == "sensitivity" else "negative")
    moved, _, around = change(s.metric, s.difference).partition(" [")
    return (Entry(s.group, (f"{s.metric}, {counted}",)), Entry(f"{s.lost}, {s.gained}"),
            Entry(moved, (f"[{around}",) if around else ()),
            Entry(DASH if s.p_interaction is None else p_value(s.p_interaction),
                  () if s.p_interaction is not None else ("nobody changes",)),
            Entry("nothing: too few" if s.detectable is None else percent(s.detectable, 0),
                  () if s.detectable is None else ("four times in five",)))
