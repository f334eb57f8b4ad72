"""The change record: what differs from the bundle before, with a paired test on the same images."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bedside import codec, rundir
from bedside.errors import BadInput
from bedside.runtime.bundle.manifest import Change, Manifest, OperatingPoint
from bedside.runtime.bundle.reader import Bundle
from bedside.types import Build, Task

Comparison = dict[str, float | int | str | None]


def mcnemar(lost: int, gained: int) -> float:
    """Two-sided exact McNemar test: binomial with probability ½ (McNemar 1947)."""
    changed = lost + gained
    if changed == 0:
        return 1.0
    tail: int = sum(math.comb(changed, k) for k in range(min(lost, gained) + 1))
    return min(1.0, float(2 * tail / 2 ** changed))


def decisions(logits: npt.NDArray[np.float32], task: Task, point: OperatingPoint
              ) -> npt.NDArray[np.int64]:
    """Answered class of each row of logits (n, K), as the device decides."""
    if task.positive is None or point.threshold is None:
        likeliest: npt.NDArray[np.int64] = logits.argmax(axis=1).astype(np.int64)
        return likeliest
    odds = (logits[:, 1].astype(np.float64) - logits[:, 0]) / point.temperature
    limit = math.log(point.threshold / (1 - point.threshold))
    found: npt.NDArray[np.int64] = (odds >= limit).astype(np.int64)
    return found


def record(run: Path, manifest: Manifest, model_sha256: str, previous: Bundle,
           previous_run: Path | None) -> Change:
    """Compare a new bundle's manifest with the previous bundle.

    The previous build's predictions are looked for in ``previous_run``, else in ``run``: they
    never leave a workbench, so a bundle does not carry them.

    Raises:
        BadInput: ``previous_run`` is given and does not hold them.
    """
    old = previous.manifest
    changed = [f.name for f in fields(Manifest) if f.name != "files"
               and codec.encode(getattr(old, f.name)) != codec.encode(getattr(manifest, f.name))]
    if old.files[old.model.file].sha256 != model_sha256:
        changed.append("model file")
    comparison, reason = _compare(run, manifest, previous, previous_run or run)
    if comparison is None and previous_run is not None:
        raise BadInput(reason or "", where=previous_run,
                       remedy="Give the run that the previous bundle came from.")
    return Change(previous.id, old.name, tuple(changed), comparison, reason)


def _compare(run: Path, manifest: Manifest, previous: Bundle, previous_run: Path
             ) -> tuple[Comparison | None, str | None]:
    old = previous.manifest
    if old.task.classes != manifest.task.classes:
        return None, "the classes differ"
    sha256 = old.files[old.model.file].sha256
    found = [m for m in rundir.measurements(previous_run) if m.status == "ok"
             and m.predictions and m.target == old.model.target
             and m.variant == old.model.variant
             and _holds(previous_run, m.variant, m.target, sha256)]
    if not found:
        return None, "the previous build's predictions are not in the run"
    before = rundir.predictions(previous_run, found[0].variant, found[0].target).of("test")
    after = rundir.predictions(run, manifest.model.variant, manifest.model.target).of("test")
    shared, i, j = np.intersect1d(before.ids, after.ids, return_indices=True)
    if not len(shared):
        return None, "no test image is in both"
    labels = after.labels[j]
    right_before = decisions(before.logits[i], old.task, old.operating_point) == labels
    right_after = decisions(after.logits[j], manifest.task, manifest.operating_point) == labels
    lost = int((right_before & ~right_after).sum())
    gained = int((~right_before & right_after).sum())
    return {"test": "McNemar, exact, two-sided", "images": len(shared),
            "only_before": len(before.ids) - len(shared),
            "only_after": len(after.ids) - len(shared),
            "right_before": int(right_before.sum()), "right_after": int(right_after.sum()),
            "lost": lost, "gained": gained, "p_value": mcnemar(lost, gained)}, None


def _holds(run: Path, variant: str, target: str, sha256: str) -> bool:
    folder = rundir.build_dir(run, variant, target)
    if not (folder / rundir.BUILD).is_file():
        return False
    return sha256 in codec.read_json(Build, folder / rundir.BUILD).files.values()
