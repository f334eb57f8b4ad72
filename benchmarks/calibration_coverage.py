"""How often intervals of calibration intercept and slope hold the truth, and what tests reject.

    python benchmarks/calibration_coverage.py [REPLICATES] [--save calibration-coverage]

Predicted log-odds are normal, with half of their variance in common to a patient's images. Outcomes
follow a + b · log-odds; those of one patient agree through a normal copula (``agreement``), which
leaves every image's probability as it is. The true intercept is that of a recalibration with a
slope of 1, by quadrature. 0018-calibration.md has the table that this prints.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from common import finish, positional
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import norm

from bedside.metrics.calibration import consistency
from bedside.metrics.recalibration import recalibrate

# Images a patient, agreement of outcomes, numbers of patients.
KINDS = (("1", 0.0, (60, 120, 240)), ("3", 0.0, (30, 60, 120)), ("3", 0.8, (30, 60, 120)),
         ("1 to 8", 0.8, (30, 60, 120)))
# Intercept and slope with which outcomes come; the first is calibrated.
TRUTHS = ((0.0, 1.0), (0.0, 0.6), (0.5, 1.5))
# Mean and spread of the predicted log-odds: half of the images positive, and a fifth.
SCORES = ((0.0, 1.5), (-2.0, 1.5))
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(60)


def large(centre: float, spread: float, a: float, b: float) -> float:
    """The true calibration-in-the-large."""
    odds = centre + spread * _NODES
    mean = float(_WEIGHTS @ expit(a + b * odds))
    return float(brentq(lambda v: float(_WEIGHTS @ expit(odds + v)) - mean, -10, 10))


def sample(kind: str, agreement: float, patients: int, score: tuple[float, float],
           truth: tuple[float, float], rng: np.random.Generator
           ) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Patients of the images, predicted log-odds, outcomes."""
    counts = rng.integers(1, 9, patients) if kind == "1 to 8" else np.full(patients, int(kind))
    whose = np.repeat(np.arange(patients), counts)
    n = len(whose)

    def shared(part: float) -> np.ndarray[Any, Any]:
        return (np.sqrt(part) * rng.normal(size=patients)[whose]
                + np.sqrt(1 - part) * rng.normal(size=n))

    odds = score[0] + score[1] * shared(0.5 if kind != "1" else 0.0)
    outcome = norm.cdf(shared(agreement)) < expit(truth[0] + truth[1] * odds)
    return whose, odds, outcome.astype(float)


def coverage(kind: str, agreement: float, patients: int, score: tuple[float, float],
             truth: tuple[float, float], replicates: int) -> dict[str, Any]:
    """The share of replicates in which the intervals hold the truth."""
    rng = np.random.default_rng([patients, int(10 * agreement), KINDS.index(
        next(k for k in KINDS if k[:2] == (kind, agreement))), SCORES.index(score),
        TRUTHS.index(truth)])
    right = {"intercept": large(*score, *truth), "slope": truth[1]}
    held, defined = dict.fromkeys(right, 0), dict.fromkeys(right, 0)
    rejected = 0
    for _ in range(replicates):
        whose, odds, outcome = sample(kind, agreement, patients, score, truth, rng)
        clusters = None if kind == "1" else whose
        found = recalibrate(outcome, odds, clusters)
        for name, one in zip(right, found[:2], strict=True):
            if one.low is not None and one.high is not None:
                defined[name] += 1
                held[name] += one.low <= right[name] <= one.high
        if truth == TRUTHS[0]:
            rejected += consistency(expit(odds), outcome, clusters) < 0.05
    return {"images a patient": kind, "agreement": agreement, "patients": patients,
            "positives": "half" if score[0] == 0 else "a fifth", "truth": list(truth),
            "replicates": replicates,
            **{k: round(held[k] / max(defined[k], 1), 4) for k in right},
            "undefined": replicates - min(defined.values()),
            "rejected": round(rejected / replicates, 4) if truth == TRUTHS[0] else None}


def main() -> None:
    """Every cell, and the table of the decision on standard error."""
    words = positional()
    replicates = int(words[0]) if words else 1000
    rows = [coverage(kind, agreement, patients, score, truth, replicates)
            for kind, agreement, sizes in KINDS for score in SCORES for truth in TRUTHS
            for patients in sizes]
    for kind, agreement, _ in KINDS:
        mine = [r for r in rows if (r["images a patient"], r["agreement"]) == (kind, agreement)]
        cells = []
        for name in ("intercept", "slope", "rejected"):
            values = [100 * r[name] for r in mine if r[name] is not None]
            cells.append(f"{min(values):.1f} to {max(values):.1f}")
        print(f"| {kind} | {agreement} | {' | '.join(cells)} |", file=sys.stderr)
    finish({"what": "how often 95% intervals of calibration intercept and slope hold the truth, "
                    "and how often the consistency test rejects a calibrated model at 5%, "
                    "simulated", "replicates": replicates,
            "least": {k: min(r[k] for r in rows) for k in ("intercept", "slope")},
            "most": {k: max(r[k] for r in rows) for k in ("intercept", "slope")},
            "most rejected": max(r["rejected"] for r in rows if r["rejected"] is not None),
            "rows": rows})


if __name__ == "__main__":
    main()
