"""Numbers, units and counts as text."""

from __future__ import annotations

import re

DASH = "—"
MINUS = "\u2212"
EN_DASH = "–"

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def signed(text: str) -> str:
    """Replace hyphens by true minus signs."""
    return text.replace("-", MINUS)


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with ``digits`` significant digits, or a dash for None."""
    if value is None:
        return EN_DASH
    text = f"{value:.{digits}g}"
    match = re.fullmatch(r"(-?[\d.]+)e([+-])0*(\d+)", text)
    if match:
        power = match.group(3).translate(_SUPERSCRIPTS)
        text = f"{match.group(1)}·10{'⁻' if match.group(2) == '-' else ''}{power}"
    return signed(text)


def percent(fraction: float, digits: int = 1) -> str:
    """Return ``0.885`` as ``88.5%``."""
    return signed(f"{100 * fraction:.{digits}f}%")


def points(difference: float) -> str:
    """Return a difference of two fractions in percentage points, with its sign."""
    text = f"{100 * difference:+.1f}"
    return "±0.0 points" if float(text) == 0 else signed(text) + " points"


def delta(difference: float) -> str:
    """Return a difference of two numbers in [0, 1] with three decimals and its sign."""
    text = f"{difference:+.3f}"
    return "±0.000" if float(text) == 0 else signed(text)


def ratio(value: float) -> str:
    """Return a ratio such as ``0.30×``."""
    return f"{value:.2f}×"


def megabytes(size_bytes: float) -> str:
    """Return a size in decimal megabytes (10⁶ bytes), as the paper's Table 2 counts them."""
    mb = size_bytes / 1e6
    return f"{mb:.1f} MB" if mb >= 0.95 else f"{mb:.2f} MB"


def milliseconds(ms: float) -> str:
    """Return a time with three significant figures, at most two decimals."""
    return f"{ms:.{0 if ms >= 100 else 1 if ms >= 10 else 2}f} ms"


def duration(seconds: float) -> str:
    """Return ``95`` as ``1 min 35 s``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def count(n: int) -> str:
    """Return a whole number with thousands separated."""
    return f"{n:,}"


def magnitude(value: float) -> str:
    """Return a large count in thousands (k), millions (M) or billions (G)."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f}"


def plural(n: int, singular: str, many: str | None = None) -> str:
    """Return ``1 image`` or ``2 images``."""
    return f"{count(n)} {singular if n == 1 else many or singular + 's'}"


def capital(text: str) -> str:
    """Capitalize the first letter of a sentence."""
    return text[:1].upper() + text[1:]
