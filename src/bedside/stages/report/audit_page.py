"""The data audit as one self-contained page with thumbnails, for use on this machine."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import bedside
from bedside.core import codec
from bedside.core.types import Case, Task
from bedside.runfolder import artefact, layout
from bedside.runfolder.cases import read_cases
from bedside.stages.report import audit_view as view
from bedside.stages.report import page

STAGE = "audit"
INDEX = "index.html"
_TEMPLATES = ("audit.html.j2", "audit.css", "style.css", "macros.html.j2")

Thumbnails = Callable[[Sequence[str]], Mapping[str, str]]


def write(data: Path, folder: Path, thumbnails: Thumbnails, gate: str | None = None,
          leak: Mapping[str, Any] | None = None) -> Path:
    """Write ``folder/index.html``, or leave a finished one.

    Args:
        data: what the data stage wrote (``RUN/data``, or an audit's own folder).
        folder: where the page goes.
        thumbnails: gives data URIs of images by file; an image that it omits has no thumbnail.
        gate: the message of a gate that failed, or None.
        leak: from :func:`bedside.stages.report.leakage_view.view`, where trainings were compared.

    Returns:
        The page's path.
    """
    code = {n: resources.files("bedside.stages.report").joinpath("templates", n).read_text("utf-8")
            for n in _TEMPLATES}
    key = artefact.stage_key(STAGE, bedside.__version__, code, gate, leak, [
        artefact.sha256_file(data / n) for n in (layout.CASES, layout.TASK, layout.AUDIT)])
    if artefact.finished(folder, STAGE, key):
        return folder / INDEX
    found = artefact.read_document(data / layout.AUDIT)
    task = codec.read_json(Task, data / layout.TASK)
    shows = context(found if isinstance(found, dict) else {}, read_cases(data / layout.CASES), task)
    shows = _with_thumbnails(shows, thumbnails(view.shown(shows)))
    with artefact.writing(folder, STAGE, key) as scratch:
        html = page.render({**shows, "gate": gate, "leak": leak, "version": bedside.__version__},
                           "audit.html.j2")
        artefact.write_text(scratch / INDEX, html)
    return folder / INDEX


def context(audit: Mapping[str, Any], cases: Sequence[Case], task: Task) -> dict[str, Any]:
    """Return the page's template variables, with the thumbnails still empty."""
    by_file = {c.file: c for c in cases}
    every = view.groups(audit, cases)
    odd = list(dict.fromkeys(o["file"] for o in audit.get("outliers", ())))
    used = [c for c in cases if c.split != "set_aside"]
    reasons = Counter(str(e["reason"]) for e in audit.get("set_aside", ()))
    shared = view.shared(cases)
    return {
        "classes": task.classes,
        "lines": view.summary(audit, cases),
        "counts": {part: {label: sum(c.split == part and c.label == label for c in used)
                          for label in task.classes} for part in ("train", "val", "test")},
        "used": len(used),
        "read": audit.get("read", len(cases)),
        "reasons": sorted(reasons.items(), key=lambda r: (-r[1], r[0])),
        "patients": len({c.patient for c in used if c.patient}),
        "group_count": len({c.group for c in used}),
        "largest": max(Counter(c.group for c in used).values(), default=0),
        "shared_groups": shared[0], "shared_patients": shared[1],
        "separated": len(audit.get("twins", ())), "regrouped": bool(audit.get("regrouped")),
        "notes": [str(n) for n in audit.get("notes", ())],
        "decisions": audit.get("decisions", 0),
        "groups": every[:view.MOST_GROUPS], "group_total": len(every),
        "findings": audit.get("findings", {}), "finding_names": view.FINDINGS,
        "balance": audit.get("balance", {}),
        "examples": view.examples(cases),
        "shortcuts": [_shortcut(s) for s in audit.get("shortcuts", ())],
        "outliers": audit.get("outliers", ()),
        "odd": [view.thumbnail(f, by_file) for f in odd[:view.MOST_OUTLIERS]],
        "odd_total": len(odd),
    }


def _shortcut(entry: Mapping[str, Any]) -> dict[str, Any]:
    auc = entry["auc"]
    row = {"name": entry["name"], "label": entry["label"], "warning": entry["warning"],
           "reason": auc.get("reason"), "text": "—", "n": auc.get("n"), "strip": None}
    if auc.get("value") is not None:
        row["text"] = f"{auc['value']:.2f} [{auc['low']:.2f}, {auc['high']:.2f}]"
        row["strip"] = {k: round(100 * float(auc[k]), 1) for k in ("low", "value", "high")} | {
            "reference": 50}
    return row


def _with_thumbnails(shows: dict[str, Any], sources: Mapping[str, str]) -> dict[str, Any]:
    def put(thumbnails: Sequence[view.Thumbnail]) -> tuple[view.Thumbnail, ...]:
        return tuple(dataclasses.replace(s, src=sources.get(s.file, "")) for s in thumbnails)

    return {**shows,
            "groups": [dataclasses.replace(g, thumbnails=put(g.thumbnails))
                       for g in shows["groups"]],
            "examples": {k: put(v) for k, v in shows["examples"].items()},
            "odd": put(shows["odd"])}
