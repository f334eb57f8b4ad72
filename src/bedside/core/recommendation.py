"""Types that the stage ``recommend`` publishes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from bedside.core.evidence import Answer, Needed
from bedside.core.protocol import Standing
from bedside.core.types import Estimate, Evidence, Status

# Why there is no choice, or why a variant cannot be one.
Cause = Literal["not run", "not predicted", "budget", "worse", "unmeasured", "below floor",
                "vetoed", "not shown"]
# "exploratory": what would be a confirmation, had no setting changed after the opening.
Verdict = Literal["confirmed", "reference", "not shown", "untested", "vetoed", "below floor",
                  "exploratory"]


_UNKNOWN = Estimate(None, reason="nothing was predicted")

# Medians of one file on one idle machine differ by a few percent from run to run: medians that
# differ by less than this share count as the same speed.
SAME_SPEED = 0.05


@dataclass(frozen=True, slots=True)
class Speed:
    """Median time per image in ms, and the range of the medians of its fresh processes.

    The true median of a process lies between the least and the largest of ``rounds``
    independent ones with probability ``coverage`` = 1 − 2^(1 − rounds) (the sign test's
    interval). Without rounds of its own ``low`` and ``high`` are the median.
    """

    median: float
    low: float
    high: float
    rounds: int = 0
    coverage: float | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One variant on one target, with what a choice may look at: validation and latency.

    ``metric`` names the AUC that ranks it. ``answer`` is the paired one on validation images
    against its own float32 model. ``steps`` are the decisions beyond a plain conversion.
    """

    variant: str
    model: str
    scheme: str
    status: Status
    size_bytes: int
    steps: int
    metric: str = "auroc"
    auc: Estimate = _UNKNOWN
    accuracy: Estimate = _UNKNOWN
    latency_ms: Speed | None = None
    latency_evidence: Evidence | None = None
    accuracy_evidence: Evidence | None = None
    peak_memory_bytes: int | None = None
    answer: Answer | None = None
    reason: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The verdict of the test images on the one choice; ``text`` in plain words.

    ``needed``: how many cases would decide, where these are too few.
    """

    verdict: Verdict
    text: str
    against: str | None = None
    n: int = 0
    needed: tuple[Needed, ...] = ()


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The choice for one target, or none.

    ``ranked`` are the variants that could be chosen, best first, as validation and measured
    latency rank them; ``rejected`` gives every variant but the chosen one its reason.
    ``rule`` is the rule, ``why`` what it found here, both in plain words. Where there is no
    choice ``cause`` says of what kind the reason is, ``vetoed`` names the choice that the test
    images took back, and ``measure_first`` the variant to time where nothing was measured.
    ``doubts``: what the reference's own answers on test images say against it.
    ``exploratory``: what changed after the test set was opened, or why nobody can know, in words.
    """

    target: str
    chosen: str | None
    ranked: tuple[str, ...] = ()
    rejected: dict[str, str] = field(default_factory=dict)
    rule: str = ""
    why: tuple[str, ...] = ()
    cause: Cause | None = None
    vetoed: str | None = None
    measure_first: str | None = None
    test: Confirmation | None = None
    warnings: tuple[str, ...] = ()
    causes: dict[str, Cause] = field(default_factory=dict)
    candidates: tuple[Candidate, ...] = ()
    doubts: tuple[str, ...] = ()
    exploratory: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recommendations:
    """``recommendation.json``; ``protocol`` is null in a run of an earlier version."""

    schema: int = 1
    recommendations: tuple[Recommendation, ...] = ()
    protocol: Standing | None = None
