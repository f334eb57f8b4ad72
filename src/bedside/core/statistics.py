"""Types of ``statistics.json``, which the stage ``evidence`` publishes: one cell at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from bedside.core.types import Estimate


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Images whose probability lies in one bin: their mean and how many are positive."""

    low: float
    high: float
    mean: float | None
    observed: Estimate


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The smooth calibration curve at one predicted probability, with its pointwise 95% band."""

    predicted: float
    observed: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Whether probabilities come true: of the positive class, else of the predicted one.

    ``intercept`` (0 is right) and ``slope`` (1 is right) of a logistic recalibration of the
    outcome on the predicted log-odds, with intervals by ``method``. ``consistency_p``: of an
    expected calibration error as large as the observed one if every probability were right,
    by ``test``. ``curve`` is a restricted cubic spline; where it is empty ``curve_reason``
    says why. ``findings`` names what the intervals exclude: ``too low``, ``too high`` (all
    probabilities), ``over-confident``, ``under-confident``, ``inconsistent`` (the test alone);
    empty where nothing is excluded, which does not prove calibration.
    """

    intercept: Estimate
    slope: Estimate
    method: str
    test: str
    consistency_p: float | None = None
    reason: str | None = None
    curve: tuple[CurvePoint, ...] = ()
    curve_reason: str | None = None
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NetBenefit:
    """Net benefit at one threshold probability of a cell and its reference, new minus old.

    In true positives for each image, a false positive costing ``threshold / (1 − threshold)``
    of one, at ``prevalence`` (Vickers and Elkin 2006). ``treat_all`` calls every image positive.
    ``difference`` is null for the reference itself, with the reason.
    """

    threshold: float
    prevalence: float
    value: float
    reference: float
    treat_all: float
    difference: Estimate
    method: str


@dataclass(frozen=True, slots=True)
class Probabilities:
    """Quality of the probabilities of one cell on one split.

    ``metrics`` are at the locked threshold, ``rechosen`` at the variant's own. ``brier``, ``ece``
    (ten bins of equal width) and ``ece_debiased`` (root mean square over bins of equal size,
    less its bias) come three times: ``scores`` without a temperature, ``calibrated`` with
    ``temperature``, the one that the bundle ships (the reference's; empty where it has none),
    ``own`` with the variant's ``own_temperature``. ``bins`` and ``calibration`` are of the
    probabilities that ship, ``raw_bins`` and ``raw_calibration`` of those without a temperature.
    ``net_benefit`` is at the threshold that ships.
    """

    variant: str
    target: str
    split: str
    metrics: dict[str, Estimate] = field(default_factory=dict)
    rechosen: dict[str, Estimate] = field(default_factory=dict)
    scores: dict[str, Estimate] = field(default_factory=dict)
    calibrated: dict[str, Estimate] = field(default_factory=dict)
    bins: tuple[ReliabilityBin, ...] = ()
    raw_bins: tuple[ReliabilityBin, ...] = ()
    temperature: float | None = None
    own_temperature: float | None = None
    own: dict[str, Estimate] = field(default_factory=dict)
    calibration: Calibration | None = None
    raw_calibration: Calibration | None = None
    net_benefit: NetBenefit | None = None
    net_benefit_reason: str | None = None

    @property
    def shipped(self) -> dict[str, Estimate]:
        """Scores of the probabilities that ship."""
        return self.calibrated or self.scores


@dataclass(frozen=True, slots=True)
class Subgroup:
    """One cell on the test images of one group of one column."""

    variant: str
    target: str
    column: str
    group: str
    n: int
    metrics: dict[str, Estimate] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Worst:
    """The group with the lowest value of a metric in one cell; ``apart`` if intervals part."""

    variant: str
    target: str
    column: str
    metric: str
    group: str
    estimate: Estimate
    rest: Estimate
    apart: bool


@dataclass(frozen=True, slots=True)
class Stratum:
    """A variant against float32 in one group of one column, at the locked threshold.

    ``metric``: ``sensitivity`` (n counts the group's positives) or ``specificity``. ``old`` and
    ``new`` are its values, ``p_interaction`` of no difference between this group's change and the
    others'; ``detectable`` the smallest true loss that so few cases find with 80% power, null
    where none can be found.
    """

    variant: str
    target: str
    column: str
    group: str
    metric: str
    n: int
    old: float | None
    new: float | None
    lost: int
    gained: int
    difference: Estimate
    p_value: float | None = None
    p_interaction: float | None = None
    detectable: float | None = None


# What a network's own answers say against it, whatever they are compared with.
Doubt = Literal["no AUC", "below chance", "chance", "one class", "splits disagree"]


@dataclass(frozen=True, slots=True)
class Usefulness:
    """How good one cell is by itself on test images.

    ``metrics``: ``auroc``, ``sensitivity`` and ``specificity`` of the positive class at the locked
    threshold, or their macro means (``macro_auroc``, …); ``validation`` the same on validation
    images. ``called``: images by the class they were given. ``doubts``: what is wrong with the
    answers themselves, in words by kind.
    """

    variant: str
    target: str
    n: int
    metrics: dict[str, Estimate] = field(default_factory=dict)
    validation: dict[str, Estimate] = field(default_factory=dict)
    called: dict[str, int] = field(default_factory=dict)
    doubts: dict[Doubt, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Abstained:
    """What withholding the class did to one cell's test images.

    ``answered``: share of images with a class. ``risks``: shares of all positives that are missed,
    of all others that raise an alarm, or of all images that are answered wrongly, as
    ``Abstention.risks`` limits them. ``accuracy``: of those with a class.
    """

    variant: str
    target: str
    answered: Estimate
    risks: dict[str, Estimate] = field(default_factory=dict)
    accuracy: Estimate | None = None


@dataclass(frozen=True, slots=True)
class Statistics:
    """``statistics.json`` of a model: usefulness, probabilities and subgroups of every cell."""

    schema: int = 1
    probabilities: tuple[Probabilities, ...] = ()
    subgroups: tuple[Subgroup, ...] = ()
    worst: tuple[Worst, ...] = ()
    columns: dict[str, str] = field(default_factory=dict)
    usefulness: tuple[Usefulness, ...] = ()
    abstained: tuple[Abstained, ...] = ()
    strata: tuple[Stratum, ...] = ()
