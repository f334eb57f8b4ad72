"""Comparison of two runs, with paired tests on the test images they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bedside.core import codec
from bedside.core.build import Measurement
from bedside.core.errors import BadInput
from bedside.core.evidence import Comparison, OperatingPoint
from bedside.core.recommendation import Speed
from bedside.core.study import EvidenceConfig
from bedside.core.types import Case, Estimate, Task
from bedside.metrics import compare
from bedside.runfolder import artefact, layout, stored
from bedside.stages.evidence import cells as measured_cells
from bedside.stages.evidence.stage import STAGE, model_key
from bedside.stages.recommend.stage import speed
from bedside.stages.recommend.wording import same_speed

SPLIT = "test"
SETS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Setting:
    """A key of ``study.toml`` that differs; null where one run does not have it."""

    key: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class DataChange:
    """Images by part, old and new, and how many differ; matched by case id."""

    counts: dict[str, tuple[int, int]] = field(default_factory=dict)
    only_old: int = 0
    only_new: int = 0
    moved: int = 0
    relabelled: int = 0


@dataclass(frozen=True, slots=True)
class LatencyChange:
    """Measured medians of one cell in both runs; ``ratio`` is new over old.

    ``apart``: the ranges of their rounds' medians do not overlap and the medians differ by more
    than a few percent. Null with a ``reason`` where they cannot be compared.
    """

    old: Speed | None = None
    new: Speed | None = None
    ratio: float | None = None
    apart: bool | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class CellChange:
    """One variant on one target in both runs.

    ``metrics`` are old and new on each run's own images, at its locked threshold where it has one;
    ``test`` is the paired test on the test images that both predicted, at the same thresholds.
    """

    variant: str
    target: str
    old_status: str
    new_status: str
    same_file: bool
    size_bytes: tuple[int, int]
    latency: LatencyChange
    metrics: dict[str, tuple[Estimate, Estimate]]
    test: Comparison
    against: str = ""


@dataclass(frozen=True, slots=True)
class RunDiff:
    """Everything that differs between two runs."""

    schema: int
    old: str
    new: str
    settings: tuple[Setting, ...]
    data: DataChange
    added: tuple[str, ...]
    removed: tuple[str, ...]
    recommended: dict[str, tuple[str | None, str | None]]
    cells: tuple[CellChange, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Run:
    path: Path
    task: Task
    cases: Mapping[str, Case]
    measured: Mapping[str, Measurement]
    points: Mapping[str, OperatingPoint]


# ------------------------------------------------------------------ reading


def _read(run: Path) -> _Run:
    stored.require_intact(run)  # what is damaged is not "gone"
    every = {layout.cell_name(m.variant, m.target): m for m in stored.decided(run)}
    task = stored.task(run)
    points: dict[str, OperatingPoint] = {}
    cases = {c.id: c for c in stored.cases(run)}
    config = stored.study(run).evidence
    for model in dict.fromkeys(m.model for m in every.values()):
        usable = [m for m in every.values() if m.model == model and stored.usable(m)]
        key = model_key(run, model, usable, cases, task, config)
        if artefact.finished(layout.evidence_dir(run, model), STAGE, key):
            found = stored.operating_points(run, model)
        else:  # none yet, or a cell was measured since
            cells = [measured_cells.Cell(m, stored.predictions(run, m.variant, m.target))
                     for m in usable]
            found = measured_cells.operating_points(model, cells, task, config)
        points |= {name: found.locked or own for name, own in found.cells.items()}
    return _Run(run, task, cases, every, points)


def settings(old: Path, new: Path) -> tuple[Setting, ...]:
    """Return keys of the configurations that differ."""
    before, after = (codec.flat(codec.encode(stored.study(r))) for r in (old, new))
    return tuple(Setting(k, before.get(k), after.get(k)) for k in dict.fromkeys([*before, *after])
                 if before.get(k) != after.get(k))


def data_change(old: Mapping[str, Case], new: Mapping[str, Case]) -> DataChange:
    """Return how the cases of two runs differ."""
    shared = set(old) & set(new)
    return DataChange(
        {s: (sum(c.split == s for c in old.values()), sum(c.split == s for c in new.values()))
         for s in SETS},
        len(set(old) - shared), len(set(new) - shared),
        sum(old[i].split != new[i].split for i in shared),
        sum(old[i].label != new[i].label for i in shared))


# ------------------------------------------------------------------ comparing


def diff(old: Path, new: Path, pairs: Sequence[tuple[str, str]] = ()) -> RunDiff:
    """Compare two runs; neither is written to.

    Args:
        old: the earlier run.
        new: the later one; its margins hold.
        pairs: cells of different names to compare too, (old, new).

    Raises:
        BadInput: not a run, other classes, or no test image in common.
    """
    for run in (old, new):
        if not layout.study_file(run).is_file():
            raise BadInput("not a run folder (no study.toml)", where=run,
                           remedy="Give a folder that bedside run made.")
    config = stored.study(new).evidence
    before, after = _read(old), _read(new)
    if (before.task.classes, before.task.positive) != (after.task.classes, after.task.positive):
        raise BadInput(f"its classes are {', '.join(before.task.classes)}, not "
                       f"{', '.join(after.task.classes)} as in {new}", where=old,
                       remedy="Compare runs of one task.")
    names = [(n, n) for n in after.measured if n in before.measured]
    names += [(a, b) for a, b in pairs if a != b and a in before.measured and b in after.measured]
    cells = [_cell(before, after, a, b, config) for a, b in names]
    tested = _answered(cells)
    compared = [c for c in tested if c.old_status == c.new_status == "ok"]
    if compared and not any(c.test.n for c in compared):
        raise BadInput(f"no test image is in both this run and {old}", where=new,
                       remedy="Compare runs whose test sets overlap (same data, same split).")
    return RunDiff(1, str(old), str(new), settings(old, new),
                   data_change(before.cases, after.cases),
                   tuple(n for n in after.measured if n not in before.measured),
                   tuple(n for n in before.measured if n not in after.measured),
                   _recommended(old, new), tuple(tested), _notes(tested))


def _cell(before: _Run, after: _Run, a: str, b: str, config: EvidenceConfig) -> CellChange:
    old, new = before.measured[a], after.measured[b]
    shared = {n: (old.metrics[SPLIT][n], new.metrics[SPLIT][n])
              for n in new.metrics.get(SPLIT, {}) if n in old.metrics.get(SPLIT, {})}
    test = Comparison(new.variant, new.target, a, SPLIT, 0, reason="one of them predicts nothing")
    if stored.usable(old) and stored.usable(new):
        test = _paired(before, after, a, b, config)
    return CellChange(
        new.variant, new.target, old.status, new.status,
        old.variant_sha256 is not None and old.variant_sha256 == new.variant_sha256,
        (old.size_bytes, new.size_bytes), _latency(before, after, old, new), shared, test,
        "" if a == b else a)


def _paired(before: _Run, after: _Run, a: str, b: str, config: EvidenceConfig) -> Comparison:
    sides = [measured_cells.side(measured_cells.Cell(r.measured[n], stored.predictions(
        r.path, r.measured[n].variant, r.measured[n].target)), SPLIT, r.points[n])
        for r, n in ((before, a), (after, b))]
    old, new, only = measured_cells.matched(*sides)
    groups = [after.cases[str(i)].group or str(i) if str(i) in after.cases else str(i)
              for i in old.ids]
    found = compare.compare(old, new, measured_cells.positive_index(after.task), groups, config)
    m = after.measured[b]
    return replace(found, variant=m.variant, target=m.target, against=a, split=SPLIT,
                   only_old=only[0], only_new=only[1])


def _answered(cells: Sequence[CellChange]) -> list[CellChange]:
    """Give the comparisons their answers, adjusted together after Holm."""
    # Two comparisons of one cell (by name, and as the recommended one) need separate names.
    named = [replace(c.test, target=f"{c.test.target}|{c.against}") for c in cells]
    done = compare.answers(named)
    return [replace(c, test=replace(d, target=c.target)) for c, d in zip(cells, done, strict=True)]


def _latency(before: _Run, after: _Run, old: Measurement, new: Measurement) -> LatencyChange:
    one, two = speed(before.path, old), speed(after.path, new)
    if one is None or two is None:
        return LatencyChange(one, two, reason="one of them has no latency")
    kinds = {m.evidence.get("latency") for m in (old, new)}
    if kinds != {"measured"}:
        return LatencyChange(one, two, reason="only measured latencies are compared")
    for name in ("processor", "system"):
        if old.machine.get(name) != new.machine.get(name):
            return LatencyChange(one, two, reason=f"measured on different machines ({name})")
    if old.latency_ms is not None and new.latency_ms is not None and (
            old.latency_ms.threads != new.latency_ms.threads):
        return LatencyChange(one, two, reason="measured with different numbers of threads")
    ratio = two.median / one.median if one.median > 0 else None
    return LatencyChange(one, two, ratio, not same_speed(one, two))


def _recommended(old: Path, new: Path) -> dict[str, tuple[str | None, str | None]]:
    chosen = [{r.target: r.chosen for r in stored.recommendations(run).recommendations}
              if artefact.finished(run, "recommend") else {} for run in (old, new)]
    return {t: (chosen[0].get(t), chosen[1].get(t)) for t in dict.fromkeys([*chosen[0],
                                                                           *chosen[1]])}


def _notes(cells: Sequence[CellChange]) -> tuple[str, ...]:
    odd = [c for c in cells if c.test.n and (c.test.only_old or c.test.only_new)]
    if not odd:
        return ()
    c = odd[0]
    return (f"the runs have different test images: tests use the {c.test.n} that both predicted; "
            f"{c.test.only_old} are in the old run only and {c.test.only_new} in the new one only",)
