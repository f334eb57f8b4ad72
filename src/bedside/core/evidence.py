"""Types that the stage ``evidence`` publishes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from bedside.core.types import Abstention, Estimate

Answer = Literal["shown", "not shown", "worse"]


@dataclass(frozen=True, slots=True)
class PairedTest:
    """One metric of two models on the same images; differences are new minus old.

    For ``miss_ratio`` (shares of positives missed) the difference is −ln(new / old), and the
    margin a logarithm too, so that a loss is negative as everywhere.

    ``p_value`` is two-sided, of no difference. ``p_noninferior`` is one-sided, of a loss of the
    margin or more; ``p_worse`` one-sided, of no loss. ``excluded`` is the lower bound of the
    difference that the answer uses: ``difference.low``, or less where so few images cannot
    exclude a loss that they had no chance to show; ``ceiling`` is the upper one. Both are
    unadjusted, at 2.5% on each side, as is ``difference``: ``p_noninferior`` is at most 0.025
    exactly where ``excluded`` lies above −margin. A number that does not exist is null, and
    ``reason`` says why. ``cases`` are the independent ones that could show a loss; ``clusters``
    counts patients (or groups of near-duplicates) where some have several images, and then
    intervals and tests are theirs.
    """

    metric: str
    method: str
    old: float | None
    new: float | None
    difference: Estimate
    gained: int | None = None
    lost: int | None = None
    p_value: float | None = None
    margin: float | None = None
    p_noninferior: float | None = None
    p_worse: float | None = None
    excluded: float | None = None
    cases: int | None = None
    clusters: int | None = None
    reason: str | None = None
    ceiling: float | None = None


MISS_RATIO = "miss_ratio"


def miss_ratio_of(difference: Estimate) -> tuple[float | None, float | None, float | None]:
    """Return the ratio of misses, new over old, with its bounds, from its −ln as tests hold it."""
    value, low, high = (None if v is None else math.exp(-v)
                        for v in (difference.value, difference.high, difference.low))
    return value, low, high


@dataclass(frozen=True, slots=True)
class Flips:
    """Images whose decision differs; ``lost`` were right before, ``gained`` are right now.

    ``missed`` are positives called positive before and not now, ``found`` the other way round;
    ``alarms`` are negatives called positive now and not before, ``cleared`` the other way
    round. Null where the task names no positive class.
    """

    changed: Estimate
    lost: int
    gained: int
    missed: int | None = None
    found: int | None = None
    alarms: int | None = None
    cleared: int | None = None


@dataclass(frozen=True, slots=True)
class Needed:
    """The number of cases that would decide a metric: of the kind it counts, and in all."""

    metric: str
    kind: str
    cases: int
    images: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """A cell against its reference on the images of one split that both predicted.

    ``answer`` is null where there is nothing to compare, with the reason. ``p_shown`` is adjusted
    after Holm over ``family`` comparisons; ``p_worse`` for the endpoints alone, never for the
    number of variants. ``planned``: the one comparison of a target that was fixed before its images
    were read, a family of one. ``same_as`` names a cell with identical predictions, which counts
    once in the family.
    """

    variant: str
    target: str
    against: str
    split: str
    n: int
    tests: dict[str, PairedTest] = field(default_factory=dict)
    kappa: Estimate | None = None
    flips: Flips | None = None
    answer: Answer | None = None
    reason: str | None = None
    p_shown: float | None = None
    p_worse: float | None = None
    family: int = 0
    same_as: str | None = None
    needed: tuple[Needed, ...] = ()
    notes: tuple[str, ...] = ()
    only_old: int = 0
    only_new: int = 0
    planned: bool = False


@dataclass(frozen=True, slots=True)
class Comparisons:
    """``comparisons.json`` of a model."""

    schema: int = 1
    comparisons: tuple[Comparison, ...] = ()


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """The rule that calls an image positive, chosen on validation images.

    An image is positive where its log-odds (positive logit minus the other) are at least
    ``threshold_log_odds``. ``threshold`` is the same as a softmax probability, and
    ``threshold_calibrated`` as a probability after dividing the logits by ``temperature``.
    ``rule`` is how it was chosen; ``reason`` says why it is not the rule that was asked for.
    Without a positive class the largest logit decides and the thresholds are null.
    ``abstention``: where the cell gives no class, found on its own validation images.
    """

    rule: str
    n: int
    threshold_log_odds: float | None = None
    threshold: float | None = None
    temperature: float | None = None
    threshold_calibrated: float | None = None
    reason: str | None = None
    temperature_reason: str | None = None
    abstention: Abstention | None = None


@dataclass(frozen=True, slots=True)
class OperatingPoints:
    """``operating_point.json`` of a model.

    ``locked`` is the reference's (float32), which every variant is tested with; ``cells`` are
    each cell's own, chosen again. ``predictions``: the SHA-256 of what they were chosen on, by
    cell.
    """

    schema: int
    model: str
    positive: str | None
    reference: str | None = None
    locked: OperatingPoint | None = None
    cells: dict[str, OperatingPoint] = field(default_factory=dict)
    predictions: dict[str, str] = field(default_factory=dict)
