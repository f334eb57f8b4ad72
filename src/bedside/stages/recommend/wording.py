"""Wording of recommendations, and the numbers that rule and wording share."""

from __future__ import annotations

from collections.abc import Sequence

from bedside.core.evidence import Needed
from bedside.core.recommendation import SAME_SPEED, Candidate, Speed
from bedside.core.study import BudgetConfig, Limits
from bedside.core.text import count, megabytes, milliseconds
from bedside.core.types import Estimate
from bedside.stages.recommend.differences import Differences


def rule(margin: float, budget: BudgetConfig, limits: Limits) -> str:
    """Return the rule in plain words, with the numbers of this study."""
    allowed = ", ".join(_limit_texts(limits))
    last = ("is shown non-inferior on the test images; if they are too few, nothing is recommended"
            if budget.require == "shown" else
            "is not inferior on the test images, which confirm or veto it and select nothing")
    return (
        "The float32 model must be better than chance on the test images (the lower limit of its "
        f"AUC above 0.5) and reach the study's floors: an AUC of {budget.min_auc:g}, a sensitivity "
        f"of {budget.min_sensitivity:g}, a specificity of {budget.min_specificity:g}, "
        f"{count(budget.min_test_images)} test images. "
        f"Eligible are variants that run, {f'meet the budget ({allowed}), ' if allowed else ''}are "
        "not inferior to their float32 model on validation images and have a measured latency. "
        f"Of these, keep those whose validation AUC is at most {margin:g} below the best on the "
        "same images, then those as fast as the fastest (ranges of medians overlap, or medians "
        f"within {SAME_SPEED:.0%}), then those whose paired difference of AUC from the best left "
        "has a 95% interval that reaches 0. "
        "Of the rest, the simplest wins (fewest decisions beyond a plain conversion), then the "
        f"smallest file. The choice stands if it {last}. Estimated, simulated and emulated "
        "latencies are never ranked. Validation images also chose the training epoch and the "
        "threshold: an AUC on them is optimistic; differences between variants are less so.")


def _limit_texts(limits: Limits) -> list[str]:
    return [text for value, text in (
        (limits.latency_ms, f"latency up to {milliseconds(limits.latency_ms or 0)}"),
        (limits.size_bytes, f"file up to {megabytes(limits.size_bytes or 0)}"),
        (limits.peak_memory_bytes, f"memory up to {megabytes(limits.peak_memory_bytes or 0)}"))
        if value is not None]


def needed_text(needed: Sequence[Needed]) -> str:
    """Return the number of cases that would settle it, as a clause after a sentence."""
    names = {"auroc": "AUC", "macro_auroc": "macro AUC", "macro_sensitivity": "macro sensitivity"}
    parts = [f"non-inferior {names.get(n.metric, n.metric)} needs about {count(n.cases)} {n.kind} "
             f"({count(n.images)} test images like these)" for n in needed]
    return "; showing " + ", ".join(parts) if parts else ""


def measured(candidate: Candidate) -> bool:
    """Return whether its latency was measured on the target itself."""
    return candidate.latency_ms is not None and candidate.latency_evidence == "measured"


def same_speed(one: Speed, other: Speed) -> bool:
    """Return whether two latencies are indistinguishable: ranges overlap or medians are close."""
    slow, fast = max(one.median, other.median), min(one.median, other.median)
    return (one.low <= other.high and other.low <= one.high) or slow <= fast * (1 + SAME_SPEED)


def below_text(difference: Estimate) -> str:
    """Return how far below: ``0.012 [0.003, 0.021]``, of a difference that is negative."""
    value, low, high = (None if v is None else -v + 0.0 for v in (
        difference.value, difference.high, difference.low))
    if value is None or low is None or high is None:
        return "an unknown amount" if value is None else f"{value:.3f}"
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def why(first: Candidate, order: Sequence[Candidate], margin: float, apart: Differences
        ) -> tuple[str, ...]:
    """Return the reasons for the choice: accuracy, latency, size, simplicity."""
    top = max(order, key=lambda c: (auc(c), c.variant))
    own = f"Validation AUC {auc(first):.3f}{_span(first)}, n = {count(first.auc.n)}"
    said = [f"{own}: the best on this target." if auc(top) - auc(first) < 5e-4 else
            f"{own}: {below_text(apart(first.variant, top.variant))} below the best "
            f"({top.variant}) on the same images, within the margin of {margin:g}."]
    others = [c for c in order[1:] if c is top
              or (apart(c.variant, top.variant).value or 0.0) >= -margin]
    rival = min(others, key=lambda c: (median(c), c.variant), default=None)
    text = f"Measured latency {milliseconds(median(first))}"
    if rival is None:
        said.append(f"{text}; no other variant has a comparable AUC.")
    elif same_speed(speed(rival), speed(first)):
        said.append(f"{text}, indistinguishable from {rival.variant} "
                    f"({milliseconds(median(rival))}); among equals it is the simplest, then the "
                    "smallest.")
    else:
        said.append(f"{text}, the fastest at a comparable AUC; next is {rival.variant} with "
                    f"{milliseconds(median(rival))}.")
    said.append(f"File {megabytes(first.size_bytes)}.")
    return tuple(said)


def warnings(first: Candidate | None, candidates: Sequence[Candidate]) -> tuple[str, ...]:
    """Return the caveats of a choice or a target."""
    caveats = []
    others = sorted({str(c.latency_evidence) for c in candidates if c.status == "ok"
                     and c.latency_ms is not None and not measured(c)})
    if others:
        caveats.append(f"some latencies on this target are {' or '.join(others)} and are not "
                       "ranked against measured ones")
    if first is not None and first.accuracy_evidence not in (None, "measured"):
        caveats.append(f"its accuracy is {first.accuracy_evidence}, not measured on the device")
    if first is not None and first.latency_ms is not None and first.latency_ms.rounds < 3:
        caveats.append("its latency comes from fewer than three fresh processes, so its range is "
                       "unreliable")
    return tuple(caveats)


def speed(c: Candidate) -> Speed:
    """Return the latency of a candidate that has one."""
    assert c.latency_ms is not None
    return c.latency_ms


def median(c: Candidate) -> float:
    """Return its median latency, in milliseconds."""
    return speed(c).median


def auc(c: Candidate) -> float:
    """Return the validation AUC of a candidate that has one."""
    assert c.auc.value is not None
    return c.auc.value


def _span(c: Candidate) -> str:
    if c.auc.low is None or c.auc.high is None:
        return ""
    return f" (95% interval {c.auc.low:.3f} to {c.auc.high:.3f})"
