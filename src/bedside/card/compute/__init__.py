"""Functions for card fields without a single path; each takes the facts and returns plain data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bedside.card.compute import data, model, results
from bedside.card.compute.model import AUDIT_FIELDS as AUDIT_FIELDS
from bedside.card.facts import Facts


def of(name: str) -> Callable[[Facts], Any]:
    """Return a function of these modules by name.

    Raises:
        KeyError: there is none.
    """
    for module in (data, model, results):
        found = getattr(module, name, None)
        if callable(found) and found.__module__ == module.__name__ and name[0] != "_":
            compute: Callable[[Facts], Any] = found
            return compute
    raise KeyError(name)
