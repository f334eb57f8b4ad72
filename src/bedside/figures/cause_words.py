"""The causes of INT8's change (:mod:`bedside.figures.causes`) in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bedside.core.text import delta, percent, plural
from bedside.figures.causes import ALONE, FEWEST, FULL, HALF, lowers


def sentence(facts: Mapping[str, Any]) -> str:
    """Say which cause explains how much of a variant's change of the logits."""
    if facts["reason"]:
        return f"its causes were not tested: {facts['reason']}"
    rows = facts["rows"]
    full = rows[FULL]["share"]
    if full["value"] is None:
        return f"its causes were not tested: {full['reason']}"
    parts = [f"{ALONE[k]} alone makes {share(rows[k]['share'])}" for k in ALONE]
    return (f"of its mean squared change of the logits on {plural(facts['n'], 'validation image')} "
            f"{'; '.join(parts)} (rounded weights {share(rows['weights']['share'])}), and with "
            f"mean shifts corrected {share(rows['mean_shift']['share'])} is left: "
            f"{_verdict(facts)}. {_auc_words(facts)}")


def _verdict(facts: Mapping[str, Any]) -> str:
    rows, named = facts["rows"], facts["cause"]
    if rows[FULL]["share"]["n"] < FEWEST:
        return "too few images to name a cause"
    if named is None:
        return "no single cause makes more than half of it, as far as these images tell"
    text = f"the cause is {ALONE[named]}"
    if (rows[named]["share"]["low"] or 0.0) > 1:
        text += ", which another cause offsets in part"
    left = rows["mean_shift"]["share"]["high"]
    if left is not None and left < HALF:
        text += "; most of it is a mean shift, which corrected biases remove"
    return text


def _auc_words(facts: Mapping[str, Any]) -> str:
    rows = facts["rows"]
    if rows[FULL]["auc_change"]["value"] is None:
        return f"The AUC is undefined ({rows[FULL]['auc_change']['reason']})"
    changes = "; ".join(f"{ALONE[k]} alone {moved_by(rows[k]['auc_change'])}" for k in ALONE)
    named = facts["auc_cause"]
    if not lowers(rows[FULL]):
        answer = "no loss is proved"
    elif named is None:
        answer = "no cause alone is shown to lose"
    else:
        answer = f"{ALONE[named]} is the cause that loses"
    return f"AUC {moved_by(rows[FULL]['auc_change'])} ({changes}): {answer}"


def moved_by(e: Mapping[str, Any]) -> str:
    """Format a change of AUC with its interval."""
    values = [delta(e[k]) for k in ("value", "low", "high") if e[k] is not None]
    return values[0] + (f" [{values[1]}, {values[2]}]" if values[2:] else "")


def share(e: Mapping[str, Any]) -> str:
    """Format a share with its interval, such as ``97% [91%, 104%]``."""
    if e["value"] is None:
        return "an unknown share"
    text = _percent(e["value"])
    if e["low"] is None:
        return text
    return f"{text} [{', '.join(_percent(e[k]) for k in ('low', 'high'))}]"


def _percent(value: float) -> str:
    # Nothing is known beyond that; the number itself would only look precise.
    return "> 1,000%" if value > 10 else percent(value, _digits(value))


def _digits(value: float) -> int:
    return 1 if 0 < value < 0.1 else 0


def numbers(row: Mapping[str, Any]) -> str:
    """Return changed decisions and the change of AUC, for an axis."""
    changed, moved = row["changed"], row["auc_change"]
    text = f"{round(changed['value'] * changed['n'])} of {changed['n']} changed"
    if moved["value"] is None:
        return text
    return f"{text}, AUC {moved_by(moved)}"
