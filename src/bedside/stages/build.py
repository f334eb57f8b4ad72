"""Stage ``build``: the files a target really runs for a variant."""

from __future__ import annotations

import shutil
from pathlib import Path

from bedside import targets
from bedside.core import codec
from bedside.core.build import Build, Target, Variant
from bedside.core.types import Status
from bedside.runfolder import artefact, layout
from bedside.targets import subprocess_build
from bedside.targets.base import Availability, BuildRequest


def build(run: Path, variant_id: str, target_id: str) -> bool:
    """Build one variant for one target; False where it was finished already.

    A variant that failed or that the target cannot run, a build that fails or a component that is
    not installed becomes a build without files, whose status and reason stand in the results.
    Compiling again is tried once the component's version or the variant changes.

    Raises:
        BadInput: no such target, or the variant has not been made or was changed since.
    """
    target = targets.load(target_id, run)
    state: Availability = targets.backend(target).available()
    folder = layout.build_dir(run, variant_id, target_id)
    variant_dir = layout.variant_dir(run, variant_id)
    entry = artefact.check(variant_dir, "quantize")
    variant = codec.read_json(Variant, variant_dir / layout.VARIANT)
    file = entry.files[variant.file].sha256 if variant.status == "ok" else variant.reason
    key = artefact.stage_key("build 2", file, target, state.works, state.version,
                             *_more(target, run))
    if artefact.finished(folder, "build", key) and not _again(target, folder):
        return False
    with artefact.writing(folder, "build", key) as scratch:
        refused = _refusal(variant, target, state)
        made = (_make(BuildRequest(variant, target, variant_dir, run, scratch)) if refused is None
                else _nothing(variant, target, *refused))
        artefact.write_text(scratch / layout.BUILD, codec.to_json(made))
    return True


def _refusal(variant: Variant, target: Target, state: Availability
             ) -> tuple[Status, str | None] | None:
    """Return status and reason of a build that is not tried, or None."""
    if variant.status != "ok":
        return "failed", variant.reason
    if not state.works:
        return "unsupported", f"not available on this machine: {state.detail}. {state.remedy or ''}"
    if not variant.task.classes and not getattr(targets.backend(target), "TAKES_ANY", False):
        return "unsupported", ("this target is checked by its logits, and the file has no single "
                               "row of them. Take cpu, or a target with an estimate.")
    return None


def _more(target: Target, run: Path) -> list[object]:
    """Return what else the backend's builds depend on; nothing for most backends."""
    depends = getattr(targets.backend(target), "depends", None)
    return [] if depends is None else [depends(target, run)]


def _again(target: Target, folder: Path) -> bool:
    """Return whether a failed build may succeed another time (its board was off)."""
    return (getattr(targets.backend(target), "TRIES_AGAIN", False)
            and codec.read_json(Build, folder / layout.BUILD).status == "failed")


def _make(request: BuildRequest) -> Build:
    outcome = subprocess_build.build(request)
    if outcome.build is not None:
        return outcome.build
    for left in request.scratch.iterdir():  # half a build is no build
        if left.is_dir():
            shutil.rmtree(left)
        elif not left.name.startswith("."):
            left.unlink()
    return _nothing(request.variant, request.target, outcome.status, outcome.reason)


def _nothing(variant: Variant, target: Target, status: str, reason: str | None) -> Build:
    return Build(variant=variant.id, target=target.id, format="none", files={},
                 quantizer="none", status="unsupported" if status == "unsupported" else "failed",
                 reason=(reason or "no reason was given").strip())
