"""Planning of a paired study: the cases with which a harmless variant is shown non-inferior.

What the power is and what it assumes: :mod:`bedside.metrics.power`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from scipy.special import ndtri, owens_t

from bedside.core.errors import BadInput
from bedside.core.evidence import MISS_RATIO
from bedside.metrics.miss_ratio import Ratio, limits
from bedside.metrics.power import (
    POWER,
    Area,
    Difference,
    PairEndpoint,
    Pairs,
    Part,
    joint,
    smallest,
)


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What a plan rests on; shares are fractions.

    ``sensitivity`` and ``specificity`` are float32's at its threshold: with the discordance they
    say how far scores move, and so how the AUC's difference scatters. All images of a patient have
    one class, and their changes correlate by ``correlation``. ``targets`` share the level.
    """

    prevalence: float
    sensitivity_margin: float = 0.02
    specificity_margin: float = 0.05
    auc_margin: float = 0.02
    miss_ratio_margin: float | None = 2.0
    sensitivity: float = 0.9
    specificity: float = 0.9
    cases_per_patient: float = 1.0
    correlation: float = 0.5
    targets: int = 1
    power: float = POWER


@dataclass(frozen=True, slots=True)
class Planned:
    """The cases for one discordance, and the power that they give: jointly and of each endpoint."""

    discordance: float
    images: int
    positives: int
    negatives: int
    patients: int
    power: float
    each: dict[str, float]


def plan(given: Assumptions, discordance: tuple[float, float], alpha: float) -> tuple[Planned, ...]:
    """Return the cases needed at the lowest, the middle and the highest expected discordance.

    Args:
        given: the study's assumptions.
        discordance: lowest and highest share of images of a class whose decision differs.
        alpha: one-sided level of the study, shared by its targets.

    Raises:
        BadInput: an assumption outside its range, a range the wrong way round, or a margin so
            small that no study of 1e8 images has the power.
    """
    checked(given, discordance)
    low, high = discordance
    return tuple(_planned(given, share, alpha / given.targets)
                 for share in dict.fromkeys((low, (low + high) / 2, high)))


def _planned(given: Assumptions, discordance: float, alpha: float) -> Planned:
    def power(n: int) -> float:
        return joint(parts(given, discordance, n), 1.0, alpha)

    n = smallest(lambda n: power(n) >= given.power, _least(given))
    if n is None:
        raise BadInput("no study of 100 million images has this power", where="plan-study",
                       remedy="Use wider margins or a prevalence nearer to one half.")
    positives = _positives(given, n)
    alone = {name: one.power(1.0, alpha) for part in parts(given, discordance, n)
             for name, one in separate(part).items()}
    patients = math.ceil(positives / given.cases_per_patient) + math.ceil(
        (n - positives) / given.cases_per_patient)
    return Planned(discordance, n, positives, n - positives, patients, power(n), alone)


def separate(part: Part) -> dict[str, Part]:
    """Return each endpoint of a part as a part of its own, by metric."""
    if isinstance(part, Pairs):
        return {e.metric: replace(part, endpoints=(e,)) for e in part.endpoints}
    return {part.metric: part} if isinstance(part, Area) else {}


def parts(given: Assumptions, discordance: float, n: int) -> tuple[Part, ...]:
    """Return the parts of a study of n images: positives, negatives and AUC."""
    positives = _positives(given, n)
    counts = positives, n - positives
    size = given.cases_per_patient
    effect = 1 + (size - 1) * given.correlation
    margin, ratio = limits(given.sensitivity_margin, given.miss_ratio_margin, 1 - given.sensitivity)
    on: tuple[PairEndpoint, ...] = (Difference("sensitivity", margin),)
    if ratio is not None:
        on += (Ratio(MISS_RATIO, ratio, 1 - given.sensitivity),)
    rules = on, (Difference("specificity", given.specificity_margin),)
    whole = [count / size if size > 1 else math.inf for count in counts]
    pairs = tuple(Pairs(rule, count, discordance, effect, patients)
                  for rule, count, patients in zip(rules, counts, whole, strict=True))
    own = float(ndtri(given.sensitivity)), float(ndtri(given.specificity))
    apart = sum(own) / math.sqrt(2)
    variance = effect * sum(
        placement_variance(apart, score_correlation(mean, discordance)) / count
        for mean, count in zip(own, counts, strict=True))
    rarer = min(counts) / size
    return (*pairs, Area("auroc", given.auc_margin, math.sqrt(variance), rarer,
                         max(rarer - 1, 1.0)))


def score_correlation(mean: float, discordance: float) -> float:
    """Return the correlation of two models' normal scores whose decisions differ so often.

    P(signs differ) = 4 T(mean, √((1 − r) / (1 + r))) with Owen's function T (Owen 1956, Ann. Math.
    Stat. 27:1075); 0 where not even independent scores differ so often.

    Args:
        mean: of both scores relative to the threshold, in standard deviations.
        discordance: the share.
    """
    low, high = 0.0, 1.0  # of √((1 − r) / (1 + r))
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if 4 * float(owens_t(mean, middle)) < discordance else (
            low, middle)
    return (1 - high * high) / (1 + high * high)


def placement_variance(apart: float, correlation: float) -> float:
    """Return the variance of one case's change of placement between two binormal models.

    DeLong's components for normal scores: 2 (Φ₂(a, a; ½) − Φ₂(a, a; r/2)), written with Owen's T.

    Args:
        apart: Φ⁻¹ of both models' AUC.
        correlation: of the two models' scores of a case.
    """
    half = correlation / 2
    return max(4 * float(owens_t(apart, math.sqrt((1 - half) / (1 + half)))
                         - owens_t(apart, math.sqrt(1 / 3))), 0.0)


def _positives(given: Assumptions, n: int) -> int:
    return min(max(round(n * given.prevalence), 1), n - 1)


def _least(given: Assumptions) -> int:
    """Return the smallest study with a patient of each class."""
    return max(math.ceil(given.cases_per_patient / min(given.prevalence, 1 - given.prevalence)), 2)


def checked(given: Assumptions, discordance: tuple[float, float]) -> None:
    """Refuse assumptions outside their range. Raises BadInput naming the flag."""
    def refuse(flag: str, fault: str, remedy: str) -> None:
        raise BadInput(fault, where=flag, remedy=remedy)

    for name in ("sensitivity_margin", "specificity_margin", "auc_margin"):
        value = getattr(given, name)
        if not 0 < value < 1:
            refuse(f"--{name.replace('_', '-')}", f"the margin {value:g} is outside (0, 1)",
                   "Give a fraction: 0.02 is two points.")
    if given.miss_ratio_margin is not None and not 1 < given.miss_ratio_margin <= 10:
        refuse("--miss-ratio-margin", f"the ratio {given.miss_ratio_margin:g} is outside (1, 10]",
               "Give how many times as many positives may be missed, as 2; 0 for no such margin.")
    if not 0 < given.prevalence < 1:
        refuse("--prevalence", f"a prevalence of {given.prevalence:g}",
               "Give the share of positive images, above 0 and below 1.")
    for name in ("sensitivity", "specificity"):
        if not 0.5 <= getattr(given, name) < 1:
            refuse(f"--{name}", f"{getattr(given, name):g} is outside [0.5, 1)",
                   "Give the float32 model's, as 0.9.")
    low, high = discordance
    if low > high:
        refuse("--discordance", f"the range {low:g}..{high:g} is the wrong way round",
               "Give the lowest share first, as 0.01..0.03.")
    if not 0 <= low <= high < 1:
        refuse("--discordance", f"the range {low:g}..{high:g} is outside [0, 1)",
               "Give shares of the images, as 0.01..0.03.")
    if not given.cases_per_patient >= 1:
        refuse("--cases-per-patient", f"{given.cases_per_patient:g} cases per patient",
               "Give the mean number of images per patient, 1 or more.")
    if not 0 <= given.correlation <= 1:
        refuse("--correlation", f"a correlation of {given.correlation:g}",
               "Give the correlation within a patient, from 0 to 1.")
    if given.targets < 1:
        refuse("--targets", f"{given.targets} targets", "Give 1 or more.")
    if not 0.5 <= given.power < 1:
        refuse("--power", f"a power of {given.power:g}", "Give one from 0.5 to below 1, as 0.8.")
