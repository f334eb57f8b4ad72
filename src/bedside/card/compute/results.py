"""Card values about measurements: metrics, comparisons, failures, latency."""

from __future__ import annotations

from typing import Any

from bedside.card import decisions
from bedside.card.facts import Facts, cell_of
from bedside.core import codec
from bedside.figures import lesion_chance
from bedside.figures.base import FACTS, UNAVAILABLE
from bedside.metrics import calibration
from bedside.metrics.usefulness import below
from bedside.runfolder import artefact, layout, stored


def flips(facts: Facts) -> Any:
    """Count changed decisions at the locked threshold, in both directions."""
    return {cell_of(c): {"changed": codec.encode(c.flips.changed), "lost": c.flips.lost,
                       "gained": c.flips.gained, "cancers or positives missed now": c.flips.missed,
                       "against": c.against}
            for c in facts.comparisons if c.flips is not None}


def metrics(facts: Facts) -> Any:
    """Return every test metric with its interval, at the locked threshold where there is one."""
    locked = {cell_of(p): p for p in facts.statistics.probabilities if p.split == "test"}
    found = {}
    for m in facts.measured():
        values: dict[str, Any] = codec.encode(m.metrics.get("test", {}))
        at = locked.get(cell_of(m))
        if at is not None:
            # Of the probabilities that ship, at the temperature that ships.
            values |= codec.encode(at.metrics) | codec.encode(at.shipped)
            values |= {"temperature": at.temperature,
                       "variant's own temperature": at.own_temperature}
            if at.calibration is not None:
                values |= {"calibration intercept": codec.encode(at.calibration.intercept),
                           "calibration slope": codec.encode(at.calibration.slope),
                           "calibration": calibration.words(at.calibration),
                           "p of the consistency test": at.calibration.consistency_p}
            if at.net_benefit is not None:
                values["net benefit"] = codec.encode(at.net_benefit)
        found[cell_of(m)] = values or {"value": None, "reason": "no test image"}
    return found


def answers(facts: Facts) -> Any:
    """Return the answer of every cell: shown, not shown or worse."""
    return {cell_of(c): {"answer": c.answer, "n": c.n, "against": c.against, "p_shown": c.p_shown,
                       "p_worse": c.p_worse, "comparisons in the family": c.family,
                       **({"exploratory": True} if facts.standing.exploratory(c.target) else {}),
                       "bounds": {t.metric: {
                           "margin": t.margin, "difference": t.difference.value,
                           "low": t.excluded, "high": t.ceiling,
                           "level": "95%, unadjusted; the answer is adjusted for the family"}
                           for t in c.tests.values() if t.margin is not None},
                       **({"reason": c.reason} if c.reason else {}),
                       **({"notes": list(c.notes)} if c.notes else {})}
            for c in facts.comparisons}


def usefulness(facts: Facts) -> Any:
    """Say whether the reference and every cell are above the study's floors, and what is doubted.

    ``below`` as in a bundle's manifest.
    """
    known = stored.usefulness(facts.run)
    found = {}
    for m in facts.measured():
        pair = known.get(cell_of(m))
        if pair is not None:
            poor = below(*pair, facts.study.budget)
            found[cell_of(m)] = {
                "good enough": not poor, "below": list(poor),
                "doubts about the reference": list(pair[0].doubts.values()) if pair[0] else [],
                "metrics": codec.encode(pair[1].metrics) if pair[1] else {}}
    return found or None


def protocol(facts: Facts) -> Any:
    """Return what stood before the test set was opened, from the run's ledger."""
    found = facts.standing
    if not (found.locked or found.opened):
        return None
    return {"standing": found.sentence, "exploratory": found.exploratory(),
            **({"SHA-256 of the protocol": found.sha256} if found.sha256 else {}),
            **({"signed by key": found.signer} if found.signer else {}),
            **({"changed after the opening": [c.text for c in found.after_opening()]}
               if found.changes else {}),
            **({"notes": list(found.notes)} if found.notes else {})}


def _mine(facts: Facts, rows: Any) -> list[Any]:
    cells = {(m.variant, m.target) for m in facts.cells}
    return [r for r in rows if (r.variant, r.target) in cells]


def subgroups(facts: Facts) -> Any:
    """Return metrics of every group of every column."""
    return [{"cell": cell_of(g), "column": g.column, "group": g.group, "n": g.n,
             "metrics": codec.encode(g.metrics)} for g in _mine(facts, facts.statistics.subgroups)]


def worst_groups(facts: Facts) -> Any:
    """Return the group with the lowest value of each metric."""
    return [{"cell": cell_of(w), "column": w.column, "metric": w.metric, "group": w.group,
             "estimate": codec.encode(w.estimate), "rest": codec.encode(w.rest),
             "intervals part": w.apart} for w in _mine(facts, facts.statistics.worst)]


def robustness(facts: Facts) -> Any:
    """Return the robustness analysis, or why it is missing."""
    path = artefact.verified(layout.analysis_dir(facts.run, "robustness", facts.model) / FACTS)
    if not path.is_file():
        return None
    found = artefact.read_document(path)
    why = found.get(UNAVAILABLE)
    return {"value": None, "reason": why} if why else found


def pointing(facts: Facts) -> Any:
    """Say whether float32's activation maps point at the lesion more often than chance."""
    path = artefact.verified(layout.analysis_dir(facts.run, "fidelity", facts.model) / FACTS)
    if not path.is_file():
        return None
    found = artefact.read_document(path)
    if not found.get("chance"):
        return {"value": None, "reason": found.get(UNAVAILABLE) or found.get("maps_reason")}
    hit = found["chance"]["hit"]
    return {"answer": lesion_chance.sentence(found["chance"], found["maps"]["float32"]["hit"]),
            "points at the lesion": found["chance"]["points"],
            "highest point in the lesion": {k: m["hit"] for k, m in found["maps"].items()},
            "chance": hit["levels"], "minus chance": hit["over"],
            "note": lesion_chance.learned(found["chance"])}


def failures(facts: Facts) -> Any:
    """List missed positives and false alarms of each cell, farthest from the threshold first.

    A case's id is a hash of its pixels, so the list names nobody.
    """
    if not facts.ids:
        return {name: {"missed": sum(r.missed for r in rows),
                       "false alarms": sum(not r.missed for r in rows),
                       "cases": "listed by id in the run's own card, which stays where it is"}
                for name, rows in decisions.failures(facts).items()}
    return {name: {"missed": [r.listed() for r in rows if r.missed],
                   "false alarms": [r.listed() for r in rows if not r.missed]}
            for name, rows in decisions.failures(facts).items()}


def saliency(facts: Facts) -> Any:
    """Return class activation maps of the failures."""
    return decisions.saliency(facts) if facts.ids else None


def latency(facts: Facts) -> Any:
    """Return latency, memory and delegation of every cell, with their evidence."""
    return {cell_of(m): {
        "status": m.status, **({"reason": m.reason} if m.reason else {}),
        "latency_ms": codec.encode(m.latency_ms), "peak_memory_bytes": m.peak_memory_bytes,
        "delegated_fraction": m.delegated_fraction, "evidence": dict(m.evidence),
        "computes in": m.compute_dtype,
        **({"note": m.latency_note} if m.latency_note else {})} for m in facts.cells}


def scores(facts: Facts) -> Any:
    """Return mean and spread of the positive log-odds over the test images, to detect drift."""
    return decisions.score_summary(facts)
