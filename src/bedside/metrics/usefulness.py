"""Whether a network is any good by itself: doubts about its answers, and a study's floors.

That a variant equals its parent says nothing about the parent. Sources and reasons:
``docs/decisions/0016-usefulness.md``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from bedside import metrics
from bedside.core.statistics import Doubt, Usefulness
from bedside.core.study import BudgetConfig
from bedside.core.text import count, percent
from bedside.core.types import Estimate
from bedside.metrics.design import Ints
from bedside.metrics.inputs import Floats, Labels
from bedside.metrics.probability import at_threshold
from bedside.metrics.stats import Z

CHANCE = 0.5
# Widens 95% intervals to the level at which two differences are wrong once in a hundred studies.
APART = float(ndtri(1 - 0.01 / 4)) / Z


@dataclass(frozen=True, slots=True)
class Answers:
    """One split: labels (n,), logits (n, K), classes given (n,), patients' numbers (n,) or None."""

    labels: Labels
    logits: Floats
    called: Labels
    clusters: Ints | None


def of(variant: str, target: str, test: Answers, val: Answers, positive: int | None,
       classes: Sequence[str]) -> Usefulness:
    """Describe one cell by itself.

    Args:
        variant: its id.
        target: likewise.
        test: its answers on test images.
        val: on validation images, to see whether both splits say the same.
        positive: index of the positive class of two, or None.
        classes: names, in order.
    """
    own, before = _metrics(test, positive), _metrics(val, positive)
    counts = np.bincount(test.called, minlength=len(classes))
    called = {name: int(n) for name, n in zip(classes, counts, strict=True)}
    return Usefulness(variant, target, len(test.labels), own, before, called, doubts(
        own, before, called, len(np.unique(test.labels))))


def _metrics(part: Answers, positive: int | None) -> dict[str, Estimate]:
    """Return AUC, sensitivity, specificity and accuracy at the classes that were given."""
    if not len(part.labels):
        return {}
    found = metrics.evaluate(part.labels, part.logits, positive, part.clusters)
    if positive is not None and np.isfinite(part.logits).all():
        at = at_threshold((part.labels == positive).astype(np.int64), part.called == positive,
                          part.clusters)
        found |= {k: at[k] for k in ("accuracy", "sensitivity", "specificity")}
    return found


def doubts(test: dict[str, Estimate], val: dict[str, Estimate], called: dict[str, int],
           labels: int) -> dict[Doubt, str]:
    """Return what a network's answers say against it, in words by kind.

    Args:
        test: its metrics on test images.
        val: the same on validation images.
        called: test images by the class they were given.
        labels: how many classes the test images have.
    """
    found: dict[Doubt, str] = {}
    auc = _auc(test)
    given = [name for name, n in called.items() if n]
    if labels > 1 and len(given) == 1:
        found["one class"] = f"predicts one class: every test image is called {given[0]!r}"
    if auc is not None and auc.value is not None and auc.low is not None and auc.high is not None:
        span = f"{auc.value:.3f} [{auc.low:.3f}, {auc.high:.3f}] on {count(auc.n)} test images"
        if auc.high < CHANCE:
            found["below chance"] = f"classes may be swapped: its AUC of {span} is below chance"
        elif auc.low <= CHANCE:
            found["chance"] = f"no better than chance: its AUC of {span} includes 0.5"
    else:
        why = "no test image was predicted" if auc is None else auc.reason
        found["no AUC"] = f"its AUC on test images is unknown: {why}"
    apart = _disagreement(test, val)
    if apart:
        found["splits disagree"] = f"validation and test disagree beyond chance: {apart}"
    return found


def _auc(found: dict[str, Estimate]) -> Estimate | None:
    return found.get("auroc", found.get("macro_auroc"))


def _disagreement(test: dict[str, Estimate], val: dict[str, Estimate]) -> str:
    """Name the first metric in which two splits differ at 1% for both metrics together.

    The interval of a difference of independent estimates from the interval of each (MOVER, Zou and
    Donner 2008, Stat. Med. 27:1693), widened. Accuracy is looked at where the AUC agrees.
    """
    for name, show, old, new in (
            ("AUC", lambda v: f"{v:.3f}", _auc(val), _auc(test)),
            ("accuracy", percent, val.get("accuracy"), test.get("accuracy"))):
        if old is None or new is None:
            continue
        one, other = _bounds(old), _bounds(new)
        if one is None or other is None:
            continue
        (low, _, up), (high, down, _) = sorted((one, other))
        if high - low > APART * math.hypot(high - down, up - low):
            return (f"{name} {show(one[0])} on {count(old.n)} validation images and "
                    f"{show(other[0])} on {count(new.n)} test images")
    return ""


def _bounds(e: Estimate) -> tuple[float, float, float] | None:
    """Return value, lower and upper bound, or None where there is none."""
    if e.value is None or e.low is None or e.high is None:
        return None
    return e.value, e.low, e.high


# ------------------------------------------------------------------ floors


def below(reference: Usefulness | None, own: Usefulness | None, budget: BudgetConfig
          ) -> tuple[str, ...]:
    """Return why a cell is not good enough to be used, in words; none where it is.

    The reference must meet every floor and be better than chance. The cell itself, whose images may
    be a sample, must meet the floors that are values.

    Args:
        reference: of the float32 model; None where nothing is known of it.
        own: of the cell; None likewise. A float32 cell is its own reference.
        budget: the study's floors.
    """
    base = reference or own
    if base is None:
        return ("nothing is known of its answers on test images",)
    found = [text for kind, text in base.doubts.items() if kind != "splits disagree"]
    if base.n < budget.min_test_images:
        found.append(f"{count(base.n)} test images, and the study asks for "
                     f"{count(budget.min_test_images)} at least")
    found += _values(base, budget)
    name = f"the float32 reference: {found[0]}" if found and base is not own else ""
    if found:
        return (name or found[0], *found[1:])
    if own is None or own is base:
        return ()
    return (*(text for kind, text in own.doubts.items() if kind in ("below chance", "one class")),
            *_values(own, budget))


def _values(one: Usefulness, budget: BudgetConfig) -> list[str]:
    """Return the floors that a cell's values miss."""
    found = []
    for name, word, floor in (("auroc", "AUC", budget.min_auc),
                              ("sensitivity", "sensitivity", budget.min_sensitivity),
                              ("specificity", "specificity", budget.min_specificity)):
        macro = f"macro_{name}"
        e = one.metrics.get(macro if macro in one.metrics else name)
        word = f"macro {word}" if macro in one.metrics else word
        if e is not None and e.value is not None and e.value < floor:
            shown, least = ((f"{e.value:.3f}", f"{floor:g}") if name == "auroc"
                            else (percent(e.value), percent(floor)))
            found.append(f"{word} of {shown} on test images, and the study asks for {least} at "
                         "least")
    return found
