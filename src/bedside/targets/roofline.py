"""Roofline model: latency and energy of a graph on an absent processor.

Time of an operation = launch + max(MACs ÷ (efficiency · peak), off-chip bytes ÷ bandwidth)
(Williams, Waterman, Patterson, Roofline, CACM 52(4), 2009, applied per operation).
Energy = arithmetic + traffic, with Horowitz's figures (ISSCC 2014, Figure 1.1.9; the paper's
reference 22): 45 nm, 0.9 V. It compares schemes; it does not predict a battery's reading.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from bedside.core.build import Roofline
from bedside.core.errors import BadInput, Unsupported
from bedside.runtime.graph import CONVOLUTIONS, Graph, macs, operation_format

# Bytes of a number in memory.
WIDTH = {"float32": 4, "float16": 2, "bfloat16": 2, "int16": 2, "int8": 1, "uint8": 1,
         "int32": 4, "int64": 8, "bool": 1}

# Picojoules of one multiply and one add (into float32, float16 or int32).
MAC_PJ = {"float32": 3.7 + 0.9, "float16": 1.1 + 0.4, "int8": 0.2 + 0.1}
# 64 bits from DRAM 1.3–2.6 nJ (midpoint taken), from 1 MB of SRAM 100 pJ.
DRAM_PJ_BYTE = (1300 + 2600) / 2 / 8
SRAM_PJ_BYTE = 100 / 8

NO_WORK = frozenset({"RESHAPE"})


@dataclass(frozen=True, slots=True)
class Work:
    """One operation: multiply-accumulates, and numbers read and written.

    ``kind`` is its format as :func:`bedside.runtime.graph.operation_format` writes it.
    """

    index: int
    op: str
    name: str
    kind: str
    macs: int
    weights: int
    activations: int


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of one operation; ``bound`` names the larger of its two terms."""

    index: int
    op: str
    name: str
    format: str
    ms: float
    bound: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """Estimate of a graph on a processor: ms and mJ per image, and their basis."""

    ms: float
    energy_mj: float
    macs: int
    off_chip_bytes: int
    launch_ms: float
    format: str
    efficiency: float
    fitted: bool
    operations: tuple[Cost, ...]


@dataclass(frozen=True, slots=True)
class Published:
    """One row of ``data/published.csv``."""

    device: str
    unit: str
    format: str
    network: str
    ms: float
    version: str


def works(graph: Graph) -> tuple[Work, ...]:
    """Return the operations of a graph that cost something at run time.

    Reshapes cost nothing, and what depends on constants alone is folded when a runtime loads
    the file (the DEQUANTIZE of weights that are stored as float16).
    """
    fixed = {t.index for t in graph.tensors if t.buffer}
    rows = []
    for o in graph.operations:
        inputs = [i for i in o.inputs if i >= 0]
        if o.op in NO_WORK:
            continue
        if inputs and all(i in fixed for i in inputs):
            fixed |= set(o.outputs)
            continue
        kept = [i for i in inputs if i in fixed]
        moved = [i for i in (*inputs, *o.outputs) if i not in fixed]
        rows.append(Work(o.index, o.op, graph.layer(o), operation_format(graph, o),
                         macs(graph, o), sum(_size(graph, i) for i in kept),
                         sum(_size(graph, i) for i in moved)))
    return tuple(rows)


def _size(graph: Graph, tensor: int) -> int:
    return math.prod(max(1, n) for n in graph.tensors[tensor].shape)


# ------------------------------------------------------------------ the model


def arithmetic(work: Work, roofline: Roofline) -> str:
    """Return the number format in which a processor computes an operation.

    Raises:
        Unsupported: the processor has no arithmetic for an operation that multiplies.
    """
    if "→" in work.kind:
        return work.kind.partition("→")[2]
    found = roofline.runs_as.get(work.kind)
    if found is not None:
        return found
    if work.op in CONVOLUTIONS:
        formats = ", ".join(sorted(roofline.runs_as))
        raise Unsupported(f"this {roofline.unit.upper()} has no arithmetic for {work.kind}",
                          remedy=f"It computes files in {formats}.")
    return work.kind


def predict(works_: Sequence[Work], roofline: Roofline, efficiency: Mapping[str, float] | None
            = None) -> Prediction:
    """Return latency and energy of a graph.

    Args:
        works_: from :func:`works` or :mod:`bedside.targets.networks`.
        roofline: the processor.
        efficiency: share of the peak that is reached, by arithmetic format, in place of the
            fitted or assumed one.

    Raises:
        Unsupported: an operation has a format that the processor does not compute in.
    """
    share = dict(efficiency) if efficiency is not None else {
        f: efficiency_of(roofline, f)[0] for f in roofline.peak_gmacs}
    rows: list[Cost] = []
    by_format: dict[str, int] = {}
    traffic, energy = 0, 0.0
    for work in works_:
        kind = arithmetic(work, roofline)
        width = WIDTH.get(kind, 4)
        # Numbers of a dynamic-range file stay float32 in memory, its weights int8.
        moved = work.activations * (4 if work.kind == "float32×int8" and kind == "int8" else width)
        off_chip = work.weights * width + (moved if moved > roofline.on_chip_bytes else 0)
        compute = 0.0
        if work.macs:
            if kind not in roofline.peak_gmacs:
                raise BadInput(f"the profile has no peak rate for {kind}", where="peak_gmacs",
                               remedy="Add it to the target's [roofline.peak_gmacs].")
            compute = work.macs / (roofline.peak_gmacs[kind] * 1e6 * share[kind])
            by_format[kind] = by_format.get(kind, 0) + work.macs
        memory = off_chip / (roofline.bandwidth_gbs * 1e6)
        rows.append(Cost(work.index, work.op, work.name, kind,
                         roofline.launch_us / 1e3 + max(compute, memory),
                         "compute" if compute > memory else "memory"))
        traffic += off_chip
        energy += (work.macs * MAC_PJ.get(kind, MAC_PJ["float32"]) + off_chip * DRAM_PJ_BYTE
                   + (moved + work.weights * width) * SRAM_PJ_BYTE)
    main = max(by_format, key=lambda k: by_format[k], default=next(iter(share)))
    return Prediction(sum(r.ms for r in rows), energy * 1e-9, sum(w.macs for w in works_),
                      traffic, roofline.launch_us * len(rows) / 1e3, main, share.get(main, 1.0),
                      bool(rows_for(roofline, main)), tuple(rows))


# ------------------------------------------------------------------ fitting


@cache
def published() -> tuple[Published, ...]:
    """Return the latencies that Qualcomm published (``data/README.md``)."""
    text = (resources.files("bedside.targets") / "data" / "published.csv").read_text("utf-8")
    return tuple(Published(r["device"], r["unit"], r["format"], r["network"], float(r["ms"]),
                           r["version"]) for r in csv.DictReader(text.splitlines()))


def rows_for(roofline: Roofline, number_format: str) -> tuple[Published, ...]:
    """Return the published rows that a profile's efficiency in a format is fitted to."""
    return tuple(r for r in published() if (r.device, r.unit, r.format) == (
        roofline.published, roofline.unit, number_format))


def efficiency_of(roofline: Roofline, number_format: str) -> tuple[float, bool]:
    """Return the share of the peak that is reached, and whether published rows support it."""
    rows = rows_for(roofline, number_format)
    if not rows:
        return roofline.assumed_efficiency, False
    return fit(roofline, number_format, rows), True


def fit(roofline: Roofline, number_format: str, rows: Iterable[Published]) -> float:
    """Return the efficiency with the least squared error of log latency over published rows.

    One number, by golden-section search between 10⁻⁴ and 1 on a logarithmic scale.
    """
    known = [(reference_works(r.network, number_format, roofline), math.log(r.ms)) for r in rows]

    def loss(log_share: float) -> float:
        share = dict.fromkeys(roofline.peak_gmacs, math.exp(log_share))
        return sum((math.log(predict(w, roofline, share).ms) - ms) ** 2 for w, ms in known)

    low, high = math.log(1e-4), 0.0
    golden = (math.sqrt(5) - 1) / 2
    while high - low > 1e-6:
        left, right = high - golden * (high - low), low + golden * (high - low)
        if loss(left) <= loss(right):
            high = right
        else:
            low = left
    return math.exp((low + high) / 2)


def reference_works(network: str, number_format: str, roofline: Roofline) -> tuple[Work, ...]:
    """Return a published network's operations, in a format that computes in ``number_format``."""
    from bedside.targets.networks import network_works

    kinds = [k for k, v in roofline.runs_as.items() if v == number_format and "×" not in k]
    return network_works(network, min(kinds, key=lambda k: (k != number_format, k != "float32")))
