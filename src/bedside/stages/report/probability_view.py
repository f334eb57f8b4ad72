"""Thresholds, temperatures and calibration of probabilities, as the report's table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from bedside.core.build import Measurement
from bedside.core.evidence import OperatingPoint
from bedside.core.statistics import Calibration, Probabilities
from bedside.core.text import DASH, count, percent, signed
from bedside.core.types import Estimate
from bedside.metrics import calibration, recalibration
from bedside.runfolder import layout
from bedside.stages.report import wording
from bedside.stages.report.evidence_view import Entry, Evidence, Line, Table, p_value


def _brier(p: Probabilities) -> Entry:
    found = p.shipped.get("brier")
    if found is None or found.value is None:
        return Entry(DASH, (found.reason,) if found is not None and found.reason else ())
    small = [wording.interval("brier", found)]
    beside = [(p.scores, "without a temperature")] if p.calibrated else []
    if p.own_temperature != p.temperature:
        beside.append((p.own, "with the variant’s own"))
    for scores, what in beside:
        other = scores.get("brier")
        if other is not None and other.value is not None:
            small.append(f"{other.value:.3f} [{wording.interval('brier', other)}] {what}")
    return Entry(f"{found.value:.3f}", tuple(small))


def _bounds(estimate: Estimate) -> str:
    assert estimate.low is not None and estimate.high is not None
    return f"[{signed(f'{estimate.low:.2f}')}, {signed(f'{estimate.high:.2f}')}]"


def _coefficient(found: Calibration | None, raw: Calibration | None,
                 name: Literal["slope", "intercept"]) -> Entry:
    if found is None:
        return Entry(DASH)
    estimate: Estimate = getattr(found, name)
    if estimate.value is None:
        return Entry(DASH, (estimate.reason or "",))
    small = [_bounds(estimate)]
    plain: Estimate | None = None if raw is None else getattr(raw, name)
    if plain is not None and plain.value is not None and plain != estimate:
        small.append(f"{signed(f'{plain.value:.2f}')} {_bounds(plain)} without a temperature")
    if found.method == recalibration.FIRTH:
        small.append("penalised: the outcomes are separated")
    return Entry(signed(f"{estimate.value:.2f}"), tuple(small))


def _assessment(found: Calibration | None) -> Entry:
    if found is None:
        return Entry(DASH)
    test = f"consistency test: {p_value(found.consistency_p)}"
    return Entry(calibration.words(found), (found.reason or test,))


def _error(p: Probabilities) -> Entry:
    plain, debiased = p.shipped.get("ece"), p.shipped.get("ece_debiased")
    if debiased is None or debiased.value is None:
        return Entry(DASH, (debiased.reason,) if debiased is not None and debiased.reason else ())
    small = [f"ECE {plain.value:.3f}, biased upward"] if (
        plain is not None and plain.value is not None) else []
    return Entry(f"{debiased.value:.3f}", tuple(small))


def _benefit(p: Probabilities) -> Entry:
    found = p.net_benefit
    if found is None:
        return Entry(DASH, (p.net_benefit_reason or "",))
    cost = found.threshold / (1 - found.threshold)
    d = found.difference
    small = []
    if d.value is not None and d.low is not None and d.high is not None:
        small.append(signed(f"{100 * d.value:+.2f} [{100 * d.low:+.2f}, {100 * d.high:+.2f}]")
                     + " against float32")
    small.append(f"threshold probability {found.threshold:.3f}: a false alarm costs "
                 f"{cost:.2g} of a missed positive; prevalence {percent(found.prevalence)}")
    return Entry(signed(f"{100 * found.value:.2f}"), tuple(small))


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


def _temperature(p: Probabilities, shipped: OperatingPoint | None) -> Entry:
    own = ("" if p.own_temperature is None or p.own_temperature == p.temperature
           else f"the variant’s own: {p.own_temperature:.2f}")
    if p.temperature is None:
        why = shipped.temperature_reason if shipped is not None else None
        return Entry(DASH, tuple(filter(None, (why, own))))
    return Entry(f"{p.temperature:.2f}", (own,) if own else ())


def probabilities(evidence: Evidence, order: Sequence[Measurement]) -> Table | None:
    """Tabulate threshold, temperature, calibration and net benefit of every cell (test).

    Probabilities are those at the temperature that ships.
    """
    groups: dict[str, list[Line]] = {}
    binary = False
    for m in order:
        statistics, points = evidence.statistics.get(m.model), evidence.points.get(m.model)
        if statistics is None or points is None:
            continue
        own = points.cells.get(layout.cell_name(m.variant, m.target))
        shipped = points.locked or own
        for p in statistics.probabilities:
            if (p.variant, p.target) != (m.variant, m.target):
                continue
            found, raw = p.calibration, p.raw_calibration
            entries = [
                _temperature(p, shipped), _assessment(found),
                _coefficient(found, raw, "slope"), _coefficient(found, raw, "intercept"),
                _error(p), _brier(p)]
            if points.positive is not None:
                binary = True
                entries = [_threshold(shipped), _threshold(own),
                           _both("sensitivity", p), _both("specificity", p), *entries,
                           _benefit(p)]
            groups.setdefault(m.model, []).append(Line(m.scheme, m.target, tuple(entries)))
    if not groups:
        return None
    heads = [("Temperature", "that ships: float32’s"), ("Calibration", "what intervals exclude"),
             ("Calibration slope", "1 is right, 95%"),
             ("Calibration intercept", "0 is right, 95%"),
             ("Calibration error", "debiased, root mean square"), ("Brier score", "0 is best")]
    if binary:
        heads = [("Threshold, locked", "float32’s"), ("Threshold, re-chosen", "this variant’s"),
                 ("Sensitivity", "at the locked threshold"),
                 ("Specificity", "at the locked threshold"),
                 *heads, ("Net benefit", "per 100 images, at the locked threshold")]
    return Table(tuple(heads), tuple((m, tuple(lines)) for m, lines in groups.items()))
