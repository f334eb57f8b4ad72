"""Card values about the data set."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from bedside.card.facts import Facts
from bedside.core import codec
from bedside.metrics.stats import proportion
from bedside.runfolder import artefact

PARTS = ("train", "val", "test")
# The fact of that name in the manifest of an import (data.deid.batch).
_DEVICES = "devices"


def _audit(facts: Facts) -> dict[str, Any] | None:
    found = facts.document("data/audit.json")
    return found if isinstance(found, dict) else None


def image_sizes(facts: Facts) -> Any:
    """Count images by width × height, the five most frequent."""
    sizes = Counter(f"{c.width_px} × {c.height_px} px" for c in facts.cases if c.width_px)
    found = dict(sizes.most_common(5))
    rest = sum(sizes.values()) - sum(found.values())
    return {**found, "other sizes": rest} if rest else found


def _root(facts: Facts) -> Path | None:
    source = facts.document("data/source.json")
    if not isinstance(source, dict) or "root" not in source:
        return None
    return facts.run / str(source["root"])


def _import_facts(facts: Facts) -> dict[str, str] | None:
    root = _root(facts)
    if root is None or not (root / artefact.MANIFEST).is_file():
        return None
    stages = artefact.read_manifest(root).stages
    entry = stages.get("import") or stages.get("deid")
    return None if entry is None else dict(entry.facts)


def _ledger(facts: Facts) -> list[dict[str, str]]:
    root = _root(facts)
    if root is None or not (root / "ledger.csv").is_file():
        return []
    return list(csv.DictReader(io.StringIO(codec.read_text(root / "ledger.csv"))))


def devices(facts: Facts) -> Any:
    """Count DICOM files by make and model at import, else images by the data set's device."""
    counted = (_import_facts(facts) or {}).get(_DEVICES)
    if counted:
        return codec.parse_json(counted, "data/manifest.json")
    return dict(Counter(c.device for c in facts.cases if c.device).most_common())


def imported(facts: Facts) -> Any:
    """Count files at import by outcome, with reasons."""
    rows = _ledger(facts)
    counts = Counter(r["status"] if r["status"] == "ok" else f"{r['status']}: {r['reason']}"
                     for r in rows)
    return dict(counts.most_common())


def set_aside(facts: Facts) -> Any:
    """Count the unused inputs by reason, without file names."""
    found = _audit(facts)
    if found is None:
        return None
    counts = Counter(str(row["reason"]) for row in found.get("set_aside", []))
    return dict(counts.most_common()) or "none"


def duplicates(facts: Facts) -> Any:
    """Count the near-duplicates, and groups with conflicting labels."""
    found = _audit(facts)
    if found is None:
        return None
    return {"pairs": len(found.get("duplicates", [])), "groups of images": found.get("groups"),
            "pictures under several labels": len(found.get("conflicts", []))}


def used(facts: Facts) -> Any:
    """Count images by part and class."""
    counts: Counter[tuple[str, str]] = Counter((c.split, c.label) for c in facts.cases)
    return {p: {k: counts[p, k] for k in facts.task.classes} for p in PARTS} if counts else None


def deidentification(facts: Facts) -> Any:
    """Return profile and options as the import recorded them."""
    found = _import_facts(facts)
    return None if found is None else {k: v for k, v in found.items() if k != _DEVICES}


def partition_unit(facts: Facts) -> Any:
    """Return the unit that never spans two parts."""
    if not facts.cases:
        return None
    named = sum(c.patient is not None for c in facts.cases)
    return ("patient and near-duplicates" if named == len(facts.cases) else
            f"near-duplicates, and patients where they are known ({named} of {len(facts.cases)} "
            "images)" if named else "near-duplicates: the data set names no patient")


def _column(facts: Facts, name: str) -> Any:
    found = {}
    for part in PARTS:
        cases = [c for c in facts.cases if c.split == part]
        values = [float(v) for c in cases if (v := getattr(c, name)) is not None]
        if values:
            found[part] = {"mean": mean(values), "sd": stdev(values) if len(values) > 1 else None,
                           "lowest": min(values), "highest": max(values), "n": len(values),
                           "unknown": len(cases) - len(values)}
    return found


def ages(facts: Facts) -> Any:
    """Return age by part."""
    return _column(facts, "age")


def lesion_sizes(facts: Facts) -> Any:
    """Return lesion size by part."""
    return _column(facts, "size_mm")


def precision(facts: Facts) -> Any:
    """Return the width of the interval of sensitivity for this number of positive test images."""
    if facts.task.positive is None:
        return None
    n = sum(c.split == "test" and c.label == facts.task.positive for c in facts.cases)
    wanted = facts.study.evidence.required_sensitivity
    found = proportion(round(wanted * n), n, "no positive test image")
    if found.value is None or found.low is None or found.high is None:
        return {"value": None, "reason": found.reason}
    return {"target": wanted, "positive test images": n, "interval": [found.low, found.high],
            "width": found.high - found.low}


def one_preprocessing(facts: Facts) -> Any:
    """Return whether network and every variant share one preprocessing."""
    if not facts.variants:
        return None
    return "yes" if all(v.preprocess == facts.spec.preprocess for v in facts.variants) else "no"
