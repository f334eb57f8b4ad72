"""Demographics, flow of cases and comparisons with float32, computed from cases and results."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bedside.core.types import Case, Task
from bedside.stages.report import paper
from bedside.stages.report.changes import BASELINE
from bedside.stages.report.results import Row

# ------------------------------------------------------------------ Table 1 and the flow


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and sample standard deviation of the ``n`` known values; None where undefined."""

    n: int
    mean: float | None = None
    sd: float | None = None


@dataclass(frozen=True, slots=True)
class Demographics:
    """One row of Table 1: a class of this study, and the paper's row of that name if any."""

    label: str
    images: int
    age: Spread
    size_mm: Spread
    paper: Mapping[str, paper.MeanSd] | None


def spread(values: Iterable[float | None]) -> Spread:
    """Compute mean and sample standard deviation (n − 1); the latter needs two values."""
    known = [v for v in values if v is not None and math.isfinite(v)]
    if not known:
        return Spread(0)
    sd = statistics.stdev(known) if len(known) > 1 else None
    return Spread(len(known), statistics.fmean(known), sd)


def used(cases: Iterable[Case]) -> list[Case]:
    """Return the cases in train, validation or test."""
    return [c for c in cases if c.split != "set_aside"]


def demographics(cases: Sequence[Case], task: Task) -> tuple[Demographics, ...]:
    """Compute Table 1 over the used cases, a row per class."""
    rows = []
    for label in task.classes:
        own = [c for c in used(cases) if c.label == label]
        rows.append(Demographics(
            label, len(own), spread(c.age for c in own), spread(c.size_mm for c in own),
            paper.TABLE_1.get(label.lower()),
        ))
    return tuple(rows)


@dataclass(frozen=True, slots=True)
class Flow:
    """Images read, set aside with reasons, and used by split and class."""

    read: int
    set_aside: tuple[tuple[str, int], ...]
    counts: Mapping[str, Mapping[str, int]]
    groups: int
    largest_group: int
    separated: int
    patients: int
    masks: int
    notes: tuple[str, ...]

    @property
    def set_aside_total(self) -> int:
        """Number of images set aside."""
        return sum(n for _, n in self.set_aside)

    @property
    def used(self) -> int:
        """Number of images in a split."""
        return sum(n for by_class in self.counts.values() for n in by_class.values())


def _set_aside_reasons(cases: Sequence[Case], audit: Mapping[str, Any]) -> Counter[str]:
    reasons: Counter[str] = Counter()
    listed = audit.get("set_aside")
    if isinstance(listed, list):
        for entry in listed:
            # The file's name stays out of the report: only the reason is counted.
            reason = entry.get("reason") if isinstance(entry, Mapping) else None
            reasons[str(reason or "no reason was recorded")] += 1
    elif isinstance(listed, Mapping):
        for reason, n in listed.items():
            reasons[str(reason)] += n if isinstance(n, int) else len(n)
    missing = sum(c.split == "set_aside" for c in cases) - sum(reasons.values())
    if missing > 0:
        reasons["not in any split"] += missing
    return reasons


def flow(cases: Sequence[Case], task: Task, audit: Mapping[str, Any]) -> Flow:
    """Compute the flow of cases from ``cases.csv`` and the audit."""
    reasons = _set_aside_reasons(cases, audit)
    inside = used(cases)
    counts = {s: dict.fromkeys(task.classes, 0) for s in ("train", "val", "test")}
    for case in inside:
        counts[case.split][case.label] = counts[case.split].get(case.label, 0) + 1
    read = audit.get("read")
    groups = Counter(c.group or c.id for c in inside)
    places = {(c.group or c.id, c.split) for c in inside}
    notes = audit.get("notes")
    return Flow(
        read=read if isinstance(read, int) else len(inside) + sum(reasons.values()),
        set_aside=tuple(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        counts=counts,
        groups=len(groups),
        largest_group=max(groups.values(), default=0),
        separated=sum(n > 1 for n in Counter(group for group, _ in places).values()),
        masks=sum(len(c.masks) for c in inside),
        patients=len({c.patient for c in inside if c.patient}),
        notes=tuple(str(n) for n in notes) if isinstance(notes, list) else (),
    )


UNSTEADY = 2.0

# ------------------------------------------------------------------ Table 2 and the headlines


def baseline_row(row: Row, rows: Sequence[Row], home: str = "cpu") -> Row | None:
    """Return the float32 row of the same model, on the same target or else on ``home``."""
    for target in (row["target"], home):
        for other in sorted(rows, key=lambda r: (len(r["variant"]), r["variant"])):
            if (other["model"], other["scheme"], other["target"], other["status"]) == (
                    row["model"], BASELINE, target, "ok") and (
                    other["compute_dtype"] in (None, BASELINE)):
                return other
    return None


def size_ratio(row: Row, rows: Sequence[Row]) -> float | None:
    """Return file size over the float32 variant's, or None where either is unknown."""
    base = baseline_row(row, rows)
    if base is None or not base["size_bytes"] or not row["size_bytes"]:
        return None
    return float(row["size_bytes"]) / float(base["size_bytes"])


def measured_ms(row: Row) -> float | None:
    """Return the median latency where it was measured; only measured latencies are compared."""
    if row["status"] != "ok" or row["latency_ms"] is None:
        return None
    return float(row["latency_ms"]["median"]) if row["evidence"]["latency"] == "measured" else None


def unsteady(row: Row) -> bool:
    """Return whether the latency's 95th percentile exceeds twice its median: a busy machine."""
    latency = row["latency_ms"]
    return (latency is not None and latency["p95"] is not None
            and bool(latency["p95"] > UNSTEADY * latency["median"]))


def latency_ratio(row: Row, rows: Sequence[Row]) -> float | None:
    """Return measured median latency over float32's, or None where either is missing."""
    base = baseline_row(row, rows)
    own, other = measured_ms(row), measured_ms(base) if base is not None else None
    return own / other if own is not None and other else None


def metric_difference(row: Row, rows: Sequence[Row], name: str) -> float | None:
    """Return a test metric minus the float32 variant's, or None where either is undefined."""
    base = baseline_row(row, rows)
    own = row["metrics"].get(name)
    other = base["metrics"].get(name) if base is not None else None
    return float(own["value"]) - float(other["value"]) if own and other else None


@dataclass(frozen=True, slots=True)
class Headline:
    """One model's largest reductions; ``None`` where nothing can be compared."""

    model: str
    smallest: str | None
    size_reduction: float | None
    fastest: str | None
    time_reduction: float | None


def _least(rows: Sequence[Row], all_rows: Sequence[Row], ratio: Any
           ) -> tuple[str | None, float | None]:
    found = [(value, f"{r['scheme']} on {r['target']}", r) for r in rows
             if r["scheme"] != BASELINE and (value := ratio(r, all_rows)) is not None]
    if not found:
        return None, None
    value, name, row = min(found, key=lambda item: item[:2])
    compared = (row, baseline_row(row, all_rows))
    if ratio is latency_ratio and any(r is not None and unsteady(r) for r in compared):
        name += " (unsteady)"
    return name, 1 - value


def headlines(rows: Sequence[Row]) -> tuple[Headline, ...]:
    """Compute the abstract's "75% smaller, 97% faster" for every model of this study.

    A time is compared with the float32 variant's on the same target, or on the CPU where the target
    cannot run float32 (the paper's 97%: INT8 on the NPU against FP32 on the CPU).
    """
    found = []
    for model in dict.fromkeys(r["model"] for r in rows):
        own = [r for r in rows if r["model"] == model and r["status"] == "ok"]
        smallest, size = _least(own, rows, size_ratio)
        fastest, time = _least(own, rows, latency_ratio)
        found.append(Headline(model, smallest, size, fastest, time))
    return tuple(found)


def auc_name(row: Row) -> str:
    """Return the AUC of a task: of the positive class, or the macro one-vs-rest mean."""
    return next((n for n in ("auroc", "macro_auroc") if n in row["metrics"]), "auroc")
