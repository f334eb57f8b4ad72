"""Thresholds, temperatures and calibration of probabilities, as the report's table."""

from __future__ import annotations

from collections.abc import Sequence

from bedside.core.build import Measurement
from bedside.core.evidence import OperatingPoint, Probabilities
from bedside.core.text import DASH, count, percent
from bedside.core.types import Estimate
from bedside.runfolder import layout
from bedside.stages.report import wording
from bedside.stages.report.evidence_view import Entry, Evidence, Line, Table


def _score(name: str, before: Estimate | None, after: Estimate | None) -> Entry:
    if before is None or before.value is None:
        return Entry(DASH, (before.reason,) if before is not None and before.reason else ())
    small = [wording.interval(name, before)]
    if after is not None and after.value is not None:
        small.append(f"{after.value:.3f} [{wording.interval(name, after)}] with temperature")
    return Entry(f"{before.value:.3f}", tuple(small))


def _threshold(point: OperatingPoint | None) -> Entry:
    if point is None or point.threshold is None:
        return Entry(DASH, (point.reason or point.rule,) if point is not None else ())
    return Entry(f"{point.threshold:.3f}", (point.reason,) if point.reason else ())


def _both(name: str, p: Probabilities) -> Entry:
    locked, own = p.metrics.get(name), p.rechosen.get(name)
    if locked is None or locked.value is None:
        return Entry(DASH, (locked.reason,) if locked is not None and locked.reason else ())
    small = [f"{wording.interval(name, locked)}, n = {count(locked.n)}"]
    if own is not None and own.value is not None:
        small.append(f"re-chosen: {percent(own.value)} [{wording.interval(name, own)}]")
    return Entry(percent(locked.value), tuple(small))


def _temperature(point: OperatingPoint | None) -> Entry:
    if point is None or point.temperature is None:
        return Entry(DASH, (point.temperature_reason or "",) if point is not None else ())
    t = point.temperature
    words = ("well calibrated" if 0.95 <= t <= 1.05 else
             "over-confident" if t > 1 else "under-confident")
    return Entry(f"{t:.2f}", (f"probabilities were {words}",))


def probabilities(evidence: Evidence, order: Sequence[Measurement]) -> Table | None:
    """Tabulate threshold, temperature, Brier score and calibration error of every cell (test)."""
    groups: dict[str, list[Line]] = {}
    binary = False
    for m in order:
        statistics, points = evidence.statistics.get(m.model), evidence.points.get(m.model)
        if statistics is None or points is None:
            continue
        own = points.cells.get(layout.cell_name(m.variant, m.target))
        for p in statistics.probabilities:
            if (p.variant, p.target) != (m.variant, m.target):
                continue
            entries = [_temperature(own), _score("brier", p.scores.get("brier"),
                                                 p.calibrated.get("brier")),
                       _score("ece", p.scores.get("ece"), p.calibrated.get("ece"))]
            if points.positive is not None:
                binary = True
                entries = [_threshold(points.locked or own), _threshold(own),
                           _both("sensitivity", p), _both("specificity", p), *entries]
            groups.setdefault(m.model, []).append(Line(m.scheme, m.target, tuple(entries)))
    if not groups:
        return None
    heads = [("Temperature", "from validation"), ("Brier score", "0 is best"),
             ("Calibration error", "ECE, 0 is best")]
    if binary:
        heads = [("Threshold, locked", "float32’s"), ("Threshold, re-chosen", "this variant’s"),
                 ("Sensitivity", "at the locked threshold"),
                 ("Specificity", "at the locked threshold"),
                 *heads]
    return Table(tuple(heads), tuple((m, tuple(lines)) for m, lines in groups.items()))
