"""``lint``, ``doctor`` and ``bench``: targets, and single files on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bedside.cli import output
from bedside.cli.options import Json, Profiles
from bedside.cli.output import Reporter
from bedside.core.errors import MissingComponent

if TYPE_CHECKING:
    from bedside.core.build import Measurement, Placement, Target
    from bedside.targets.base import Placed
    from bedside.targets.subprocess_build import Outcome

# Operations that share a reason are one row of a table from so many on.
MANY = 6


def lint(
    file: Annotated[Path, typer.Argument(help="A .tflite file.")],
    target: Annotated[list[str], typer.Option(help="A target; repeat for more.")],
    run: Profiles = None,
    all_operations: Annotated[bool, typer.Option(
        "--all", help="List every operation, not only those off the accelerator.")] = False,
    json: Json = False,
) -> None:
    """Say which operations of a file would run where, and why not on the accelerator."""
    from bedside.flows import doctor

    outcomes = doctor.lint(file, target, run)
    if json:
        output.print_json({"schema": 1, "file": file.name,
                           "targets": [_document(t, o) for t, o in outcomes]})
    else:
        for t, outcome in outcomes:
            _print_lint(t, outcome, all_operations)
    missing = next((o for _, o in outcomes if o.missing), None)
    if missing is not None:
        raise MissingComponent(missing.reason or "a component is missing",
                               remedy="bedside doctor lists what works here.")


def doctor(
    target: Annotated[list[str] | None, typer.Option(
        help="Only this target or backend, and exit 3 where it does not work; repeat for more.",
    )] = None,
    run: Annotated[Path | None, typer.Option(
        help="A run folder, for device profiles of your own (RUN/targets): its boards are asked.",
    )] = None,
    json: Json = False,
) -> None:
    """Say which targets work on this machine, what is missing and how to install it."""
    from bedside.flows.doctor import doctor as diagnose

    result = diagnose(target or [], run)
    profiles, boards = result.profiles, result.boards
    if json:
        output.print_json({"schema": 1, "backends": [
            {"backend": b, "works": s.works, "detail": s.detail, "remedy": s.remedy,
             "version": s.version or None, "targets": result.targets_of(b)}
            for b, s in result.backends.items()],
            "boards": [
            {"target": t, "backend": profiles[t].backend, "works": s.works, "detail": s.detail,
             "remedy": s.remedy} for t, s in boards.items()]})
    else:
        rows = [(b, s, ", ".join(i for i in result.targets_of(b) if i not in boards))
                for b, s in result.backends.items()]
        rows += [(profiles[t].backend, s, t) for t, s in boards.items()]
        output.table("", ["backend", "works", "what is here", "what to do", "targets"], [
            [b, "yes" if s.works else "no", s.detail, s.remedy or "", ids] for b, s, ids in rows])
    result.require()


def bench(
    file: Annotated[Path, typer.Argument(help="A .tflite file.")],
    target: Annotated[list[str] | None, typer.Option(
        help="A target (default: cpu); repeat for more.")] = None,
    run: Profiles = None,
    rounds: Annotated[int, typer.Option(
        min=1, max=1000, help="Fresh processes a target, interleaved.")] = 5,
    json: Json = False,
) -> None:
    """Time one model file on targets, without a study."""
    from dataclasses import replace

    from bedside.flows import bench as timing
    from bedside.flows.doctor import check_run, need_targets

    check_run(run)
    names = target or ["cpu"]
    with Reporter() as progress:
        rows = timing.bench(file, names, replace(timing.ROUNDS, rounds=rounds), progress, run)
    if json:
        output.print_json({"schema": 1, "file": file.name, "rows": rows})
    else:
        output.table("", ["target", "status", "ms", "p95", "how", "computes in", "delegated"],
                     [_bench_row(m) for m in rows], {2, 3})
        for m in rows:
            text = m.latency_note if m.status == "ok" else m.reason
            if text:
                output.say(f"{m.target}: {text}")
    need_targets(names, run)


def _document(target: Target, outcome: Outcome) -> dict[str, Any]:
    from bedside.core import codec

    placed = outcome.placed
    return {
        "target": target.id, "backend": target.backend,
        "status": "unsupported" if placed and not placed.accepted else outcome.status,
        "reason": placed.reason if placed else outcome.reason,
        "remedy": placed.remedy if placed else None,
        "accelerator": placed.accelerator if placed else None,
        "partitions": placed.partitions if placed else None,
        "delegated_fraction": placed.delegated_fraction if placed else None,
        "operations": [codec.encode(p) for p in placed.placement] if placed else [],
    }


def _print_lint(target: Target, outcome: Outcome, every: bool) -> None:
    placed = outcome.placed
    if placed is None:
        output.say(f"{target.id}: {outcome.status}. {outcome.reason}")
        return
    output.say(_headline(target, placed))
    rows = [p for p in placed.placement if every or p.runs_on != placed.accelerator]
    if rows:
        output.table("", ["#", "operation", "layer", "runs on", "why not there", "remedy"],
                     [_row(p) for p in rows] if every else _together(rows), {0})


def _row(p: Placement) -> list[str]:
    return [str(p.index), p.op, p.name, p.runs_on, p.reason or "", p.remedy or ""]


def _together(rows: Sequence[Placement]) -> list[list[str]]:
    """Return a row a reason where many operations share it, with their kinds counted."""
    shared: dict[tuple[str, ...], list[Placement]] = {}
    for p in rows:
        shared.setdefault((p.runs_on, p.reason or "", p.remedy or ""), []).append(p)
    table = []
    for why, group in shared.items():
        if len(group) < MANY:
            table += [_row(p) for p in group]
            continue
        kinds = Counter(p.op for p in group)
        names = list(dict.fromkeys(p.name for p in group))
        layers = ", ".join(names[:3])
        if len(names) > 3:
            layers += f" and {len(names) - 3} more (--all lists each)"
        table.append([f"{group[0].index}…{group[-1].index}",
                      ", ".join(f"{n} × {op}" for op, n in kinds.most_common()), layers, *why])
    return table


def _headline(target: Target, placed: Placed) -> str:
    on = sum(p.runs_on == placed.accelerator for p in placed.placement)
    parts = [f"{target.id}: {on} of {len(placed.placement)} operations on {placed.accelerator}"]
    if placed.partitions is not None:
        parts.append(f"{placed.partitions} partition{'' if placed.partitions == 1 else 's'}")
    text = ", ".join(parts)
    if placed.accepted:
        return text
    return f"{text}. Unsupported: {placed.reason}. {placed.remedy or ''}".strip()


def _bench_row(m: Measurement) -> list[str]:
    latency = m.latency_ms
    share = f"{m.delegated_fraction:.0%}" if m.delegated_fraction is not None else "—"
    return [m.target, m.status,
            f"{latency.median:.2f}" if latency else "—",
            f"{latency.p95:.2f}" if latency and latency.p95 is not None else "—",
            m.evidence.get("latency", "—") if latency else "—", m.compute_dtype or "—", share]
