"""Decision rule: from measurements and a budget to one variant, or none, per target.

:func:`choose` is pure. Validation images and measured latency rank; the test images confirm or
veto the one choice and select nothing. Why so: ``docs/decisions/0013-recommendation.md``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bedside.core.errors import BadInput
from bedside.core.evidence import MISS_RATIO, Comparison
from bedside.core.recommendation import Candidate, Cause, Confirmation, Recommendation
from bedside.core.registry import did_you_mean
from bedside.core.study import BudgetConfig, EvidenceConfig, Limits
from bedside.core.text import capital, count, megabytes, milliseconds
from bedside.core.types import Estimate
from bedside.metrics.compare import alone
from bedside.stages.recommend.differences import Differences, unpaired
from bedside.stages.recommend.wording import (
    auc,
    below_text,
    measured,
    median,
    needed_text,
    rule,
    same_speed,
    speed,
    warnings,
    why,
)

FAILING: tuple[Cause, ...] = ("budget", "worse", "below floor", "vetoed", "not shown")


# ------------------------------------------------------------------ the budget


def check_budget(budget: BudgetConfig, targets: Sequence[str]) -> None:
    """Refuse an invalid budget before any work is done. Raises BadInput."""
    for where, limits in (("budget", budget), *((f"budget.targets.{t}", v)
                                                for t, v in budget.targets.items())):
        for name in ("latency_ms", "size_bytes", "peak_memory_bytes"):
            value = getattr(limits, name)
            if value is not None and value <= 0:
                raise BadInput(f"must be above 0; got {value:g}", where=f"{where}.{name}",
                               remedy="Correct it, or leave it out for no limit.")
    for name, least in (("min_auc", 0.5), ("min_sensitivity", 0.0), ("min_specificity", 0.0)):
        value = getattr(budget, name)
        if not least <= value < 1:
            hint = f" {value:g}% is {value / 100:g}." if 1 < value < 100 else ""
            raise BadInput(f"must be in [{least:g}, 1); got {value:g}", where=f"budget.{name}",
                           remedy=f"Give a fraction, such as 0.8.{hint}")
    if budget.min_test_images < 1:
        raise BadInput(f"must be 1 or more; got {budget.min_test_images}",
                       where="budget.min_test_images", remedy="Give a number of images.")
    for name in ("slower", "larger"):
        value = getattr(budget, name)
        if not 0 <= value < 1:
            hint = f" {value:g}% is {value / 100:g}." if 1 <= value < 100 else ""
            raise BadInput(f"must be in [0, 1); got {value:g}", where=f"budget.{name}",
                           remedy=f"Give a fraction, such as 0.1 for a tenth.{hint}")
    for name in budget.targets:
        if name not in targets:
            raise BadInput(f"unknown target {name!r}", where="budget.targets",
                           remedy=did_you_mean(name, targets))


def limits_of(budget: BudgetConfig, target: str) -> Limits:
    """Return the limits that hold on a target: its own, else the study's."""
    own = budget.targets.get(target, Limits())
    return Limits(*(getattr(budget, n) if getattr(own, n) is None else getattr(own, n)
                    for n in ("latency_ms", "size_bytes", "peak_memory_bytes")))


def broken_limits(candidate: Candidate, limits: Limits) -> list[str]:
    """Return every limit that a variant exceeds or cannot show to meet, in words."""
    broken = []
    if limits.size_bytes is not None and candidate.size_bytes > limits.size_bytes:
        broken.append(f"its file of {megabytes(candidate.size_bytes)} exceeds the budget of "
                      f"{megabytes(limits.size_bytes)}")
    memory = candidate.peak_memory_bytes
    if limits.peak_memory_bytes is not None and memory is None:
        broken.append("its peak memory is unknown, and the budget limits it")
    elif limits.peak_memory_bytes is not None and memory is not None and (
            memory > limits.peak_memory_bytes):
        broken.append(f"its peak memory of {megabytes(memory)} exceeds the budget of "
                      f"{megabytes(limits.peak_memory_bytes)}")
    speed = candidate.latency_ms
    if (limits.latency_ms is not None and speed is not None and measured(candidate)
            and speed.median > limits.latency_ms):
        broken.append(f"its latency of {milliseconds(speed.median)} exceeds the budget of "
                      f"{milliseconds(limits.latency_ms)}")
    return broken


# ------------------------------------------------------------------ the choice


def choose(target: str, candidates: Sequence[Candidate], budget: BudgetConfig,
           evidence: EvidenceConfig, tests: Mapping[str, Comparison] | None = None,
           floors: Mapping[str, tuple[str, ...]] | None = None,
           differences: Differences | None = None) -> Recommendation:
    """Choose one variant for a target, or none.

    Args:
        target: the target's id.
        candidates: every variant of the study on it.
        budget: the study's limits.
        evidence: the study's margins.
        tests: by variant, its paired comparison on test images; only the choice's is read.
        floors: by variant, why test images show it or its reference too poor for use; likewise.
        differences: of validation AUC between two variants; from each one's own AUC by default.

    Returns:
        The recommendation, with a reason for every variant that is not chosen.
    """
    limits, margin = limits_of(budget, target), evidence.auc_margin
    out: dict[str, tuple[Cause, str]] = {}
    able: list[Candidate] = []
    for c in candidates:
        fault = _fault(c, limits, budget.min_auc)
        if fault is None:
            able.append(c)
        else:
            out[c.variant] = fault
    timed = [c for c in able if measured(c)]
    for c in able:
        if not measured(c):
            out[c.variant] = ("unmeasured", _unmeasured(c))
    apart = differences or unpaired(candidates)
    order = rank(timed, margin, apart=apart)
    first = order[0] if order else None
    result = Recommendation(
        target, None if first is None else first.variant, tuple(c.variant for c in order),
        rule=rule(margin, budget, limits), candidates=tuple(candidates),
        warnings=warnings(first, candidates))
    losers = {c.variant: _lost(c, first, timed, margin, apart)
              for c in order[1:] if first is not None}
    result = replace(result, rejected=losers | {v: text for v, (_, text) in out.items()},
                    causes={v: cause for v, (cause, _) in out.items()})
    if first is None:
        waiting = rank([c for c in able if not measured(c)], margin, timed=False, apart=apart)
        return _none(result, waiting[0].variant if waiting else None)
    poor = (floors or {}).get(first.variant, ())
    if poor:
        return _too_poor(result, first, poor)
    return _tested(result, first, (tests or {}).get(first.variant), budget,
                   why(first, order, margin, apart))


def _fault(c: Candidate, limits: Limits, min_auc: float) -> tuple[Cause, str] | None:
    if c.status != "ok":
        return "not run", f"{c.status}: {c.reason or 'no reason was recorded'}"
    if c.auc.value is None:
        why = c.auc.reason or "no reason was recorded"
        return "not predicted", f"it has no validation AUC: {why}"
    if c.auc.value < min_auc:
        return "below floor", (f"its validation AUC of {c.auc.value:.3f} is below the floor of "
                               f"{min_auc:g}")
    broken = broken_limits(c, limits)
    if broken:
        return "budget", "; ".join(broken)
    if c.answer == "worse":
        return "worse", ("inferior to its float32 model on validation images"
                         + (f" ({c.note})" if c.note else ""))
    return None


def _unmeasured(c: Candidate) -> str:
    if c.latency_ms is None:
        return "its latency was not measured" + (f" ({c.reason})" if c.reason else "")
    how = c.latency_evidence or "of unknown origin"
    return (f"its latency of {milliseconds(c.latency_ms.median)} is {how}; only measured latencies "
            "are ranked")


def rank(candidates: Sequence[Candidate], margin: float, timed: bool = True,
         apart: Differences | None = None) -> list[Candidate]:
    """Rank all candidates: the rule picks the best, then the best of the rest, and so on.

    Args:
        candidates: with a validation AUC, and where ``timed`` a measured latency.
        margin: of AUC.
        timed: whether latency counts.
        apart: differences of validation AUC, as for :func:`choose`.
    """
    rest, order = list(candidates), []
    apart = apart or unpaired(candidates)
    while rest:
        best = _pick(rest, margin, timed, apart)[-1][0]
        order.append(best)
        rest.remove(best)
    return order


def _pick(rest: Sequence[Candidate], margin: float, timed: bool, apart: Differences
          ) -> tuple[list[Candidate], list[Candidate], list[Candidate], list[Candidate]]:
    """Return the candidates left after each step: AUC, latency, validation answer, the choice."""
    top = _best(rest)
    good = [c for c in rest if c is top or _value(apart(c.variant, top.variant)) >= -margin - 1e-12]
    near = good
    if timed:
        fastest = min(good, key=lambda c: (median(c), c.variant))
        near = [c for c in good if same_speed(speed(c), speed(fastest))]
    best = _best(near)
    alike = [c for c in near if c is best or _high(apart(c.variant, best.variant)) >= 0]
    choice = min(alike, key=lambda c: (c.steps, c.size_bytes, median(c) if timed else 0.0,
                                       c.variant))
    return good, near, alike, [choice]


def _best(candidates: Sequence[Candidate]) -> Candidate:
    return max(candidates, key=lambda c: (auc(c), c.variant))


def _value(difference: Estimate) -> float:
    return 0.0 if difference.value is None else difference.value


def _high(difference: Estimate) -> float:
    return _value(difference) if difference.high is None else difference.high


def _lost(c: Candidate, first: Candidate, timed: Sequence[Candidate], margin: float,
          apart: Differences) -> str:
    """Return why a ranked variant is not the choice."""
    good, near, alike, _ = _pick(timed, margin, True, apart)
    if c not in good:
        top = _best(timed)
        return (f"its validation AUC is more than {margin:g} below the best: "
                f"{below_text(apart(c.variant, top.variant))} below {top.variant}")
    if c not in near:
        return (f"slower at a comparable AUC: {milliseconds(median(c))} against "
                f"{milliseconds(median(first))}")
    if c not in alike:
        best = _best(near)
        return (f"as fast, but its validation AUC is below that of {best.variant} by "
                f"{below_text(apart(c.variant, best.variant))}")
    same = f"AUC and latency comparable to {first.variant}, which"
    if c.steps != first.steps:
        return (f"{same} is simpler ({first.steps} against {c.steps} decisions beyond a plain "
                "conversion)")
    if c.size_bytes != first.size_bytes:
        return (f"{same} is smaller ({megabytes(first.size_bytes)} against "
                f"{megabytes(c.size_bytes)})")
    return f"{same} is as simple and as small and comes first by name"


# ------------------------------------------------------------------ the test images


def _too_poor(result: Recommendation, first: Candidate, poor: Sequence[str]) -> Recommendation:
    """Take the choice back: that it equals its float32 model is no reason to use it."""
    text = "; ".join(poor)
    return replace(
        result, chosen=None, cause="below floor", vetoed=first.variant,
        test=Confirmation("below floor", f"not good enough for use: {text}"),
        rejected={first.variant: text, **result.rejected},
        causes={first.variant: "below floor", **result.causes},
        why=(f"Not good enough for use: {text}.",
             f"{first.variant} ranks first on validation images and latency. The runner-up is not "
             "taken instead: that would be selecting on test images."))


def _tested(result: Recommendation, first: Candidate, test: Comparison | None,
            budget: BudgetConfig, reasons: tuple[str, ...]) -> Recommendation:
    said = confirm(first, None if test is None else alone(test))
    cause: Cause | None = None
    if said.verdict == "vetoed":
        cause = "vetoed"
    elif budget.require == "shown" and said.verdict in ("not shown", "untested"):
        cause = "not shown"
    if cause is None:
        return replace(result, test=said, why=reasons)
    text = said.text if cause == "vetoed" else (
        f"the study requires proof of non-inferiority (require = \"shown\"): {said.text}")
    return replace(
        result, chosen=None, cause=cause, vetoed=first.variant, test=said,
        rejected={first.variant: text, **result.rejected},
        causes={first.variant: cause, **result.causes},
        why=(f"{first.variant} ranks first on validation images and latency. {capital(text)}.",
             "The runner-up is not taken instead: that would be selecting on test images."))


def confirm(first: Candidate, test: Comparison | None) -> Confirmation:
    """Return the result of the choice on test images."""
    if first.scheme == "float32" and test is None:
        return Confirmation("reference", "it is the float32 reference itself")
    if test is None or test.answer is None:
        why = test.reason if test is not None and test.reason else "no test image was predicted"
        return Confirmation("untested", f"not tested on test images: {why}",
                            test.against or None if test is not None else None,
                            test.n if test is not None else 0)
    on = f"on {count(test.n)} test images against {test.against}"
    if test.only_old or test.only_new:
        on += f" ({count(test.only_old + test.only_new)} more were predicted by only one of them)"
    if test.answer == "shown":
        return Confirmation("confirmed", f"confirmed as non-inferior in {_tested_for(test)} {on}",
                            test.against, test.n)
    if test.answer == "worse":
        return Confirmation("vetoed", f"vetoed as inferior {on}", test.against, test.n)
    return Confirmation("not shown", f"inconclusive {on}{needed_text(test.needed)}", test.against,
                        test.n, test.needed)


def _tested_for(test: Comparison) -> str:
    return ("sensitivity, specificity, AUC and the ratio of misses" if MISS_RATIO in test.tests
            else "sensitivity, specificity and AUC" if "specificity" in test.tests
            else "sensitivity and AUC, means over the classes")


def _none(result: Recommendation, waiting: str | None) -> Recommendation:
    kinds = list(result.causes.values())
    ladder: tuple[Cause, ...] = ("unmeasured", "below floor", "budget", "worse", "not predicted",
                                 "not run")
    cause: Cause = next((c for c in ladder if c in kinds), "not run")
    texts: dict[Cause, str] = {
        "unmeasured": "no eligible variant has a measured latency on this target, and other "
                      "latencies are never ranked",
        "below floor": "no variant is good enough on validation images for the study's floors",
        "budget": "no variant meets the budget",
        "worse": "every variant left is inferior to its float32 model on validation images",
        "not predicted": "no variant that runs has a validation AUC on this target",
        "not run": "no variant runs on this target"}
    said = [capital(texts[cause]) + "."]
    if waiting is not None:
        said.append(f"By validation AUC, simplicity and size, measure {waiting} first.")
    return replace(result, cause=cause, measure_first=waiting, why=tuple(said))
