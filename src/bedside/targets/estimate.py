"""Target: an absent device, with latency and energy estimated from its roofline.

The build is one file, ``estimate.json``: what every operation costs and why.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bedside.core import codec
from bedside.core.build import Build, Latency, Placement, Roofline, Target
from bedside.core.errors import BadInput, Unsupported
from bedside.core.types import Evidence
from bedside.runtime.files import sha256_file, write_text
from bedside.runtime.graph import read_graph
from bedside.targets import roofline as model
from bedside.targets.base import Availability, BuildRequest, Placed

# Never called: an estimate measures nothing; with the device at hand, run the file there.
RUNNER = "bedside.runtime.litert:LiteRTModel"
TAKES_ANY = True
EVIDENCE: dict[str, Evidence] = {"latency": "estimated"}
VERSION = "roofline 1"
ESTIMATE = "estimate.json"


@dataclass(frozen=True, slots=True)
class EstimateFile:
    """Contents of the build's file."""

    target: str
    variant: str
    prediction: model.Prediction


def available() -> Availability:
    """Return that it works: it is arithmetic."""
    return Availability(True, "arithmetic over the graph, no device needed", version=VERSION)


def profile(target: Target) -> Roofline:
    """Return the target's roofline.

    Raises:
        BadInput: it has none, or a figure that cannot be.
    """
    found = target.roofline
    if found is None:
        raise BadInput(f"target {target.id!r} has no roofline", where=target.id,
                       remedy="Give its TOML a [roofline] table (docs/targets.md).")
    if not (found.bandwidth_gbs > 0 and found.peak_gmacs and min(found.peak_gmacs.values()) > 0
            and found.launch_us >= 0 and 0 < found.assumed_efficiency <= 1):
        raise BadInput("rates must be above 0 and the efficiency in (0, 1]", where=target.id,
                       remedy="Correct its [roofline] table.")
    return found


def note(prediction: model.Prediction, roofline: Roofline) -> str:
    """Return the note that qualifies the latency, for a reader."""
    if not prediction.fitted:
        return (f"unfitted: no published latency of this {roofline.unit.upper()} in "
                f"{prediction.format}, {prediction.efficiency:.0%} of its peak assumed")
    networks = ", ".join(r.network for r in model.rows_for(roofline, prediction.format))
    return (f"fitted to published latencies of {networks} on {roofline.published}: "
            f"{prediction.efficiency:.1%} of the peak")


def build(request: BuildRequest) -> Build:
    """Estimate one variant.

    Raises:
        Unsupported: a format that the processor has no arithmetic for.
    """
    roofline = profile(request.target)
    found = model.predict(model.works(read_graph(request.file)), roofline)
    path = request.scratch / ESTIMATE
    write_text(path, codec.to_json(EstimateFile(request.target.id, request.variant.id, found)))
    return Build(
        variant=request.variant.id, target=request.target.id, format="estimate",
        files={ESTIMATE: sha256_file(path)},
        quantizer=request.quantizer,
        placement=_placement(found.operations, roofline.unit), compute_dtype=found.format,
        measures=(), latency_ms=Latency(found.ms, None, 0, request.target.threads),
        latency_note=note(found, roofline),
        facts={"energy_mj_45nm": found.energy_mj, "gmac": found.macs / 1e9,
               "off_chip_mb": found.off_chip_bytes / 1e6, "launch_ms": found.launch_ms,
               "efficiency": found.efficiency, "fitted": float(found.fitted)})


def _placement(costs: tuple[model.Cost, ...], unit: str) -> tuple[Placement, ...]:
    return tuple(Placement(c.index, c.op, c.name, unit) for c in costs)


def place(file: Path, target: Target, scratch: Path) -> Placed:
    """Find whether the processor has arithmetic for every operation."""
    del scratch
    roofline = profile(target)
    works = model.works(read_graph(file))
    rows = []
    for work in works:
        try:
            model.arithmetic(work, roofline)
            rows.append(Placement(work.index, work.op, work.name, roofline.unit))
        except Unsupported as error:
            rows.append(Placement(work.index, work.op, work.name, "nowhere", error.fault,
                                  error.remedy))
    refused = next((r for r in rows if r.reason), None)
    return Placed(tuple(rows), roofline.unit, None,
                  sum(r.reason is None for r in rows) / len(rows) if rows else None,
                  refused is None, refused.reason if refused else None,
                  refused.remedy if refused else None)
