"""How often intervals of one model hold the truth where patients have several images.

    python benchmarks/interval_coverage.py [REPLICATES] [--save interval-coverage]

A score is normal, with a share of its variance (``agreement``) in common to a patient's images. The
proportion is that of scores below a quantile; for the AUC half of the patients belong to each
class, which shifts their scores. 0003-intervals.md has the table that this prints.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from common import finish, positional
from scipy.stats import norm

from bedside.metrics.stats import auc_estimate, share

KINDS = ("3", "1 to 8", "2, one patient 30")
AGREEMENTS = (0.0, 0.5, 0.9)
TRUTHS = (0.8, 0.95)
PATIENTS = {"proportion": (20, 40, 100), "AUC": (20, 60, 160)}


def images(kind: str, patients: int, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """The patient of every image."""
    if kind == "3":
        counts = np.full(patients, 3)
    elif kind == "1 to 8":
        counts = rng.integers(1, 9, patients)
    else:
        counts = np.r_[30, np.full(patients - 1, 2)]
    return np.repeat(np.arange(patients), counts)


def coverage(metric: str, kind: str, agreement: float, truth: float, patients: int,
             replicates: int) -> dict[str, Any]:
    """The share of replicates in which both intervals hold the truth."""
    rng = np.random.default_rng([patients, int(100 * agreement), int(100 * truth),
                                 KINDS.index(kind), metric == "AUC"])
    held = {"over images": 0, "over patients": 0}
    for _ in range(replicates):
        whose = images(kind, patients, rng)
        score = (np.sqrt(agreement) * rng.normal(size=patients)[whose]
                 + np.sqrt(1 - agreement) * rng.normal(size=len(whose)))
        positive = whose % 2 == 0
        for name, clusters in (("over images", None), ("over patients", whose)):
            if metric == "AUC":
                found = auc_estimate(positive, score + positive * np.sqrt(2) * norm.ppf(truth),
                                     clusters)
            else:
                found = share(score < norm.ppf(truth), clusters, "")
            assert found.low is not None and found.high is not None
            held[name] += found.low <= truth <= found.high
    return {"metric": metric, "images a patient": kind, "agreement": agreement, "truth": truth,
            "patients": patients, **{k: round(v / replicates, 4) for k, v in held.items()}}


def main() -> None:
    """Every cell, and the table of the decision on standard error."""
    words = positional()
    replicates = int(words[0]) if words else 1000
    rows = [coverage(metric, kind, agreement, truth, patients, replicates)
            for kind in KINDS for agreement in AGREEMENTS for metric in PATIENTS
            for truth in TRUTHS for patients in PATIENTS[metric]]
    for kind in KINDS:
        for agreement in AGREEMENTS:
            cells = []
            for metric in PATIENTS:
                mine = [r for r in rows if (r["metric"], r["images a patient"], r["agreement"])
                        == (metric, kind, agreement)]
                for way in ("over images", "over patients"):
                    values = [100 * r[way] for r in mine]
                    cells.append(f"{min(values):.1f} to {max(values):.1f}")
            print(f"| {kind} | {agreement} | {' | '.join(cells)} |", file=sys.stderr)
    finish({"what": "how often 95% intervals of one model hold the truth where patients have "
                    "several images, simulated", "replicates": replicates,
            "least": {way: min(r[way] for r in rows) for way in ("over images", "over patients")},
            "rows": rows})


if __name__ == "__main__":
    main()
