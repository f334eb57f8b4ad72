"""The repeats of a study as the report's tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bedside.core import codec
from bedside.core.build import Measurement
from bedside.core.repeats import Optimism, Repeats, Spread
from bedside.core.repeats_text import DRAWS, spread_text
from bedside.core.text import DASH, plural
from bedside.core.types import Estimate
from bedside.stages.report import wording

_METRICS = ("auroc", "macro_auroc", "sensitivity", "macro_sensitivity", "specificity",
            "macro_specificity")


@dataclass(frozen=True, slots=True)
class SpreadLine:
    """One metric of one cell over one draw."""

    cell: str
    metric: str
    draw: str
    study: str
    mean: str
    sd: str
    change: str


@dataclass(frozen=True, slots=True)
class OptimismLine:
    """One validation metric with what it overstates."""

    cell: str
    metric: str
    validation: str
    optimism: str
    corrected: str
    test: str


@dataclass(frozen=True, slots=True)
class RepeatsView:
    """The section: how many units, their spread, optimism, answers and failures."""

    counts: str
    lines: tuple[SpreadLine, ...]
    more: tuple[SpreadLine, ...]
    optimism: tuple[OptimismLine, ...]
    verdicts: tuple[str, ...]
    notes: tuple[str, ...]


def view(found: Repeats | None, order: Sequence[Measurement]) -> RepeatsView | None:
    """Tabulate the repeats, or return None where the study has none.

    Args:
        found: of the run.
        order: the cells of the report, in its order.
    """
    if found is None:
        return None
    place = {(m.variant, m.target): i for i, m in enumerate(order)}
    spreads = sorted((s for s in found.spreads if s.quantity == "value" and s.metric in _METRICS
                      and (s.variant, s.target) in place),
                     key=lambda s: (place[s.variant, s.target], _METRICS.index(s.metric),
                                    list(DRAWS).index(s.draw)))
    changes = {(s.variant, s.target, s.draw, s.metric): s for s in found.spreads
               if s.quantity == "difference"}
    lines = [(s, _line(s, changes.get((s.variant, s.target, s.draw, s.metric))))
             for s in spreads if not (s.draw == "calibration" and s.sd.value == 0)]
    first = [line for s, line in lines if s.metric in ("auroc", "macro_auroc")]
    done = [u for u in found.units if u.status == "ok"]
    parts = [plural(n, f"other {name}") for draw, name in DRAWS.items()
             if (n := sum(u.unit.draw == draw for u in done))]
    failed = [u for u in found.units if u.status == "failed"]
    return RepeatsView(
        ", ".join(parts) or "no unit finished", tuple(first),
        tuple(line for s, line in lines if s.metric not in ("auroc", "macro_auroc")),
        tuple(_optimism(o) for o in found.optimism if o.metric in _METRICS
              and (o.variant, o.target) in place),
        tuple(f"{v.variant} on {v.target}, {DRAWS[v.draw]}: non-inferior {v.shown}, inconclusive "
              f"{v.not_shown}, inferior {v.worse}." for v in found.verdicts
              if (v.variant, v.target) in place),
        (*found.notes, *(f"{u.unit.name} failed: {u.reason}" for u in failed)))


def document(found: Repeats | None) -> dict[str, Any] | None:
    """Return the key ``repeats`` of ``results.json``; null where the study was not repeated."""
    made: dict[str, Any] | None = None if found is None else codec.encode(found)
    return made


def _line(s: Spread, change: Spread | None) -> SpreadLine:
    return SpreadLine(f"{s.variant} on {s.target}", wording.metric_title(s.metric), DRAWS[s.draw],
                      DASH if s.study is None else f"{s.study:.3f}",
                      _estimate(s.mean), _estimate(s.sd),
                      DASH if change is None else spread_text(change))


def _optimism(o: Optimism) -> OptimismLine:
    return OptimismLine(f"{o.variant} on {o.target}", wording.metric_title(o.metric),
                        f"{o.validation:.3f}", _estimate(o.optimism, "+"), _estimate(o.corrected),
                        DASH if o.test is None else f"{o.test:.3f}")


def _estimate(e: Estimate, sign: str = "") -> str:
    if e.value is None:
        return f"{DASH} ({e.reason})"
    if e.low is None or e.high is None:
        return f"{e.value:{sign}.3f}"
    return f"{e.value:{sign}.3f} [{e.low:{sign}.3f}, {e.high:{sign}.3f}]"
