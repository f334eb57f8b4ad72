"""``bedside lint`` and ``doctor``: targets asked before anything is run on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bedside import targets
from bedside.core import registry
from bedside.core.build import Target
from bedside.core.errors import BadInput, MissingComponent
from bedside.targets import subprocess_build
from bedside.targets.base import Availability
from bedside.targets.subprocess_build import Outcome


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What works here: backends and boards by name.

    ``wanted`` are the names that were asked for, with the backend of each.
    """

    profiles: dict[str, Target]
    backends: dict[str, Availability]
    boards: dict[str, Availability]
    wanted: dict[str, str]

    def targets_of(self, backend: str) -> list[str]:
        """Return the ids of a backend's targets, sorted."""
        return sorted(t.id for t in self.profiles.values() if t.backend == backend)

    def require(self) -> None:
        """Raise MissingComponent for the first name asked for that does not work here."""
        for name, backend in self.wanted.items():
            _require(name, self.boards.get(name, self.backends[backend]))


def available(backend: str) -> Availability:
    """Return whether a backend works here; one whose packages are not installed does not."""
    try:
        state: Availability = registry.lookup(targets.BACKENDS, backend, "backend").available()
    except MissingComponent as error:
        return Availability(False, error.fault, error.remedy)
    return state


def need_targets(names: Iterable[str], run: Path | None) -> None:
    """Raise MissingComponent for the first of ``names`` whose backend does not work here."""
    for name in names:
        _require(name, targets.backend(targets.load(name, run)).available())


def _require(name: str, state: Availability) -> None:
    if not state.works:
        raise MissingComponent(f"target {name!r} does not work here: {state.detail}",
                               remedy=state.remedy)


def check_run(run: Path | None) -> None:
    """Raise BadInput where the run folder that was given is not there."""
    if run is not None and not run.is_dir():
        raise BadInput("no such run folder", where=run, remedy="Check --run.")


def lint(file: Path, names: Sequence[str], run: Path | None) -> list[tuple[Target, Outcome]]:
    """Let each target say, in a child process, where it would run a file's operations.

    Raises:
        BadInput: no such file or target, or no target can read the file.
    """
    if not file.is_file():
        raise BadInput("no such file", where=file, remedy="Check the path.")
    check_run(run)
    outcomes = [(t, _place(file, t)) for t in
                [targets.load(name, run) for name in dict.fromkeys(names)]]
    if all(o.status == "failed" for _, o in outcomes):
        raise BadInput(outcomes[0][1].reason or "does not load. Give a whole .tflite file.",
                       where=file)
    return outcomes


def _place(file: Path, target: Target) -> Outcome:
    state = available(target.backend)
    if not state.works:
        text = f"target {target.id!r} does not work here: {state.detail}. {state.remedy or ''}"
        return Outcome("unsupported", text.strip(), missing=True)
    return subprocess_build.place(file, target)


def doctor(names: Sequence[str], run: Path | None) -> Diagnosis:
    """Find out which backends work here, and ask the boards.

    Asked are boards that are named, and without names all of ``run``.

    Raises:
        BadInput: a name is neither a target nor a backend, or a named board's options cannot be.
    """
    check_run(run)
    known = targets.profiles(run)
    for name in names:
        if name not in known and name not in targets.BACKENDS:
            raise BadInput(f"unknown target {name!r}", remedy=_remedy(name, known, run))
    wanted = {name: known[name].backend if name in known else name for name in names}
    backends = {b: available(b) for b in targets.BACKENDS if not wanted or b in wanted.values()}
    boards = {t.id: _check(t, named=bool(names)) for t in known.values()
              if (t.id in wanted or not wanted) and t.backend in backends
              and backends[t.backend].works and hasattr(targets.backend(t), "check")}
    return Diagnosis(dict(known), backends, boards, wanted)


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
