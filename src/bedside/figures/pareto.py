"""Accuracy on validation against measured latency, with the size of each file, by target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bedside.core.recommendation import Candidate, Recommendation
from bedside.figures.base import FigureData, NotAvailable
from bedside.runfolder import artefact, layout


def compute(run: Path, model: str) -> FigureData:
    """Facts: ``targets``, a table each with ``points``, ``others`` and ``metric``.

    A point is a variant with a validation AUC and a measured latency: AUC with its interval,
    median latency with its range, bytes, whether no other point is as fast and as good
    (``front``), whether it is ``chosen`` or ``vetoed``. ``others`` counts what has no place
    here, by reason.

    Raises:
        NotAvailable: there is no recommendation yet, or nothing was measured.
    """
    del model
    if not artefact.finished(run, "recommend"):
        raise NotAvailable("there is no recommendation yet; bedside recommend makes one")
    targets: dict[str, Any] = {}
    for found in layout.recommendations(run).recommendations:
        points = [_point(c, found) for c in found.candidates if _placed(c)]
        if points:
            targets[found.target] = {"points": _with_front(points), "others": _others(found),
                                     "metric": found.candidates[0].metric}
    if not targets:
        raise NotAvailable("no variant has both a validation AUC and a measured latency")
    return FigureData(facts={"targets": targets})


def _placed(c: Candidate) -> bool:
    return (c.status == "ok" and c.auc.value is not None and c.latency_ms is not None
            and c.latency_evidence == "measured")


def _point(c: Candidate, found: Recommendation) -> dict[str, Any]:
    assert c.latency_ms is not None
    return {"variant": c.variant, "model": c.model, "scheme": c.scheme, "auc": c.auc.value,
            "auc_low": c.auc.low, "auc_high": c.auc.high, "n": c.auc.n,
            "ms": c.latency_ms.median, "ms_low": c.latency_ms.low, "ms_high": c.latency_ms.high,
            "size_bytes": c.size_bytes, "chosen": c.variant == found.chosen,
            "vetoed": c.variant == found.vetoed}


def _with_front(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mark the points that no other one beats in speed without losing AUC, or the reverse."""
    def beaten(p: dict[str, Any]) -> bool:
        return any(q["ms"] <= p["ms"] and q["auc"] >= p["auc"]
                   and (q["ms"], q["auc"]) != (p["ms"], p["auc"]) for q in points)

    return [{**p, "front": not beaten(p)} for p in points]


def _others(found: Recommendation) -> dict[str, int]:
    count: dict[str, int] = {}
    for c in found.candidates:
        if _placed(c):
            continue
        why = (c.status if c.status != "ok" else "no validation AUC" if c.auc.value is None
               else f"latency {c.latency_evidence}" if c.latency_ms is not None
               else "no latency")
        count[why] = count.get(why, 0) + 1
    return dict(sorted(count.items()))
