"""Paired changes as plain text, for messages."""

from __future__ import annotations

from bedside.core.evidence import MISS_RATIO, PairedTest, miss_ratio_of


def change_text(test: PairedTest, interval: bool = True) -> str:
    """Return ``sensitivity -0.021 [-0.060, +0.011]``, or ``missed 1.50 times [1.02, 2.25]``.

    The bounds are those that decide.
    """
    if test.metric == MISS_RATIO:
        value, low, high = miss_ratio_of(test.difference)
        text = f"missed {value:.2f} times" if value is not None else "missed more often"
        ends = [f"{low:.2f}" if low is not None else "0",
                f"{high:.2f}" if high is not None else "no limit"]
    else:
        d = test.difference
        text = f"{test.metric} {d.value:+.3f}" if d.value is not None else f"{test.metric} unknown"
        if test.excluded is None or test.ceiling is None:
            return text
        ends = [f"{test.excluded:+.3f}", f"{test.ceiling:+.3f}"]
    return f"{text} [{', '.join(ends)}]" if interval else text
