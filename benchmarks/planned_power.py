"""The power that planned studies really have, simulated with the product's own tests.

    python benchmarks/planned_power.py [--quick] [REPLICATES] [--save planned-power]

Two binormal models whose decisions differ as often as the plan says, and no true difference: as
many studies of the planned size are drawn (2,000; ``--quick``: 200), and counted where sensitivity,
specificity and AUC are all shown non-inferior. Where patients have several images the correlation
of their changes is measured on one large sample and given to the plan. *From a first study*: the
number that a first, inconclusive study's report names, instead of the plan's.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from common import ROOT, finish, positional
from scipy.special import ndtri

sys.path.insert(0, str(ROOT / "tests" / "support"))

from simulated import latent

from bedside.core.evidence import OperatingPoint
from bedside.core.study import EvidenceConfig
from bedside.metrics.compare import Side, answers, compare
from bedside.metrics.planning import Assumptions, plan, score_correlation

Array = np.ndarray[Any, Any]
ALPHA = 0.025
BAND = (0.75, 0.85)


@dataclass(frozen=True)
class Scenario:
    """A study: what is assumed, how often decisions differ, how alike a patient's images are."""

    given: Assumptions
    discordance: float
    agreement: float = 0.0
    first: int = 0  # images of a first study that names the number, 0 for the plan's
    told: dict[str, Any] = field(default_factory=dict)


def _given(prevalence: float, margins: tuple[float, float, float] = (0.02, 0.05, 0.02),
           **more: Any) -> Assumptions:
    return Assumptions(prevalence, *margins, **more)


SCENARIOS = (
    Scenario(_given(0.5), 0.02),
    Scenario(_given(0.5), 0.10),
    Scenario(_given(0.2), 0.03),
    Scenario(_given(0.1), 0.05),
    Scenario(_given(0.7, (0.03, 0.03, 0.03)), 0.05),
    Scenario(_given(0.5, (0.02, 0.02, 0.02)), 0.03),
    Scenario(_given(0.5, (0.03, 0.03, 0.01)), 0.04),
    Scenario(_given(0.4, (0.05, 0.05, 0.01), sensitivity=0.8, specificity=0.8), 0.06),
    Scenario(_given(0.4, targets=3), 0.03),
    Scenario(_given(0.5, cases_per_patient=3), 0.03, 0.5),
    Scenario(_given(0.5, (0.03, 0.03, 0.03), cases_per_patient=2), 0.04, 0.7),
    Scenario(_given(0.4, cases_per_patient=5), 0.05, 0.9),
    Scenario(_given(0.5), 0.03, first=400),
    Scenario(_given(0.5, (0.02, 0.02, 0.02)), 0.05, first=400),
    Scenario(_given(0.3, cases_per_patient=3), 0.03, 0.5, first=600),
)


def draw(s: Scenario, images: int, rng: np.random.Generator) -> tuple[Side, Side, list[str]]:
    """Return a study of ``images``: both models and the patient of every image."""
    size = int(s.given.cases_per_patient)
    positives = round(images * s.given.prevalence)
    counts = [positives, images - positives]
    whose = np.concatenate([np.arange(n) // size + offset * 10**7 for offset, n
                            in enumerate(counts)])
    _, whose = np.unique(whose, return_inverse=True)
    labels = np.repeat([1, 0], counts)
    means = np.array([-ndtri(s.given.specificity), ndtri(s.given.sensitivity)])
    alike = np.array([score_correlation(float(m), s.discordance) for m in np.abs(means)])[labels]
    common = np.sqrt(alike) * latent(whose, s.agreement, rng)
    scores = [means[labels] + common + np.sqrt(1 - alike) * latent(whose, s.agreement, rng)
              for _ in range(2)]
    point = OperatingPoint("fixed", 1, 0.0, 0.5)
    ids = np.arange(images).astype(np.str_)
    old, new = (Side(ids, labels, np.stack([np.zeros(images), score], axis=1), point)
                for score in scores)
    return old, new, [str(k) for k in whose]


def _config(given: Assumptions) -> EvidenceConfig:
    return EvidenceConfig(given.sensitivity_margin, given.specificity_margin, given.auc_margin)


def shown(s: Scenario, images: int, rng: np.random.Generator) -> tuple[bool, ...]:
    """Draw a study; return whether all endpoints are shown together, and each alone."""
    old, new, groups = draw(s, images, rng)
    tests = compare(old, new, 1, groups, _config(s.given)).tests
    level = ALPHA / s.given.targets
    each = [(tests[k].p_noninferior or 0.0) <= level for k in ("sensitivity", "specificity",
                                                               "auroc")]
    return all(each), *each


def correlation(s: Scenario, patients: int = 100_000) -> float:
    """Return the correlation of the changes of a patient's images, from one large sample."""
    rng = np.random.default_rng(0)
    size = int(s.given.cases_per_patient)
    whose = np.repeat(np.arange(patients), size)
    mean = float(ndtri(s.given.sensitivity))
    alike = score_correlation(mean, s.discordance)
    common = np.sqrt(alike) * latent(whose, s.agreement, rng)
    old, new = (mean + common + np.sqrt(1 - alike) * latent(whose, s.agreement, rng) >= 0
                for _ in range(2))
    change = (new.astype(np.float64) - old).reshape(patients, size)
    between = np.square(change.sum(axis=1)).mean() - np.square(change).sum(axis=1).mean()
    return float(between / (size * (size - 1)) / np.square(change).mean())


def simulate(number: int, replicates: int) -> dict[str, Any]:
    """Plan a scenario and draw it; return its row."""
    s = SCENARIOS[number]
    rng = np.random.default_rng(number)
    if s.given.cases_per_patient > 1:
        s = replace(s, given=replace(s.given, correlation=correlation(s)))
    (planned,) = plan(s.given, (s.discordance, s.discordance), ALPHA)
    g = s.given
    row: dict[str, Any] = {
        "prevalence": g.prevalence, "discordance": s.discordance,
        "margins": [g.sensitivity_margin, g.specificity_margin, g.auc_margin],
        "targets": g.targets, "images per patient": g.cases_per_patient,
        "correlation": round(g.correlation, 3) if g.cases_per_patient > 1 else None,
        "planned images": planned.images, "promised": round(planned.power, 4)}
    if not s.first:
        found = np.array([shown(s, planned.images, rng) for _ in range(replicates)])
        return row | {"realised": round(float(found[:, 0].mean()), 4),
                      "each": [round(float(v), 4) for v in found[:, 1:].mean(axis=0)]}
    asked, won = [], []
    while len(asked) < max(replicates // 10, 20):
        old, new, groups = draw(s, s.first, rng)
        (answer,) = answers([compare(old, new, 1, groups, _config(g))])
        if not answer.needed:
            continue
        asked.append(max(n.images for n in answer.needed))
        won += [shown(s, asked[-1], rng)[0] for _ in range(10)]
    return row | {"first study": s.first, "images asked for": [
        int(v) for v in np.percentile(asked, [10, 50, 90])],
        "realised": round(float(np.mean(won)), 4)}


def main() -> None:
    """Every scenario."""
    words = [w for w in positional() if w != "--quick"]
    replicates = int(words[0]) if words else 200 if "--quick" in sys.argv else 2000
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        rows = list(pool.map(simulate, range(len(SCENARIOS)), [replicates] * len(SCENARIOS)))
    plans = [r["realised"] for r in rows if "first study" not in r]
    firsts = [r["realised"] for r in rows if "first study" in r]
    finish({"what": "power that planned studies have, of all endpoints together, simulated with "
                    "the product's tests", "replicates": replicates, "promised": 0.8,
            "band": BAND, "realised": [min(plans), max(plans)],
            "realised_from_a_first_study": [min(firsts), max(firsts)], "rows": rows})


if __name__ == "__main__":
    main()
