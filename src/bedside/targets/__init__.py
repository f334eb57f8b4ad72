"""Targets: one file per backend, one TOML profile per device.

A backend module offers

- ``available() -> Availability``: whether it works on this machine (quick; loads no engine);
- ``build(request: BuildRequest) -> Build``: writes what the target runs into
  ``request.scratch``; raises ``Unsupported`` where the target cannot run the variant,
  ``BadInput`` where the build fails;
- ``place(file, target, scratch) -> Placed``: where the operations of a ``.tflite`` would run,
  and why not on the accelerator, before anything is run (``bedside lint``);
- ``RUNNER``: the lazy name of ``open(file, threads)`` that a worker process calls, and whose
  ``run(image)`` gives outputs by name;
- ``EVIDENCE``: the evidence of each quantity that it gives (a build may override it).

``build`` and ``place`` are called in a child process (``subprocess_build``). Optional are:

- ``IMAGES`` and ``BUDGET_S``: how many images a cell takes, and seconds, where it is slow;
- ``BUILD_TIMEOUT_S``;
- ``depends(target, run) -> object``: what its builds depend on besides the variant, the profile
  and the version; plain data, part of a build's key;
- ``REFERENCE``: the lazy name of a runner of the variant's own file, to compare logits with,
  and ``accept(agreement) -> str | None``: the reason why such an agreement is not enough;
- ``check(target) -> Availability``: asks a device that is elsewhere (``bedside doctor``);
- ``run_job(target, job, work, on_progress, timeout_s) -> JobResult``: does a worker's job
  elsewhere than in a process on this machine;
- ``TAKES_ANY``: it times files that give no logits (detectors, segmenters) too;
- ``TRIES_AGAIN``: a failed build or cell is tried again at the next run (a board was off).
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from types import ModuleType

from bedside.core import codec, registry
from bedside.core.build import Target
from bedside.core.errors import BadInput
from bedside.targets.base import Availability, BuildRequest, Placed

__all__ = ["BACKENDS", "Availability", "BuildRequest", "Placed", "backend", "load", "profiles"]

BACKENDS: dict[str, str] = {
    "cpu": "bedside.targets.cpu",
    "ethos-u": "bedside.targets.ethos_u",
    "gpu": "bedside.targets.gpu",
    "hexagon": "bedside.targets.hexagon",
    "estimate": "bedside.targets.estimate",
    "onnxruntime": "bedside.targets.onnx_cpu",
    "openvino": "bedside.targets.openvino_cpu",
    "ssh": "bedside.targets.ssh",
}


def backend(target: Target) -> ModuleType:
    """Return the module behind a target."""
    module: ModuleType = registry.lookup(BACKENDS, target.backend, "backend")
    return module


def _read(path: Path) -> Target:
    target = codec.read_toml(Target, path)
    if target.threads < 1:
        raise BadInput("threads must be 1 or more", where=path, remedy="Correct the profile.")
    if not registry.is_plain_name(target.id):
        raise BadInput(f"{target.id!r} is not a valid target id", where=path,
                       remedy=f"It names folders: {registry.PLAIN_NAME}.")
    return target


def profiles(run: Path | None = None) -> dict[str, Target]:
    """Return every known target by id: the shipped profiles and those in ``RUN/targets``."""
    folder = Path(str(resources.files("bedside.targets") / "profiles"))
    files = sorted(folder.glob("*.toml"))
    if run is not None:
        # Late: on a board this module stands without the run folder's.
        from bedside.runfolder import layout

        files += layout.target_profiles(run)
    return {t.id: t for t in map(_read, files)}


def load(target_id: str, run: Path | None = None) -> Target:
    """Return a target by id.

    Raises:
        BadInput: no profile has this id.
    """
    known = profiles(run)
    if target_id not in known:
        raise BadInput(f"unknown target {target_id!r}",
                       remedy=registry.did_you_mean(target_id, known))
    return known[target_id]
