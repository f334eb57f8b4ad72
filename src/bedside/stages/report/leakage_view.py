"""Comparison of a split by image with a split by group, for the report and the audit page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bedside.core.text import plural
from bedside.runfolder import artefact, layout

STAGE = "leakage"
_NAMES = {"image": "by image", "group": "by group"}


def view(run: Path) -> dict[str, Any] | None:
    """Read the comparison, or return None where none was made for the run's present cases.

    Args:
        run: a run folder whose data stage has finished.
    """
    folder, cases = layout.leakage_dir(run), layout.data_dir(run) / layout.CASES
    if not (artefact.finished(folder, STAGE) and cases.is_file()):
        return None
    found = artefact.read_document(folder / layout.LEAKAGE)
    if not isinstance(found, dict) or found.get("cases_sha256") != artefact.sha256_file(cases):
        return None
    return context(found)


def context(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return rows and sentences from ``leakage.json``."""
    rows = []
    for arm in found["arms"]:
        area = _area(arm["metrics"])
        rows.append({"name": _NAMES[arm["split"]], "auc": text(area), "strip": strip(area),
                     "accuracy": text(arm["metrics"]["accuracy"]),
                     "related": text(_area(arm["related"]))})
    gain = found["difference"]
    areas = [_area(arm["metrics"]) for arm in found["arms"]]
    return {**{k: found[k] for k in ("model", "image_px", "epochs", "folds", "images",
                                     "related")},
            "rows": rows, "difference": text(gain, sign=True), "verdict": verdict(gain, areas)}


def verdict(gain: Mapping[str, Any], areas: Sequence[Mapping[str, Any]] = ()) -> str:
    """State what the difference means; ``areas`` are the AUCs of both arms."""
    if gain.get("value") is None:
        return f"Not compared: {gain.get('reason')}."
    size = plural(gain["n"], "image")
    if gain["low"] > 0:
        return f"A split by image overestimates: its AUC is higher on the same {size}."
    if gain["high"] < 0:
        return (f"The split by image scores lower on the same {size}, which leakage does not "
                "explain: two trainings differ by more than near-duplicates contribute.")
    if areas and all(a.get("low") is not None and a["low"] <= 0.5 for a in areas):
        return ("Inconclusive: neither training has learnt the task (both intervals include 0.5). "
                "Use more epochs or larger images.")
    return (f"Inconclusive: on these {size} no gain from leakage is shown (the interval includes "
            "0). A larger network, more epochs or more images may show one.")


def _area(metrics: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = metrics.get("auroc") or metrics.get("macro_auroc") or {}
    return found


def text(estimate: Mapping[str, Any], sign: bool = False) -> str:
    """Format a value with its interval, or the reason why there is none."""
    if estimate.get("value") is None:
        return f"— ({estimate.get('reason', 'not computed')})"
    plus = "+" if sign else ""
    value, low, high = (f"{estimate[k]:{plus}.3f}" for k in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def strip(estimate: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the positions of the value and its interval between 0 and 1, in percent."""
    if estimate.get("value") is None:
        return None
    return {k: round(100 * float(estimate[k]), 1) for k in ("low", "value", "high")} | {
        "reference": 50}
