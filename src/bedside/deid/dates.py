"""Shift dates back by a number of days; invalid dates are removed."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

_DATE = re.compile(r"^(\d{4})\.?(\d{2})\.?(\d{2})$")
_TIME = re.compile(r"^\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?$")
_DATETIME = re.compile(r"^(\d{8})(\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?)?([+-]\d{4})?$")


def back(day: str, days: int) -> str | None:
    """Return a date such as ``20240229`` moved back; None where invalid or before year 1000."""
    found = _DATE.match(day.strip())
    if not found:
        return None
    try:
        moved = date(*map(int, found.groups())) - timedelta(days=days)
    except (ValueError, OverflowError):
        return None
    return moved.strftime("%Y%m%d") if moved.year >= 1000 else None


def _one(vr: str, text: str, days: int) -> str | None:
    text = text.strip()
    if vr == "DA":
        return back(text, days)
    if vr == "TM":
        return text if _TIME.match(text) else None
    found = _DATETIME.match(text)
    # A year or a month alone cannot be moved by days.
    day = back(found[1], days) if found else None
    return None if found is None or day is None else day + (found[2] or "") + (found[3] or "")


def shift(vr: str, values: list[Any], days: int) -> list[str] | str | None:
    """Return DA and DT values moved back by ``days``, TM unchanged; None if one is invalid.

    Intervals between a patient's dates stay as they were.
    """
    moved = [_one(vr, str(v), days) for v in values]
    if not moved or any(m is None for m in moved):
        return None
    found = [m for m in moved if m is not None]
    return found if len(found) > 1 else found[0]
