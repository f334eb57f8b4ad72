"""Harm beside other variants, and how often a loss of a margin is shown harmless.

    python benchmarks/harm_families.py [--quick] [REPLICATES] [--save harm-families]

Two tables, simulated with the product's own tests and rule:

1. *Power.* A variant truly loses 5 points of sensitivity. How often it is called worse alone, as
   the planned comparison, and beside 5 and 19 variants without a true loss; and how often it would
   be if *worse* were adjusted after Holm, as it once was. Beside it the price: how often a
   variant without a true loss is called worse. A thirtieth of the replicates, because the families
   share their draws: equality needs no more.
2. *False shown.* The true loss is exactly one margin, and the planned comparison is answered. The
   other margins are wide, so that nothing but the endpoint under test stands in the way. 6,000
   replicates a scenario (``--quick``: 300).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from common import ROOT, finish, positional
from scipy.stats import norm

sys.path.insert(0, str(ROOT / "tests" / "support"))

from simulated import Scores, latent

from bedside.core.evidence import Comparison, OperatingPoint
from bedside.core.study import EvidenceConfig
from bedside.metrics.compare import ALPHA, Side, alone, answers, compare, raw_p
from bedside.metrics.paired import holm

Array = np.ndarray[Any, Any]
RIGHT = 0.9  # sensitivity and specificity of the reference, unless a scenario needs another
LOSS = 0.05
HARMLESS = 0.005  # of all positives, and of all negatives, each way
FAMILIES = (6, 20)
POSITIVES = (100, 200)
WIDE = 0.3


@dataclass(frozen=True)
class Scenario:
    """A true loss of exactly ``margin`` in ``endpoint``; ``gained`` beside it where it has any.

    ``size``: images of a patient, whose answers correlate by ``agreement``. ``missed``: the share
    of positives that the reference misses.
    """

    endpoint: str
    margin: float
    images: int
    prevalence: float
    gained: float = 0.0
    size: int = 1
    agreement: float = 0.0
    missed: float = 1 - RIGHT


SCENARIOS = (
    Scenario("sensitivity", 0.05, 200, 0.5),
    Scenario("sensitivity", 0.02, 2000, 0.5, 0.01),
    Scenario("sensitivity", 0.05, 2000, 0.1, 0.02),
    Scenario("sensitivity", 0.05, 900, 0.5, 0.01, 3, 0.5),
    Scenario("specificity", 0.05, 200, 0.5, 0.01),
    Scenario("specificity", 0.05, 1000, 0.1, 0.02),
    Scenario("specificity", 0.05, 600, 0.1, 0.01, 3, 0.5),
    Scenario("auroc", 0.05, 120, 0.5),
    Scenario("auroc", 0.02, 2000, 0.1),
    Scenario("auroc", 0.03, 600, 0.5, 0.0, 3, 0.5),
    Scenario("miss_ratio", 2.0, 400, 0.5, 0.01),
    Scenario("miss_ratio", 2.0, 3000, 0.1, 0.01, 3, 0.5),
)


# ------------------------------------------------------------------ drawing


def patients(images: int, prevalence: float, size: int) -> tuple[Array, Array]:
    """Return labels and the patient of every image, (images,) each; patients have one class."""
    positives = round(images * prevalence)
    labels = np.repeat([1, 0], [positives, images - positives])
    within = np.r_[np.arange(positives), np.arange(images - positives)]
    return labels, np.unique(within // size + (labels == 0) * 10**7, return_inverse=True)[1]


def changed(old: Array, right: float, lost: float, gained: float, whose: Array,
            agreement: float, rng: np.random.Generator) -> Array:
    """Return whether a variant is right, (n,).

    Args:
        old: (n,) whether the reference is.
        right: its true share.
        lost: true share of all images that it alone has right.
        gained: true share of all images that the variant alone has right.
        whose: (n,) patients.
        agreement: correlation within them.
        rng: what draws.
    """
    down = old & (latent(whose, agreement, rng) < norm.ppf(lost / right))
    up = ~old & (latent(whose, agreement, rng) < norm.ppf(gained / (1 - right)))
    return (old & ~down) | up


def side(labels: Array, score: Array, threshold: float = 0.0) -> Side:
    """Return a model by its log-odds (n,)."""
    return Side(np.arange(len(labels)).astype(np.str_), labels,
                np.stack([np.zeros(len(labels)), score], axis=1),
                OperatingPoint("fixed", 1, threshold, 0.5))


def scored(labels: Array, right: Array, size: Array) -> Array:
    """Return log-odds (n,) of ``size`` on the side of 0 that makes an answer right or wrong."""
    return np.where((labels == 1) == right, size, -size)


# ------------------------------------------------------------------ power in families


def family(positives: int, rng: np.random.Generator) -> list[Comparison]:
    """Draw a study: the harmful variant first, then those without a true loss."""
    labels, whose = patients(2 * positives, 0.5, 1)
    old = latent(whose, 0.0, rng) < norm.ppf(RIGHT)
    size = 0.1 + np.abs(rng.normal(size=len(labels)))
    reference = side(labels, scored(labels, old, size))
    found = []
    for k in range(max(FAMILIES)):
        new = changed(old, RIGHT, HARMLESS, HARMLESS, whose, 0.0, rng)
        if k == 0:
            hit = changed(old, RIGHT, LOSS, 0.0, whose, 0.0, rng)
            new = np.where(labels == 1, hit, new)
        comparison = compare(reference, side(labels, scored(labels, new, size)), 1,
                             [str(w) for w in whose], EvidenceConfig())
        # Names, so that the family tells its members apart.
        found.append(named(comparison, f"v{k}"))
    return found


def named(comparison: Comparison, variant: str) -> Comparison:
    """Return a comparison of a variant on the CPU's test images."""
    return replace(comparison, variant=variant, target="cpu", split="test")


def worse_by_holm(comparisons: Sequence[Comparison]) -> bool:
    """Return whether the first would be worse were *worse* adjusted for the others."""
    return holm([raw_p(c)[1] for c in comparisons])[0] <= ALPHA


def power(positives: int, replicates: int) -> dict[str, Any]:
    """Return how often the harmful variant is called worse, by the family it stands in."""
    rng = np.random.default_rng(positives)
    counts = dict.fromkeys(("alone", *FAMILIES, *(f"Holm {n}" for n in FAMILIES), "any"), 0)
    false = 0
    for _ in range(replicates):
        drawn = family(positives, rng)
        counts["alone"] += alone(drawn[0]).answer == "worse"
        for n in FAMILIES:
            answered = answers(drawn[:n])
            counts[n] += answered[0].answer == "worse"
            counts[f"Holm {n}"] += worse_by_holm(drawn[:n])
        wrong = sum(c.answer == "worse" for c in answered[1:])
        false += wrong
        counts["any"] += wrong > 0
    return {"positives": positives, "loss": LOSS,
            "worse alone": counts["alone"] / replicates,
            "worse in families": {str(n): counts[n] / replicates for n in FAMILIES},
            "worse if adjusted after Holm": {str(n): counts[f"Holm {n}"] / replicates
                                             for n in FAMILIES},
            "harmless called worse": round(false / replicates / (max(FAMILIES) - 1), 5),
            "any of the harmless called worse": counts["any"] / replicates}


# ------------------------------------------------------------------ false shown


def planned(s: Scenario, rng: np.random.Generator) -> Comparison:
    """Draw a study whose true loss is the margin, and return its planned comparison."""
    labels, whose = patients(s.images, s.prevalence, s.size)
    groups = [str(w) for w in whose]
    if s.endpoint == "auroc":
        scores = Scores(0.9, 0.9 - s.margin, 0.95)
        old, new = scores.draw(labels == 1, whose, s.agreement, rng)
        cut = float(norm.ppf(0.9) / np.sqrt(2))
        config = EvidenceConfig(WIDE, WIDE, s.margin, None)
        return compare(side(labels, old, cut), side(labels, new, cut), 1, groups, config)
    ratio = s.endpoint == "miss_ratio"
    loss = s.missed * (s.margin - 1) if ratio else s.margin
    right = np.where(labels == 1, 1 - s.missed, RIGHT)
    before = latent(whose, s.agreement, rng) < norm.ppf(right)
    mine = (labels == 1) == (s.endpoint != "specificity")
    after = np.where(mine, changed(before, 1 - s.missed, loss + s.gained, s.gained, whose,
                                   s.agreement, rng), before)
    size = 0.1 + np.abs(rng.normal(size=len(labels)))
    old, new = (scored(labels, r, size) for r in (before, after))
    config = EvidenceConfig(s.margin if s.endpoint == "sensitivity" else WIDE,
                            s.margin if s.endpoint == "specificity" else WIDE, WIDE,
                            s.margin if ratio else None)
    return compare(side(labels, old), side(labels, new), 1, groups, config)


def is_shown(comparison: Comparison) -> bool:
    """Return whether a comparison is shown as a family of one."""
    # Most are not, and then the answer spends its time on how many cases would settle it.
    return raw_p(comparison)[0] <= ALPHA and alone(comparison).answer == "shown"


def false_shown(number: int, replicates: int) -> dict[str, Any]:
    """Return how often a scenario's planned comparison is shown."""
    s = SCENARIOS[number]
    rng = np.random.default_rng([1, number])
    shown = sum(is_shown(planned(s, rng)) for _ in range(replicates))
    return {"endpoint": s.endpoint, "margin": s.margin, "images": s.images,
            "prevalence": s.prevalence, "gained": s.gained, "images per patient": s.size,
            "agreement": s.agreement, "shown": shown / replicates}


def main() -> None:
    """Both tables."""
    words = [w for w in positional() if w != "--quick"]
    replicates = int(words[0]) if words else 300 if "--quick" in sys.argv else 6000
    studies = max(replicates // 30, 1)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        powers = [pool.submit(power, n, studies) for n in POSITIVES]
        false = [pool.submit(false_shown, k, replicates) for k in range(len(SCENARIOS))]
        rows = {"power": [f.result() for f in powers], "false shown": [f.result() for f in false]}
    finish({"what": "how often a true loss of 5 points is called worse, alone and beside other "
                    "variants, and how often a loss of exactly a margin is shown non-inferior by "
                    "the planned comparison, simulated with the product's tests",
            "replicates": replicates, "studies_of_power": studies,
            "scenarios": len(SCENARIOS),
            "equal": all(r["worse alone"] == v for r in rows["power"]
                         for v in r["worse in families"].values()),
            "false_shown_most": max(r["shown"] for r in rows["false shown"]),
            "false_shown_allowed": round(ALPHA + 2 * (ALPHA * (1 - ALPHA) / replicates) ** 0.5, 4),
            "rows": rows})


if __name__ == "__main__":
    main()
