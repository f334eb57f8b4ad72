"""Look-up in tables of lazy ``"module:object"`` names, with a hint for a misspelt one."""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from bedside.core.errors import BadInput, MissingComponent

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}\Z")
PLAIN_NAME = "letters, digits, _, . and -, at most 60, a letter or digit first"


def is_plain_name(name: str) -> bool:
    """Return whether a name of the user's own can stand in a path: see :data:`PLAIN_NAME`."""
    return _PLAIN.match(name) is not None


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """Return a remedy for an unknown ``name``: the nearest option, else all of them."""
    known = sorted(set(options))
    folded = {k.lower(): k for k in reversed(known)}
    near = difflib.get_close_matches(name.lower(), list(folded), n=1, cutoff=0.6)
    if near:
        return f"Did you mean {folded[near[0]]!r}?"
    return f"Known: {', '.join(known)}." if known else "None are known."


def lookup(table: Mapping[str, str], name: str, kind: str) -> Any:
    """Import and return the object that ``table`` lists under ``name``.

    Args:
        table: name to ``"module:object"``.
        kind: what the table holds, for the message ("model", "scheme", …).

    Raises:
        BadInput: the name is not in the table.
        MissingComponent: the entry needs a package that is not installed.
    """
    if name not in table:
        raise BadInput(f"unknown {kind} {name!r}", remedy=did_you_mean(name, table))
    return resolve(table[name])


def resolve(lazy_name: str) -> Any:
    """Import the object behind one ``"module:object"`` name.

    Raises:
        MissingComponent: a package that the module imports is not installed.
    """
    module_name, _, attribute = lazy_name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package == "bedside":
            raise
        raise MissingComponent(
            f"{module_name} needs the package {package!r}, which is not installed",
            remedy="Install the workbench: pip install 'bedside[workbench]'.",
        ) from error
    return getattr(module, attribute) if attribute else module
