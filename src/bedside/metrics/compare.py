"""Comparison of two models: every paired test, and one answer: shown, not shown or worse.

The answer covers sensitivity, specificity and AUC together (for tasks without a positive class the
macro means of recall and AUC), because a shift of every score leaves the AUC unchanged and can
raise one of the other two at the cost of the other. *Shown* (non-inferior): a loss of the margin or
more is excluded for all. *Worse* (inferior): a loss of one is proved and may reach the margin. *Not
shown* (inconclusive): neither, with the number of cases that would settle it.

Where validation has chosen one variant for a target, its test is the only one that was planned, a
family of one (:func:`alone`). The others are looked at as well, so their *shown* is adjusted
together after Holm, at 2.5% one-sided. *Worse* is never adjusted for the number of variants: what
harms alone harms beside others.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bedside.core.evidence import MISS_RATIO, Comparison, Flips, Needed, OperatingPoint, PairedTest
from bedside.core.study import EvidenceConfig
from bedside.core.text import percent
from bedside.metrics import miss_ratio, paired, paired_auc, paired_macro, power
from bedside.metrics.design import clusters_of, of
from bedside.metrics.inputs import Floats, Labels, log_odds
from bedside.metrics.kappa import kappa
from bedside.metrics.probability import decide
from bedside.metrics.stats import Z, share

ALPHA = 0.025


@dataclass(frozen=True, slots=True)
class Side:
    """One model's logits (n, K) of some images, and its operating point."""

    ids: npt.NDArray[np.str_]
    labels: Labels
    logits: Floats
    point: OperatingPoint


def scores_of(logits: Floats, positive: int | None) -> Floats | None:
    """Return the log-odds of the positive class (n,), or None without one."""
    return None if positive is None else log_odds(logits, positive)


def compare(old: Side, new: Side, positive: int | None, groups: Sequence[str],
            config: EvidenceConfig) -> Comparison:
    """Test ``new`` against ``old`` on the same images in the same order.

    Args:
        old: the reference.
        new: what takes its place.
        positive: index of the positive class of two, or None.
        groups: (n,) patient or group of each image.
        config: margins.

    Returns:
        A comparison without names, answer and adjustment (:func:`answers` gives those).
    """
    n, labels = len(old.labels), old.labels
    if n == 0:
        return Comparison("", "", "", "", 0, reason="no image in common")
    before = decide(old.logits, scores_of(old.logits, positive), positive, old.point)
    after = decide(new.logits, scores_of(new.logits, positive), positive, new.point)
    right = np.stack([before == labels, after == labels])
    classes = old.logits.shape[1]
    clusters = clusters_of(groups)
    if positive is None:
        tests = {"accuracy": paired.paired_proportion("accuracy", right[0], right[1], None,
                                                      "no images", clusters),
                 "macro_sensitivity": paired_macro.sensitivity(
                     labels, right[0], right[1], classes, config.sensitivity_margin, clusters),
                 "macro_auroc": paired_macro.auroc(labels, old.logits, new.logits,
                                                   config.auc_margin, clusters)}
    else:
        tests = _binary(old, new, positive, right, clusters, config)
    few = tests.get("sensitivity")
    notes = () if few is None or few.margin in (None, config.sensitivity_margin) else (
        "float32 misses fewer than one positive in a hundred, so "
        f"{config.miss_ratio_margin:g} times as many is counted from one in a hundred: the margin "
        f"of sensitivity is {percent(few.margin, 1)}",)
    return Comparison("", "", "", "", n, tests, kappa(before, after, classes, clusters),
                      _flips(before, after, labels, positive, clusters), notes=notes)


def _binary(old: Side, new: Side, positive: int, right: paired.Bools, clusters: Labels | None,
            config: EvidenceConfig) -> dict[str, PairedTest]:
    truth = old.labels == positive

    def proportion(metric: str, mine: paired.Bools, margin: float | None, none: str) -> PairedTest:
        return paired.paired_proportion(metric, right[0, mine], right[1, mine], margin, none,
                                        of(clusters, mine))

    detected = right[0, truth]
    margin, ratio_margin = miss_ratio.limits(
        config.sensitivity_margin, config.miss_ratio_margin or None,
        1 - float(detected.mean()) if len(detected) else 1.0)
    tests = {
        "accuracy": proportion("accuracy", np.ones_like(truth), None, "no images"),
        "sensitivity": proportion("sensitivity", truth, margin, "no positive images"),
        "specificity": proportion("specificity", ~truth, config.specificity_margin,
                                  "no negative images"),
        "auroc": paired_auc.paired_auc("auroc", truth.astype(np.int64), log_odds(
            old.logits, positive), log_odds(new.logits, positive), config.auc_margin, clusters)}
    ratio = None if ratio_margin is None else miss_ratio.miss_ratio(
        detected, right[1, truth], ratio_margin, of(clusters, truth))
    # One test of no loss stands behind both endpoints.
    loss = tests["sensitivity"]
    return tests if ratio is None else tests | {MISS_RATIO: replace(
        ratio, p_value=loss.p_value, p_worse=loss.p_worse, clusters=loss.clusters)}


def _flips(before: Labels, after: Labels, labels: Labels, positive: int | None,
           clusters: Labels | None) -> Flips:
    differs = before != after
    changed = share(differs, clusters, "no images")
    lost = int((differs & (before == labels)).sum())
    gained = int((differs & (after == labels)).sum())
    if positive is None:
        return Flips(changed, lost, gained)
    truth, now = labels == positive, after == positive
    return Flips(changed, lost, gained, missed=int((differs & truth & ~now).sum()),
                 found=int((differs & truth & now).sum()),
                 alarms=int((differs & ~truth & now).sum()),
                 cleared=int((differs & ~truth & ~now).sum()))


# ------------------------------------------------------------------ answers


def endpoints(comparison: Comparison) -> list[PairedTest]:
    """Return the tests that have a margin: sensitivity, specificity and AUC, or macro means."""
    return [t for t in comparison.tests.values() if t.margin is not None]


def raw_p(comparison: Comparison) -> tuple[float, float]:
    """Return the one-sided p-values before Holm: of *shown*, and of *worse*.

    All endpoints must be shown, so the largest p-value counts and needs no adjustment; any may be
    worse, so the smallest counts as often as there are endpoints (Bonferroni). Only an endpoint
    whose interval reaches the margin can be worse: a certain loss inside it is not.
    """
    tests = endpoints(comparison)
    shown = max((1.0 if t.p_noninferior is None else t.p_noninferior for t in tests), default=1.0)
    worse = [t.p_worse for t in tests if t.p_worse is not None and reaches(t)]
    # Sensitivity and the ratio of misses share one test of no loss.
    kinds = sum(t.metric != MISS_RATIO for t in tests)
    return shown, min(1.0, kinds * min(worse, default=1.0))


def reaches(test: PairedTest) -> bool:
    """Return whether a loss of the margin or more is not excluded."""
    return test.margin is not None and (
        test.difference.low is None or test.difference.low <= -test.margin)


def answers(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """Adjust the comparisons of one study together (Holm) and give each its answer.

    A comparison that names another in ``same_as`` has that one's predictions: it takes the same
    answer and does not count again.
    """
    counted = [c for c in comparisons if c.same_as is None and endpoints(c)
               and any(t.p_noninferior is not None for t in endpoints(c))]
    raw = [raw_p(c) for c in counted]
    shown, worse = paired.holm([p for p, _ in raw]), [p for _, p in raw]
    found = {(c.variant, c.target): (s, w) for c, s, w in zip(counted, shown, worse, strict=True)}
    by_cell = {f"{c.variant}@{c.target}": (c.variant, c.target) for c in comparisons}
    done = []
    for c in comparisons:
        key = by_cell[c.same_as] if c.same_as is not None else (c.variant, c.target)
        done.append(_answer(c, found.get(key), len(counted)))
    return tuple(done)


def alone(comparison: Comparison) -> Comparison:
    """Answer a comparison that was planned before the images were read, as a family of one."""
    one = replace(comparison, planned=True)
    return answers([replace(one, same_as=None, needed=())])[0] if endpoints(one) else one


def with_planned(comparisons: Sequence[Comparison], planned: Collection[tuple[str, str]]
                 ) -> tuple[Comparison, ...]:
    """Answer the planned comparisons (variant, target) on test images as families of one."""
    return tuple(alone(c) if c.split == "test" and (c.variant, c.target) in planned else c
                 for c in comparisons)


def _answer(c: Comparison, adjusted: tuple[float, float] | None, family: int) -> Comparison:
    if adjusted is None:
        why = c.reason or "; ".join(dict.fromkeys(
            t.reason for t in endpoints(c) if t.reason)) or "nothing to test"
        return replace(c, answer=None, reason=why, family=family)
    shown, worse = adjusted
    untested = [t for t in endpoints(c) if t.p_noninferior is None]
    reason = "; ".join(f"{t.metric}: {t.reason}" for t in untested) or None
    c = replace(c, p_shown=shown, p_worse=worse, family=family, reason=reason)
    if shown <= ALPHA:
        return replace(c, answer="shown")
    if worse <= ALPHA:
        return replace(c, answer="worse")
    return replace(c, answer="not shown", needed=needed(c, family))


def needed(c: Comparison, family: int) -> tuple[Needed, ...]:
    """Return, for every endpoint not shown, the cases that a harmless variant would need.

    One study size for all: with as many images like these every endpoint is shown together in 80%
    of studies, at the strictest level of Holm's adjustment. Observed discordance and scatter count
    with their upper 80% limits (:mod:`bedside.metrics.power`).
    """
    alpha = ALPHA / max(family, 1)
    tested = [t for t in endpoints(c) if t.p_noninferior is not None]
    missing = [t for t in tested if t.p_noninferior is not None and t.p_noninferior > alpha]
    if not missing:
        return ()
    parts = [_part(t, c.tests.get(MISS_RATIO)) for t in tested if t.metric != MISS_RATIO]
    # In percent of this study, so that the search is over whole numbers.
    percent = power.smallest(
        lambda scale: power.joint(parts, scale / 100, alpha) >= power.POWER, 101)
    if percent is None:
        return ()
    scale = percent / 100
    return tuple(Needed(t.metric, _kind(t), math.ceil(scale * _units(t)), math.ceil(scale * c.n))
                 for t in missing)


def _part(t: PairedTest, ratio: PairedTest | None) -> power.Part:
    """Return what a test says of the same endpoint in another study, on the pessimistic side."""
    assert t.margin is not None
    cases = float(t.cases or 1)
    if t.metric in ("sensitivity", "specificity"):
        images, patients = t.difference.n, math.inf if t.clusters is None else t.clusters
        differ = ((t.gained or 0) + (t.lost or 0)) / images
        effect = 1.0 if t.clusters is None else power.observed_effect(
            images, t.clusters, differ, cases)
        rules: tuple[power.PairEndpoint, ...] = (power.Difference(t.metric, t.margin),)
        if t.metric == "sensitivity" and ratio is not None and ratio.margin is not None:
            rules += (miss_ratio.Ratio(MISS_RATIO, math.exp(ratio.margin), 1 - (t.old or 0.0)),)
        return power.Pairs(rules, images, power.upper_share(
            differ * images / effect, images / effect), effect, patients)
    d = t.difference
    assert d.value is not None and d.low is not None and d.high is not None
    sd = 0.0 if t.p_value is None and t.metric != "macro_sensitivity" else (
        power.upper_sd((d.high - d.low) / (2 * Z), max(cases - 1, 1.0)))
    if t.metric == "macro_sensitivity":
        return power.Mean(t.metric, t.margin, sd, not (t.gained or t.lost))
    return power.Area(t.metric, t.margin, sd, cases, max(cases - 1, 1.0))


def _units(t: PairedTest) -> int:
    """Return how many of the kind that ``needed`` counts this study has."""
    if t.clusters is not None:
        return t.clusters
    return (t.cases or t.difference.n) if t.metric.endswith("auroc") else t.difference.n


def _kind(t: PairedTest) -> str:
    kinds = {"sensitivity": "positive images", MISS_RATIO: "positive images",
             "specificity": "negative images", "macro_sensitivity": "images",
             "macro_auroc": "images of the rarest class"}
    kind = kinds.get(t.metric, "images of the rarer class")
    return kind if t.clusters is None else kind.replace("images", "patients")
