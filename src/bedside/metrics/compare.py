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
from scipy.special import ndtri

from bedside.core.evidence import (
    MISS_RATIO,
    Comparison,
    Flips,
    Needed,
    OperatingPoint,
    PairedTest,
)
from bedside.core.study import EvidenceConfig
from bedside.metrics import miss_ratio, paired, paired_macro
from bedside.metrics.bootstrap import Resampled, clustered, resample
from bedside.metrics.design import clusters_of, effective
from bedside.metrics.inputs import Floats, Labels, log_odds
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
            config: EvidenceConfig, drawn: Resampled | None = None,
            places: tuple[int, int] = (0, 1)) -> Comparison:
    """Test ``new`` against ``old`` on the same images in the same order.

    Args:
        old: the reference.
        new: what takes its place.
        positive: index of the positive class of two, or None.
        groups: (n,) patient or group of each image.
        config: margins and the bootstrap's seed.
        drawn: bootstrap of both sides where groups repeat; made here where it is None.
        places: rows of both sides in ``drawn``.

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
                                                      "no images"),
                 "macro_sensitivity": paired_macro.sensitivity(
                     labels, right[0], right[1], classes, config.sensitivity_margin),
                 "macro_auroc": paired_macro.auroc(labels, old.logits, new.logits,
                                                   config.auc_margin)}
        if clusters is not None:
            tests = _macro_by_patient(tests, old, new, right, clusters, config)
    else:
        tests = _binary(old, new, positive, right, config)
        if clusters is not None:
            tests = _by_patient(tests, old, new, positive, right, clusters, config, drawn, places)
    return Comparison("", "", "", "", n, tests, paired.kappa(before, after, classes),
                      _flips(before, after, labels, positive, clusters))


def _binary(old: Side, new: Side, positive: int, right: paired.Bools, config: EvidenceConfig
            ) -> dict[str, PairedTest]:
    truth = old.labels == positive
    tests = {
        "accuracy": paired.paired_proportion("accuracy", right[0], right[1], None, "no images"),
        "sensitivity": paired.paired_proportion(
            "sensitivity", right[0, truth], right[1, truth], config.sensitivity_margin,
            "no positive images"),
        "specificity": paired.paired_proportion(
            "specificity", right[0, ~truth], right[1, ~truth], config.specificity_margin,
            "no negative images"),
        "auroc": paired.paired_auc("auroc", truth.astype(np.int64), log_odds(
            old.logits, positive), log_odds(new.logits, positive), config.auc_margin)}
    return tests | _ratio(right[:, truth], config)


def _ratio(right: paired.Bools, config: EvidenceConfig, independent: float = 1.0
           ) -> dict[str, PairedTest]:
    """Return the test of the ratio of misses, where there is a margin and a miss."""
    if config.miss_ratio_margin is None:
        return {}
    found = miss_ratio.miss_ratio(right[0], right[1], config.miss_ratio_margin, independent)
    return {} if found is None else {MISS_RATIO: found}


def _by_patient(tests: dict[str, PairedTest], old: Side, new: Side, positive: int,
                right: paired.Bools, clusters: Labels, config: EvidenceConfig,
                drawn: Resampled | None, places: tuple[int, int]) -> dict[str, PairedTest]:
    truth = old.labels == positive
    if drawn is None:
        scores = np.stack([log_odds(s.logits, positive) for s in (old, new)])
        drawn = resample(truth.astype(np.int64), scores, right, clusters, config.resamples,
                         config.seed)
    change = right[1].astype(np.int64) - right[0].astype(np.int64)
    rarer = min(truth, ~truth, key=lambda mine: effective(clusters[mine]))
    counted = {"accuracy": np.ones_like(truth), "sensitivity": truth, "specificity": ~truth}
    found = {name: clustered(
        test, drawn.spread(name, *places), clusters[counted.get(name, rarer)],
        change[counted[name]] if name in counted else None) for name, test in tests.items()
        if name != MISS_RATIO}
    if not truth.any():
        return found
    # As if all images of one patient were alike, the least that they can prove.
    loss = found["sensitivity"]
    share = effective(clusters[truth]) / int(truth.sum())
    return found | {name: replace(t, p_value=loss.p_value, p_worse=loss.p_worse,
                                  clusters=loss.clusters)
                    for name, t in _ratio(right[:, truth], config, share).items()}


def _macro_by_patient(tests: dict[str, PairedTest], old: Side, new: Side, right: paired.Bools,
                      clusters: Labels, config: EvidenceConfig) -> dict[str, PairedTest]:
    """Test macro means by patient, with one draw of patients for all classes."""
    labels, classes = old.labels, old.logits.shape[1]
    of = [resample((labels == k).astype(np.int64),
                   np.stack([log_odds(s.logits, k) for s in (old, new)]), right, clusters,
                   config.resamples, config.seed) for k in range(classes)]
    drawn = Resampled({"accuracy": of[0].values["accuracy"]} | {
        f"macro_{name}": np.mean([one.values[name] for one in of], axis=0)
        for name in ("sensitivity", "auroc")})
    rarest = min((labels == k for k in range(classes)), key=lambda mine: effective(clusters[mine]))
    change = right[1].astype(np.int64) - right[0].astype(np.int64)
    return {name: clustered(test, drawn.spread(name, 0, 1), clusters, change)
            if name == "accuracy" else
            clustered(test, drawn.spread(name, 0, 1), clusters[rarest])
            for name, test in tests.items()}


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
    """Return, for every endpoint not shown, the cases that a harmless variant would need."""
    found = []
    alpha = ALPHA / max(family, 1)
    for t in endpoints(c):
        if t.metric == MISS_RATIO:
            continue
        if t.p_noninferior is None or t.margin is None or t.p_noninferior <= alpha:
            continue
        d, cases = t.difference, t.cases or c.n
        if t.gained is not None and t.lost is not None and t.clusters is None:
            share = (t.gained + t.lost) / cases
        elif t.p_value is not None and d.low is not None and d.high is not None:
            share = min(1.0, cases * ((d.high - d.low) / (2 * Z)) ** 2)
        else:
            share = 0.0
        want = max(paired.cases_to_show(share, t.margin, alpha), cases + 1)
        if t.metric == "macro_sensitivity" and d.value is not None and d.low is not None:
            # Its interval is that of the rarest class: how far it is from the margin now says
            # more than the share of images that differ. Where none does it is z² / (n + z²),
            # which a power of 1.2 follows on the safe side.
            wide = (d.value - d.low) / t.margin * float(-ndtri(alpha)) / Z
            want = max(want, math.ceil(cases * wide ** (2 if share else 1.2)))
        if t.clusters is not None:
            want = math.ceil(want * t.clusters / cases)
            cases = t.clusters
        kind = {"sensitivity": "positive images", "specificity": "negative images",
                "macro_sensitivity": "images",
                "macro_auroc": "images of the rarest class"}.get(
                    t.metric, "images of the rarer class")
        if t.clusters is not None:
            kind = kind.replace("images", "patients")
        found.append(Needed(t.metric, kind, want, math.ceil(want * c.n / cases)))
    return tuple(found)
