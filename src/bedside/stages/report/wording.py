"""Numbers and names as the report prints them: plain text, no markup, nothing hidden."""

from __future__ import annotations

import unicodedata
from typing import Any

from bedside.core.types import Estimate

DASH = "—"
MINUS = "\u2212"
EN_DASH = "–"

# Medians of one file on one idle machine differ by a few percent from run to run.
SAME_SPEED = 0.05

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
}

# What each scheme is called in the paper's Table 2.
PAPER_SCHEMES = {
    "float32": "No opt. (FP32)",
    "dynamic": "Dynamic-Range",
    "float16": "Half-Precision (FP16)",
    "int8": "Full-Integer (INT8)",
}

_PERCENT = {"accuracy", "sensitivity", "specificity", "balanced_accuracy", "ppv", "npv",
            "macro_sensitivity", "macro_specificity"}


def printable(value: Any) -> Any:
    """A text without control or direction-changing characters; other values unchanged.

    A file or class name may hold them, and they could make a line of the report read as
    something else than it is.
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
    """The heading of a metric."""
    return METRIC_TITLES.get(name) or name.replace("_", " ").capitalize()


def signed(text: str) -> str:
    """A number with a true minus sign."""
    return text.replace("-", MINUS)


def percent(fraction: float, digits: int = 1) -> str:
    """``0.885`` as ``88.5%``."""
    return signed(f"{100 * fraction:.{digits}f}%")


def points(difference: float) -> str:
    """A difference of two fractions in percentage points, with its sign."""
    text = f"{100 * difference:+.1f}"
    return "±0.0 points" if float(text) == 0 else signed(text) + " points"


def delta(difference: float) -> str:
    """A difference of two numbers in [0, 1] (AUC), three decimals, with its sign."""
    text = f"{difference:+.3f}"
    return "±0.000" if float(text) == 0 else signed(text)


def metric_value(name: str, value: float) -> str:
    """A metric's value: proportions as percent, the rest with three decimals."""
    return percent(value) if name in _PERCENT else signed(f"{value:.3f}")


def interval(name: str, estimate: Estimate) -> str:
    """The 95% interval, or nothing where there is none."""
    if estimate.low is None or estimate.high is None:
        return ""
    if name in _PERCENT:
        return signed(f"{100 * estimate.low:.1f}") + EN_DASH + f"{100 * estimate.high:.1f}"
    return signed(f"{estimate.low:.3f}") + EN_DASH + signed(f"{estimate.high:.3f}")


def megabytes(size_bytes: int) -> str:
    """Decimal megabytes (10^6 bytes), as Table 2 counts them."""
    mb = size_bytes / 1e6
    return f"{mb:.1f} MB" if mb >= 0.95 else f"{mb:.2f} MB"


def milliseconds(ms: float) -> str:
    """Three significant figures, at most two decimals."""
    digits = 0 if ms >= 100 else 1 if ms >= 10 else 2
    return f"{ms:.{digits}f} ms"


def ratio(value: float) -> str:
    """A ratio to float32, such as ``0.30×``."""
    return f"{value:.2f}×"


def faster(reduction: float) -> str:
    """A reduction of latency in words; within 5% of each other two latencies count as equal."""
    return "as fast" if abs(reduction) < SAME_SPEED else less(reduction, "faster", "slower")


def less(reduction: float, smaller: str, larger: str) -> str:
    """A reduction in words: ``75% smaller``, or ``8% larger`` where it is negative."""
    whole = round(100 * reduction)
    if whole == 0:
        return f"no {smaller}"
    return f"{whole}% {smaller}" if whole > 0 else f"{-whole}% {larger}"


def count(n: int) -> str:
    """A whole number with thousands separated."""
    return f"{n:,}"


def capital(text: str) -> str:
    """A sentence's beginning: the first letter large."""
    return text[:1].upper() + text[1:]


def plural(n: int, one: str, many: str | None = None) -> str:
    """``1 image``, ``2 images``."""
    return f"{count(n)} {one if n == 1 else many or one + 's'}"
