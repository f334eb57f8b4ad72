"""Estimates of published rows without their own network; for tests and benchmarks."""

from __future__ import annotations

from dataclasses import dataclass

from bedside.targets.roofline import (
    Published,
    Roofline,
    fit,
    predict,
    reference_works,
    rows_for,
)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A published row, estimated from the same processor's other networks."""

    row: Published
    estimated_ms: float

    @property
    def error(self) -> float:
        """Absolute error as a share of the published time."""
        return abs(self.estimated_ms - self.row.ms) / self.row.ms


def leave_one_out(roofline: Roofline) -> tuple[LeftOut, ...]:
    """Estimate every published row of a processor without its own network."""
    found = []
    for number_format in sorted(roofline.peak_gmacs):
        rows = rows_for(roofline, number_format)
        for row in rows:
            rest = [r for r in rows if r.network != row.network]
            if not rest:
                continue
            share = dict.fromkeys(roofline.peak_gmacs, fit(roofline, number_format, rest))
            works_ = reference_works(row.network, number_format, roofline)
            found.append(LeftOut(row, predict(works_, roofline, share).ms))
    return tuple(found)
