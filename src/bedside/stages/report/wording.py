"""Names, metrics and reductions as the report prints them."""

from __future__ import annotations

import unicodedata
from typing import Any

from bedside.core.recommendation import SAME_SPEED
from bedside.core.text import EN_DASH, percent, signed
from bedside.core.types import Estimate

METRIC_TITLES = {
    "accuracy": "Accuracy",
    "auroc": "AUC",
    "macro_auroc": "AUC (macro, one-vs-rest)",
    "macro_sensitivity": "Sensitivity (macro)",
    "macro_specificity": "Specificity (macro)",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "balanced_accuracy": "Balanced accuracy",
    "ppv": "PPV",
    "npv": "NPV",
    "brier": "Brier score",
    "ece": "Calibration error",
    "miss_ratio": "Missed, times float32",
    "ece_debiased": "Calibration error, debiased",
}

# What each scheme is called in the paper's Table 2.
PAPER_SCHEMES = {
    "float32": "No opt. (FP32)",
    "dynamic": "Dynamic-Range",
    "float16": "Half-Precision (FP16)",
    "int8": "Full-Integer (INT8)",
}

_PERCENT = {"accuracy", "sensitivity", "specificity", "balanced_accuracy", "ppv", "npv",
            "macro_sensitivity", "macro_specificity", "miss_ratio"}


def printable(value: Any) -> Any:
    """Replace control and direction-changing characters in a text; return other values unchanged.

    A file or class name may hold them, and they could make a line of the report read differently
    from what it says.
    """
    if not isinstance(value, str):
        return value
    if value.isascii() and value.isprintable():
        return value
    keep = type(value)
    clean = "".join(
        "\ufffd" if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in "\n\t" else c
        for c in value
    )
    return keep(clean)


def metric_title(name: str) -> str:
    """Return the heading of a metric."""
    return METRIC_TITLES.get(name) or name.replace("_", " ").capitalize()


def metric_value(name: str, value: float) -> str:
    """Format a metric's value: proportions as percent, the rest with three decimals."""
    return percent(value) if name in _PERCENT else signed(f"{value:.3f}")


def interval(name: str, estimate: Estimate) -> str:
    """Format the 95% interval, or return an empty text where there is none."""
    if estimate.low is None or estimate.high is None:
        return ""
    if name in _PERCENT:
        return signed(f"{100 * estimate.low:.1f}") + EN_DASH + f"{100 * estimate.high:.1f}"
    return signed(f"{estimate.low:.3f}") + EN_DASH + signed(f"{estimate.high:.3f}")


def faster(reduction: float) -> str:
    """Format a reduction of latency; within 5% two latencies count as equal."""
    return "as fast" if abs(reduction) < SAME_SPEED else less(reduction, "faster", "slower")


def less(reduction: float, smaller: str, larger: str) -> str:
    """Format a reduction: ``75% smaller``, or ``8% larger`` where it is negative."""
    whole = round(100 * reduction)
    if whole == 0:
        return f"no {smaller}"
    return f"{whole}% {smaller}" if whole > 0 else f"{-whole}% {larger}"
