"""Cells of the figure ``interval_coverage``: what is simulated, and how often its interval holds.

A cell draws one study per replicate, asks the product for its interval, and counts how often the
truth lies inside, below and above. Paired cells also count how often a loss of exactly the margin
is shown non-inferior, and where test and interval contradict each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import numpy as np
from scipy.stats import norm
from simulated import Decisions, Scores, latent, patients

from bedside.core.evidence import PairedTest
from bedside.core.types import Estimate
from bedside.metrics.design import clusters_of
from bedside.metrics.kappa import kappa
from bedside.metrics.multiclass import macro_auroc, macro_sensitivity, macro_specificity
from bedside.metrics.paired import paired_proportion
from bedside.metrics.paired_auc import paired_auc
from bedside.metrics.paired_macro import sensitivity as macro_difference
from bedside.metrics.stats import auc_estimate, share

Array = np.ndarray[Any, Any]
Found = Estimate | PairedTest
Draw = Callable[[np.random.Generator], tuple[Found, float]]


@dataclass(frozen=True)
class Cell:
    """One scenario: ``draw`` returns what the product prints, and the truth."""

    metric: str
    scenario: dict[str, Any]
    draw: Draw
    # Fewer than five discordant (or wrong) patients of equal size are expected: what can be
    # observed goes in steps so coarse that no interval holds 93 to 97% everywhere.
    sparse: bool = False

    @property
    def name(self) -> str:
        """Return what identifies the cell, and seeds it."""
        return f"{self.metric}: " + ", ".join(f"{k} {v}" for k, v in self.scenario.items())


def coverage(cell: Cell, replicates: int) -> dict[str, Any]:
    """Simulate a cell and return its row of the figure."""
    rng = np.random.default_rng(list(cell.name.encode()))
    count = dict.fromkeys(("held", "below", "above", "decided", "shown", "apart", "undefined"), 0)
    paired = False
    for _ in range(replicates):
        found, truth = cell.draw(rng)
        paired = isinstance(found, PairedTest)
        interval = found.difference if isinstance(found, PairedTest) else found
        if interval.low is None or interval.high is None:
            count["undefined"] += 1
            continue
        count["held"] += interval.low <= truth + 1e-12 and truth - 1e-12 <= interval.high
        count["below"] += truth < interval.low - 1e-12
        count["above"] += truth > interval.high + 1e-12
        if isinstance(found, PairedTest):
            assert found.excluded is not None and found.ceiling is not None
            count["decided"] += found.excluded - 1e-12 <= truth <= found.ceiling + 1e-12
            count["shown"] += found.excluded > truth + 1e-12
            if found.margin is not None and found.p_noninferior is not None:
                count["apart"] += (found.p_noninferior <= 0.025 - 1e-9) != (
                    found.excluded > -found.margin + 1e-9) and abs(
                        found.excluded + found.margin) > 1e-6
    known = replicates - count["undefined"]
    row = {"metric": cell.metric, **cell.scenario, "sparse": cell.sparse,
           "held": round(count["held"] / known, 4),
           "below": round(count["below"] / known, 4), "above": round(count["above"] / known, 4)}
    if paired:
        row |= {"held_by_the_bounds_that_decide": round(count["decided"] / known, 4),
                "false_shown": round(count["shown"] / known, 4), "contradictions": count["apart"]}
    return row


# ------------------------------------------------------------------ the cells


def every() -> list[Cell]:
    """Return every cell of the full figure."""
    return [*shares(), *areas(), *differences(), *kappas(), *area_differences(), *macros()]


def _whose(kind: str, count: int, rng: np.random.Generator) -> tuple[Array, Any]:
    whose = patients(kind, count, rng)
    return whose, clusters_of(whose.tolist())


def _few(rate: float, kind: str, count: int) -> bool:
    """Return whether fewer than five patients of equal size are of the rarer kind."""
    sizes = {"1 to 8": 51 / 4 / 4.5**2 * 2, "2, one of 30": 0.0}.get(kind, 1.0)
    equal = count / sizes if sizes else (2 * count + 28) ** 2 / (4 * count + 896)
    return rate * equal < 5


def shares() -> Iterator[Cell]:
    """Proportions of one model: accuracy, sensitivity, the share of changed classes."""
    for kind, agreement, truth, count in [
            *product(("1",), (0.0,), (0.5, 0.8, 0.95), (20, 50, 200)),
            *product(("1",), (0.0,), (0.02,), (200, 1000)),
            *product(("3", "1 to 8", "2, one of 30"), (0.0, 0.5, 0.9), (0.8, 0.95), (20, 40, 100)),
            *product(("5",), (0.0, 0.5, 0.9), (0.02,), (60, 200, 600))]:
        def draw(rng: np.random.Generator, kind: str = kind, agreement: float = agreement,
                 truth: float = truth, count: int = count) -> tuple[Found, float]:
            whose, clusters = _whose(kind, count, rng)
            return share(latent(whose, agreement, rng) < norm.ppf(truth), clusters, ""), truth

        name = "share of changed classes" if truth < 0.1 else "proportion"
        yield Cell(name, {"images per patient": kind, "agreement": agreement, "truth": truth,
                          "patients": count}, draw, _few(min(truth, 1 - truth), kind, count))


def areas() -> Iterator[Cell]:
    """AUC of one model; half of the patients belong to each class."""
    for kind, agreement, truth, count in [
            *product(("1",), (0.0,), (0.8, 0.95), (20, 60, 200)),
            *product(("3", "1 to 8", "2, one of 30"), (0.0, 0.5, 0.9), (0.8, 0.95),
                     (20, 60, 160))]:
        def draw(rng: np.random.Generator, kind: str = kind, agreement: float = agreement,
                 truth: float = truth, count: int = count) -> tuple[Found, float]:
            whose, clusters = _whose(kind, count, rng)
            positive = whose % 2 == 0
            score = latent(whose, agreement, rng) + positive * np.sqrt(2) * norm.ppf(truth)
            return auc_estimate(positive, score, clusters), truth

        yield Cell("AUC", {"images per patient": kind, "agreement": agreement, "truth": truth,
                           "patients": count}, draw, _few((1 - truth) / 2, kind, count))


def differences() -> Iterator[Cell]:
    """Paired differences of sensitivity (specificity and accuracy are computed alike)."""
    losses = ((0.01, 0.01), (0.03, 0.01), (0.05, 0.05), (0.08, 0.03), (0.15, 0.15))
    for kind, agreement, (lost, gained), count in [
            *product(("1",), (0.0,), losses, (50, 200, 1000)),
            *product(("5", "1 to 8"), (0.0, 0.5, 0.9), losses, (30, 80, 200)),
            *product(("2, one of 30",), (0.0, 0.5, 0.9), losses[2:], (40, 100)),
            *product(("5",), (0.0, 0.5, 0.9), (losses[1], losses[3]), (15, 600))]:
        def draw(rng: np.random.Generator, kind: str = kind, agreement: float = agreement,
                 lost: float = lost, gained: float = gained, count: int = count
                 ) -> tuple[Found, float]:
            whose, clusters = _whose(kind, count, rng)
            old, new = Decisions(lost, gained).draw(whose, agreement, rng)
            return paired_proportion("sensitivity", old, new, max(lost - gained, 0.02), "",
                                     clusters), gained - lost

        yield Cell("sensitivity difference", {
            "images per patient": kind, "agreement": agreement, "lost": lost, "gained": gained,
            "patients": count}, draw, _few(lost + gained, kind, count))


def kappas() -> Iterator[Cell]:
    """Cohen's kappa of decisions of which a share differs."""
    for kind, agreement, differ, prevalence, count in [
            *product(("1",), (0.0,), (0.02, 0.1, 0.3), (0.5, 0.2), (50, 200, 1000)),
            *product(("5", "1 to 8"), (0.0, 0.5, 0.9), (0.02, 0.1, 0.3), (0.5, 0.2),
                     (30, 80, 200))]:
        def draw(rng: np.random.Generator, kind: str = kind, agreement: float = agreement,
                 differ: float = differ, prevalence: float = prevalence, count: int = count
                 ) -> tuple[Found, float]:
            whose, clusters = _whose(kind, count, rng)
            old = latent(whose, agreement, rng) < norm.ppf(prevalence)
            new = old ^ (latent(whose, agreement, rng) < norm.ppf(differ))
            after = prevalence * (1 - differ) + (1 - prevalence) * differ
            chance = prevalence * after + (1 - prevalence) * (1 - after)
            return (kappa(old.astype(np.int64), new.astype(np.int64), 2, clusters),
                    (1 - differ - chance) / (1 - chance))

        yield Cell("kappa", {"images per patient": kind, "agreement": agreement,
                             "differ": differ, "prevalence": prevalence, "patients": count},
                   draw, _few(differ, kind, count))


def area_differences() -> Iterator[Cell]:
    """Paired differences of AUC: scores that all move a little, and a few positives missed."""
    moved = [(0.8, 0.0, 0.0), (0.8, -0.03, 0.0), (0.95, 0.0, 0.0), (0.95, -0.02, 0.0)]
    missed = [(0.9, 0.0, 0.02), (0.9, 0.0, 0.05)]
    for kind, agreement, (area, change, gone), correlation, counts in [
            *product(("1",), (0.0,), moved, (0.8, 0.98), ((20, 20), (20, 80), (60, 60),
                                                          (100, 300))),
            *product(("1",), (0.0,), missed, (0.98,), ((20, 80), (60, 60), (200, 200))),
            *product(("5", "1 to 8"), (0.0, 0.5, 0.9), moved, (0.9,), ((20, 40), (60, 60)))]:
        scores = Scores(area, area + change, correlation, gone)

        def draw(rng: np.random.Generator, kind: str = kind, agreement: float = agreement,
                 scores: Scores = scores, counts: tuple[int, int] = counts
                 ) -> tuple[Found, float]:
            whose, clusters = _whose(kind, sum(counts), rng)
            positive = whose < counts[0]
            old, new = scores.draw(positive, whose, agreement, rng)
            return paired_auc("auroc", positive.astype(np.int64), old, new,
                              max(-scores.difference, 0.02), clusters), scores.difference

        yield Cell("AUC difference" if not gone else "AUC difference, few positives missed", {
            "images per patient": kind, "agreement": agreement, "AUC": area, "change": change,
            "missed": gone, "correlation": correlation,
            "patients": f"{counts[0]} + {counts[1]}"}, draw,
            0 < gone * counts[0] < 4 or (1 - area) * min(counts) < 2)


def macros() -> Iterator[Cell]:
    """Means over three classes, of which one is rare."""
    for kind, agreement, count in [*product(("1",), (0.0,), (60, 300)),
                                   *product(("5",), (0.0, 0.5, 0.9), (60, 200))]:
        setting = {"images per patient": kind, "agreement": agreement, "patients": count}

        def classes(rng: np.random.Generator, kind: str = kind, agreement: float = agreement,
                    count: int = count) -> tuple[Array, Array, Any, float]:
            whose, clusters = _whose(kind, count, rng)
            return whose, np.array([0, 0, 0, 1, 1, 2])[whose % 6], clusters, agreement

        def recalls(rng: np.random.Generator, classes: Any = classes) -> tuple[Found, float]:
            whose, labels, clusters, agreement = classes(rng)
            right = latent(whose, agreement, rng) < norm.ppf(np.array([0.9, 0.8, 0.7])[labels])
            called = np.where(right, labels, (labels + 1) % 3)
            return macro_sensitivity(labels, np.eye(3)[called], None, clusters), 0.8

        def refusals(rng: np.random.Generator, classes: Any = classes) -> tuple[Found, float]:
            whose, labels, clusters, agreement = classes(rng)
            right = latent(whose, agreement, rng) < norm.ppf(0.8)
            called = np.where(right, labels, (labels + 1) % 3)
            # A class's false alarms are a fifth of the class before it.
            shares = np.array([3, 2, 1]) / 6
            return (macro_specificity(labels, np.eye(3)[called], None, clusters),
                    float(1 - np.mean([0.2 * shares[k - 1] / (1 - shares[k]) for k in range(3)])))

        def area(rng: np.random.Generator, classes: Any = classes) -> tuple[Found, float]:
            whose, labels, clusters, agreement = classes(rng)
            # Each class is ranked by a score of its own: an AUC of 0.9 against the others.
            logits = np.stack([latent(whose, agreement, rng) for _ in range(3)], axis=1)
            logits[np.arange(len(labels)), labels] += np.sqrt(2) * norm.ppf(0.9)
            return macro_auroc(labels, logits, None, clusters), _macro_area()

        def changes(rng: np.random.Generator, classes: Any = classes) -> tuple[Found, float]:
            whose, labels, clusters, agreement = classes(rng)
            old, new = Decisions(0.08, 0.03).draw(whose, agreement, rng)
            return macro_difference(labels, old, new, 3, 0.05, clusters), -0.05

        # A mean is as sparse as its rarest class, a sixth of the patients.
        yield Cell("macro sensitivity", setting, recalls, _few(0.3, kind, count // 6))
        yield Cell("macro specificity", setting, refusals, _few(0.2, kind, count // 6))
        yield Cell("macro AUC", setting, area)
        yield Cell("macro sensitivity difference", setting, changes, _few(0.11, kind, count // 6))


@cache
def _macro_area(images: int = 400_000) -> float:
    """Return the true macro AUC of the cells' three classes, from one large sample."""
    rng = np.random.default_rng(0)
    labels = np.array([0, 0, 0, 1, 1, 2])[np.arange(images) % 6]
    logits = rng.normal(size=(images, 3))
    logits[np.arange(images), labels] += np.sqrt(2) * norm.ppf(0.9)
    value = macro_auroc(labels, logits, None).value
    assert value is not None
    return value
