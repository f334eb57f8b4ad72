"""Make and model of the acquiring device, counted before they are removed.

A header's text may hold anything, so nothing of it is copied: a make is the name that
``makes.toml`` gives it, a model one of its families with at most a short mark behind it.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bedside.core import codec

ANOTHER, UNNAMED = "another make", "no make given"
_MARK = r"(?:[ -]?(?=[a-z0-9]{1,4}(?:\b|$))[a-z]{0,2}[0-9]{0,4}[a-z]?)?"


@dataclass(frozen=True, slots=True)
class _Table:
    makes: dict[str, tuple[str, ...]]
    models: dict[str, tuple[str, ...]]


@functools.cache
def _table() -> _Table:
    return codec.read_toml(_Table, Path(__file__).with_name("makes.toml"))


def device_of(dataset: Any) -> str:
    """Return the device of a DICOM data set as ``Philips EPIQ 7``, ``another make`` or none."""
    made = _text(dataset, "Manufacturer")
    if not made:
        return UNNAMED
    make = next((name for name, words in _table().makes.items()
                 if any(re.search(rf"\b{re.escape(w)}\b", made) for w in words)), None)
    if make is None:
        return ANOTHER
    model = _text(dataset, "ManufacturerModelName")
    for family in _table().models.get(make, ()):
        found = re.search(rf"\b{re.escape(family.casefold())}\b{_MARK}", model)
        if found:
            return f"{make} {family}{found.group()[len(family):].upper()}".strip()
    return make


def _text(dataset: Any, keyword: str) -> str:
    try:
        return " ".join(str(dataset.get(keyword) or "").casefold().split())
    except Exception:
        return ""  # a value that does not read is no make
