"""The table of variants by target: each cell's numbers, or the reason why there are none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bedside.core.text import DASH, count, milliseconds, percent, plural
from bedside.stages.report import wording
from bedside.stages.report.matrix import estimate
from bedside.stages.report.results import Row


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of a cell: name, number, detail, and evidence."""

    what: str
    text: str
    detail: str = ""
    tag: str = ""


@dataclass(frozen=True, slots=True)
class TargetCell:
    """One cell: facts, or a status with its reason. ``target`` names the column on a phone."""

    target: str
    status: str
    facts: tuple[Fact, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TargetMatrix:
    """Targets, and for every network its variants with a cell per target."""

    targets: tuple[str, ...]
    groups: tuple[tuple[str, tuple[tuple[str, tuple[TargetCell, ...]], ...]], ...]


def target_matrix(rows: Sequence[Row], targets: Sequence[str]) -> TargetMatrix:
    """Tabulate every variant against every target, in the order of the results."""
    found = {(r["variant"], r["target"]): r for r in rows}
    groups = []
    for model in dict.fromkeys(r["model"] for r in rows):
        lines = []
        for variant, scheme in dict.fromkeys(
                (r["variant"], r["scheme"]) for r in rows if r["model"] == model):
            cells = tuple(_cell(found.get((variant, t)), t) for t in targets)
            lines.append((scheme, cells))
        groups.append((model, tuple(lines)))
    return TargetMatrix(tuple(targets), tuple(groups))


def _cell(row: Row | None, target: str) -> TargetCell:
    if row is None:
        return TargetCell(target, "not planned", reason="not part of this study")
    if row["status"] != "ok":
        return TargetCell(target, row["status"], reason=row["reason"] or "no reason was recorded")
    return TargetCell(target, "ok", (_accuracy(row), _latency(row), _placement(row)))


def _accuracy(row: Row) -> Fact:
    own = estimate(row, "accuracy")
    if own is None or own.value is None:
        return Fact("accuracy", DASH,
                    row["undefined"].get("accuracy", "no prediction on this target"))
    sample = (f", {count(row['images'])} of {count(row['images_total'])} images"
              if row["images"] < row["images_total"] else "")
    return Fact("accuracy", wording.metric_value("accuracy", own.value),
                f"{wording.interval('accuracy', own)}, n = {count(own.n)}{sample}",
                row["evidence"]["accuracy"] or "")


def _latency(row: Row) -> Fact:
    latency = row["latency_ms"]
    note = row["latency_note"] or ""
    if latency is None:
        return Fact("latency", DASH, note or "not measured on this target")
    tag = row["evidence"]["latency"] or ""
    if row["facts"].get("fitted") == 0.0:
        tag += ", unfitted"
    detail = (f"p95 {milliseconds(latency['p95'])}, n = {count(latency['n'])}"
              if latency["p95"] is not None else "")
    return Fact("latency", milliseconds(latency["median"]), detail, tag)


def _placement(row: Row) -> Fact:
    share, parts = row["delegated_fraction"], row["partitions"]
    computed = f"computes in {row['compute_dtype']}" if row["compute_dtype"] else ""
    made = row["quantizer"]
    by = f"quantized by {made}" if made and made != "none" else ""
    detail = "; ".join(t for t in (computed, by) if t)
    if share is None:
        return Fact("placement", "whole graph", detail)
    partitions = f" in {plural(parts, 'partition')}" if parts else ""
    return Fact("placement", f"{percent(share, 0)} delegated{partitions}", detail)
