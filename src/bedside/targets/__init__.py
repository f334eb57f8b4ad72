"""Targets: one file a backend, one TOML profile a device.

A backend module offers

- ``available() -> Availability``: whether it works on this machine;
- ``build(variant_dir, variant, target, scratch) -> Build``: makes what the target runs;
- ``RUNNER``: the lazy name of ``open(file, threads)`` that a worker process calls;
- ``EVIDENCE``: how its accuracy and latency come about.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import ModuleType

from bedside import codec, registry
from bedside.errors import BadInput
from bedside.types import Target

BACKENDS: dict[str, str] = {
    "cpu": "bedside.targets.cpu",
}


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a backend works here, and what would make it work."""

    works: bool
    detail: str
    remedy: str | None = None


def backend(target: Target) -> ModuleType:
    """The module behind a target."""
    module: ModuleType = registry.lookup(BACKENDS, target.backend, "backend")
    return module


def _read(path: Path) -> Target:
    target = codec.read_toml(Target, path)
    if target.threads < 1:
        raise BadInput("threads must be 1 or more", where=path, remedy="Correct the profile.")
    return target


def profiles(run: Path | None = None) -> dict[str, Target]:
    """Every known target by id: the shipped profiles and those in ``RUN/targets``."""
    folder = Path(str(resources.files("bedside.targets") / "profiles"))
    files = sorted(folder.glob("*.toml"))
    if run is not None and (run / "targets").is_dir():
        files += sorted((run / "targets").glob("*.toml"))
    return {t.id: t for t in map(_read, files)}


def load(target_id: str, run: Path | None = None) -> Target:
    """One target by id.

    Raises:
        BadInput: no profile has this id.
    """
    known = profiles(run)
    if target_id not in known:
        raise BadInput(f"unknown target {target_id!r}",
                       remedy=registry.did_you_mean(target_id, known))
    return known[target_id]
