"""Stage ``build``: what each target really runs for a variant."""

from __future__ import annotations

from pathlib import Path

from bedside import artefact, codec, rundir, targets
from bedside.errors import MissingComponent
from bedside.types import Variant


def build(run: Path, variant_id: str, target_id: str) -> bool:
    """Build one variant for one target; False where it was finished already.

    Raises:
        MissingComponent: the target's backend does not work on this machine.
        BadInput: the variant has not been made or was changed since.
    """
    target = targets.load(target_id, run)
    module = targets.backend(target)
    folder = rundir.build_dir(run, variant_id, target_id)
    variant_dir = rundir.variant_dir(run, variant_id)
    entry = artefact.check(variant_dir, "quantize")
    variant = codec.read_json(Variant, variant_dir / rundir.VARIANT)
    key = artefact.stage_key("build", entry.files[variant.file].sha256, target)
    if artefact.finished(folder, "build", key):
        return False
    state = module.available()
    if not state.works:
        raise MissingComponent(f"target {target_id!r} does not work here: {state.detail}",
                               remedy=state.remedy)
    with artefact.writing(folder, "build", key) as scratch:
        made = module.build(variant_dir, variant, target, scratch)
        artefact.write_text(scratch / rundir.BUILD, codec.to_json(made))
    return True
