"""``bedside lint`` and ``bedside doctor``: targets before anything is run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bedside import targets
from bedside.cli import output
from bedside.core import codec, registry
from bedside.core.build import Placement, Target
from bedside.core.errors import BadInput, MissingComponent
from bedside.targets import subprocess_build
from bedside.targets.base import Availability, Placed
from bedside.targets.subprocess_build import Outcome

# Operations that share a reason are one row of a table from so many on.
MANY = 6


def available(backend: str) -> Availability:
    """Whether a backend works here; one whose packages are not installed does not."""
    try:
        state: Availability = registry.lookup(targets.BACKENDS, backend, "backend").available()
    except MissingComponent as error:
        return Availability(False, error.fault, error.remedy)
    return state


def check_run(run: Path | None) -> None:
    """Raises BadInput where the run folder that was given is not there."""
    if run is not None and not run.is_dir():
        raise BadInput("no such run folder", where=run, remedy="Check --run.")


# ------------------------------------------------------------------ lint


def lint(file: Path, names: Sequence[str], run: Path | None, every: bool, json: bool) -> None:
    """``bedside lint``: each target looks at the file in a child process.

    Raises:
        BadInput: no such file or target, or no target can read the file.
        MissingComponent: a target's backend does not work here (after the others are printed).
    """
    if not file.is_file():
        raise BadInput("no such file", where=file, remedy="Check the path.")
    check_run(run)
    chosen = [targets.load(name, run) for name in dict.fromkeys(names)]
    found = [(t, _look(file, t)) for t in chosen]
    if all(o.status == "failed" for _, o in found):
        raise BadInput(found[0][1].reason or "does not load. Give a whole .tflite file.",
                       where=file)
    if json:
        print(codec.to_json({"schema": 1, "file": file.name,
                             "targets": [_document(t, o) for t, o in found]}), end="")
    else:
        for target, outcome in found:
            _print(target, outcome, every)
    missing = next((o for _, o in found if o.missing), None)
    if missing is not None:
        raise MissingComponent(missing.reason or "a component is missing",
                               remedy="bedside doctor lists what works here.")


def _look(file: Path, target: Target) -> Outcome:
    state = available(target.backend)
    if not state.works:
        text = f"target {target.id!r} does not work here: {state.detail}. {state.remedy or ''}"
        return Outcome("unsupported", text.strip(), missing=True)
    return subprocess_build.place(file, target)


def _document(target: Target, outcome: Outcome) -> dict[str, Any]:
    placed = outcome.placed
    return {
        "target": target.id, "backend": target.backend,
        "status": _status(outcome), "reason": _reason(outcome),
        "remedy": placed.remedy if placed else None,
        "accelerator": placed.accelerator if placed else None,
        "partitions": placed.partitions if placed else None,
        "delegated_fraction": placed.delegated_fraction if placed else None,
        "operations": [codec.encode(p) for p in placed.placement] if placed else [],
    }


def _status(outcome: Outcome) -> str:
    return "unsupported" if outcome.placed and not outcome.placed.accepted else outcome.status


def _reason(outcome: Outcome) -> str | None:
    return outcome.placed.reason if outcome.placed else outcome.reason


def _print(target: Target, outcome: Outcome, every: bool) -> None:
    placed = outcome.placed
    if placed is None:
        output.stdout.print(f"{target.id}: {outcome.status}. {outcome.reason}", soft_wrap=True,
                             markup=False)
        return
    output.stdout.print(_headline(target, placed), soft_wrap=True, markup=False)
    rows = [p for p in placed.placement if every or p.runs_on != placed.accelerator]
    if rows:
        output.table("", ["#", "operation", "layer", "runs on", "why not there", "remedy"],
                      [_row(p) for p in rows] if every else _together(rows), {0})


def _row(p: Placement) -> list[str]:
    return [str(p.index), p.op, p.name, p.runs_on, p.reason or "", p.remedy or ""]


def _together(rows: Sequence[Placement]) -> list[list[str]]:
    """One row a reason, where many operations share it: kinds counted, the first layers named."""
    shared: dict[tuple[str, ...], list[Placement]] = {}
    for p in rows:
        shared.setdefault((p.runs_on, p.reason or "", p.remedy or ""), []).append(p)
    found = []
    for why, group in shared.items():
        if len(group) < MANY:
            found += [_row(p) for p in group]
            continue
        kinds = Counter(p.op for p in group)
        names = list(dict.fromkeys(p.name for p in group))
        layers = ", ".join(names[:3])
        if len(names) > 3:
            layers += f" and {len(names) - 3} more (--all lists each)"
        found.append([f"{group[0].index}…{group[-1].index}",
                      ", ".join(f"{n} × {op}" for op, n in kinds.most_common()), layers, *why])
    return found


def _headline(target: Target, placed: Placed) -> str:
    on = sum(p.runs_on == placed.accelerator for p in placed.placement)
    parts = [f"{target.id}: {on} of {len(placed.placement)} operations on {placed.accelerator}"]
    if placed.partitions is not None:
        parts.append(f"{placed.partitions} partition{'' if placed.partitions == 1 else 's'}")
    text = ", ".join(parts)
    if placed.accepted:
        return text
    return f"{text}. Unsupported: {placed.reason}. {placed.remedy or ''}".strip()


# ------------------------------------------------------------------ doctor


def doctor(names: Sequence[str], run: Path | None, json: bool) -> None:
    """``bedside doctor``: one row a backend, and one a board that is asked.

    Asked are boards that are named, and without names all of ``run``.

    Raises:
        BadInput: a name is neither a target nor a backend, or a named board's options cannot be.
        MissingComponent: one that was asked for does not work here (after the table).
    """
    check_run(run)
    known = targets.profiles(run)
    for name in names:
        if name not in known and name not in targets.BACKENDS:
            raise BadInput(f"unknown target {name!r}", remedy=_remedy(name, known, run))
    wanted = {name: known[name].backend if name in known else name for name in names}
    states = {b: available(b) for b in targets.BACKENDS if not wanted or b in wanted.values()}
    ids = {b: sorted(t.id for t in known.values() if t.backend == b) for b in states}
    boards = {t.id: _check(t, named=bool(names)) for t in known.values()
              if (t.id in wanted or not wanted) and t.backend in states
              and states[t.backend].works and hasattr(targets.backend(t), "check")}
    if json:
        print(codec.to_json({"schema": 1, "backends": [
            {"backend": b, "works": s.works, "detail": s.detail, "remedy": s.remedy,
             "version": s.version or None, "targets": ids[b]} for b, s in states.items()],
            "boards": [
            {"target": t, "backend": known[t].backend, "works": s.works, "detail": s.detail,
             "remedy": s.remedy} for t, s in boards.items()]}), end="")
    else:
        rows = [(b, s, ", ".join(i for i in ids[b] if i not in boards)) for b, s in states.items()]
        rows += [(known[t].backend, s, t) for t, s in boards.items()]
        output.table("", ["backend", "works", "what is here", "what to do", "targets"], [
            [b, "yes" if s.works else "no", s.detail, s.remedy or "", shown]
            for b, s, shown in rows])
    for name, backend in wanted.items():
        state = boards.get(name, states[backend])
        if not state.works:
            raise MissingComponent(f"target {name!r} does not work here: {state.detail}",
                                   remedy=state.remedy)


def _remedy(name: str, known: Mapping[str, Target], run: Path | None) -> str:
    meant = registry.did_you_mean(name, [*known, *targets.BACKENDS])
    return meant if run else f"{meant} A profile of your own: give --run RUN."


def _check(target: Target, *, named: bool) -> Availability:
    """Ask a device that is elsewhere."""
    try:
        state: Availability = targets.backend(target).check(target)
    except BadInput as error:
        if named:
            raise
        return Availability(False, error.fault, error.remedy)
    return state
