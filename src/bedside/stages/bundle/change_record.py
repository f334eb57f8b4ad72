"""Change record: differences from the previous bundle, with a paired test on shared images."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path

import numpy as np

from bedside.core import codec
from bedside.core.build import Build
from bedside.core.errors import BadInput
from bedside.core.evidence import MISS_RATIO, miss_ratio_of
from bedside.core.evidence import Comparison as Paired
from bedside.core.evidence import OperatingPoint as Point
from bedside.core.study import EvidenceConfig
from bedside.metrics import compare
from bedside.metrics.compare import Side
from bedside.runfolder import layout, stored
from bedside.runtime.bundle.manifest import Change, Manifest, OperatingPoint
from bedside.runtime.bundle.reader import Bundle

Comparison = dict[str, float | int | str | None]


def point(shipped: OperatingPoint) -> Point:
    """Return a bundle's operating point as the log-odds at which the device decides."""
    t = shipped.threshold
    if t is None or not 0 < t < 1:
        return Point(shipped.rule, 0, None if t is None else math.copysign(math.inf, t - 0.5))
    return Point(shipped.rule, 0, math.log(t / (1 - t)) * shipped.temperature)


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
    found = [m for m in stored.measurements(previous_run) if m.status == "ok"
             and m.predictions and m.target == old.model.target
             and m.variant == old.model.variant
             and _holds(previous_run, m.variant, m.target, sha256)]
    if not found:
        return None, "the previous build's predictions are not in the run"
    before = stored.predictions(previous_run, found[0].variant, found[0].target).of("test")
    after = stored.predictions(run, manifest.model.variant, manifest.model.target).of("test")
    shared, i, j = np.intersect1d(before.ids, after.ids, return_indices=True)
    same = before.labels[i] == after.labels[j]
    shared, i, j = shared[same], i[same], j[same]
    if not len(shared):
        return None, "no test image is in both"
    old_side, new_side = (
        Side(shared, p.labels[k], p.logits[k].astype(np.float64), point(head.operating_point))
        for p, k, head in ((before, i, old), (after, j, manifest)))
    groups = {c.id: c.group or c.id for c in stored.cases(run)}
    positive = manifest.task.positive
    one = compare.compare(
        old_side, new_side, None if positive is None else manifest.task.classes.index(positive),
        [groups.get(str(v), str(v)) for v in shared], stored.study(run).evidence
        if layout.study_file(run).is_file() else EvidenceConfig())
    return _flat(compare.answers([one])[0], len(before.ids), len(after.ids)), None


def _flat(one: Paired, before: int, after: int) -> Comparison:
    """Return the paired answer as the flat table of ``change.json``; missing values are null."""
    flips, right = one.flips, one.tests["accuracy"]
    facts: Comparison = {
        "test": "paired, as in the evidence of the run: McNemar (exact) and DeLong",
        "images": one.n, "only_before": before - one.n, "only_after": after - one.n,
        "right_before": None if right.old is None else round(right.old * one.n),
        "right_after": None if right.new is None else round(right.new * one.n),
        "lost": None if flips is None else flips.lost,
        "gained": None if flips is None else flips.gained,
        "p_value": right.p_value, "answer": one.answer, "reason": one.reason or right.reason}
    for name, test in one.tests.items():
        if name == MISS_RATIO:
            value, low, high = miss_ratio_of(test.difference)
            facts |= {name: value, f"{name}_low": low, f"{name}_high": high}
            continue
        facts |= {f"{name}_before": test.old, f"{name}_after": test.new,
                  f"{name}_difference": test.difference.value,
                  f"{name}_low": test.difference.low, f"{name}_high": test.difference.high,
                  f"{name}_decides_low": test.excluded, f"{name}_decides_high": test.ceiling,
                  f"{name}_p_value": test.p_value}
    return facts


def _holds(run: Path, variant: str, target: str, sha256: str) -> bool:
    folder = layout.build_dir(run, variant, target)
    if not (folder / layout.BUILD).is_file():
        return False
    return sha256 in codec.read_json(Build, folder / layout.BUILD).files.values()
