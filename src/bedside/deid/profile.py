"""The action for each attribute: PS3.15 Annex E, Table E.1-1, and the options.

The table of the Basic Application Level Confidentiality Profile comes with the package
dicom-anonymizer (Kitware, BSD-3-Clause), which reads it off the standard. Its options are
columns of the same table and lie in ``options/*.toml``; ``manufacturer.toml`` adds what the
paper removes beyond the profile.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bedside.core import codec
from bedside.core.errors import BadInput, MissingComponent
from bedside.core.registry import did_you_mean

EDITION = "2026c"
BASIC = ("113100", "Basic Application Confidentiality Profile")
CLEAN_PIXELS = "clean-pixels"
MODIFIED_DATES = "modified-dates"

_HERE = Path(__file__).parent
_OPTIONS = _HERE / "options"
_TABLE = f"dicomanonymizer.dicom_anonymization_databases.dicomfields_{EDITION}"
# PS3.15 Table E.1-1a. Which of two the object needs (Type 1, 2 or 3) depends on its kind; the
# one that never breaks it is taken: an empty Type 3 is allowed, a missing Type 2 is not.
_LISTS = {"D_TAGS": "D", "Z_TAGS": "Z", "X_TAGS": "X", "U_TAGS": "U", "Z_D_TAGS": "Z",
          "X_Z_TAGS": "Z", "X_D_TAGS": "D", "X_Z_D_TAGS": "Z", "X_Z_U_STAR_TAGS": "K"}


@dataclass(frozen=True, slots=True)
class Option:
    """One file of ``options/``: its code (PS3.16 CID 7050) and what it changes in the table."""

    code: str
    meaning: str
    actions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Extra:
    actions: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Technical:
    keep: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """The action of each attribute: D dummy, Z empty, X remove, K keep, C clean, U new UID."""

    actions: Mapping[int, str]
    technical: frozenset[str]
    codes: tuple[tuple[str, str], ...]
    shift_dates: bool


def option_names() -> tuple[str, ...]:
    """Return the options that can be chosen."""
    return tuple(sorted(p.stem for p in _OPTIONS.glob("*.toml")))


@functools.cache
def basic() -> Mapping[int, str]:
    """Return the profile's own column: attribute (group << 16 | element) to one action.

    Raises:
        MissingComponent: dicom-anonymizer is not installed.
    """
    try:
        table: Any = importlib.import_module(_TABLE)
    except ModuleNotFoundError:
        raise MissingComponent("de-identification needs dicom-anonymizer >= 2.1 and pydicom",
                               remedy="Install the workbench: pip install 'bedside[workbench]'."
                               ) from None
    return {(tag[0] << 16) | tag[1]: action for name, action in _LISTS.items()
            for tag in getattr(table, name) if len(tag) == 2}


def _tags(actions: Mapping[str, str]) -> dict[int, str]:
    return {int(tag, 16): action for tag, action in actions.items()}


@functools.cache
def load(options: tuple[str, ...] = ()) -> Profile:
    """Return the table with the chosen options.

    Args:
        options: names of :func:`option_names`; ``clean-pixels`` changes no attribute.

    Raises:
        BadInput: an unknown option.
        MissingComponent: see :func:`basic`.
    """
    actions = dict(basic())
    actions.update(_tags(codec.read_toml(_Extra, _HERE / "manufacturer.toml").actions))
    codes = [BASIC]
    # Shifted dates come last: a date that identifies the device is shifted, not kept.
    for name in sorted(set(options), key=lambda n: (n == MODIFIED_DATES, n)):
        if name not in option_names():
            raise BadInput(f"unknown de-identification option {name!r}",
                           remedy=did_you_mean(name, option_names()))
        option = codec.read_toml(Option, _OPTIONS / f"{name}.toml")
        actions.update(_tags(option.actions))
        codes.append((option.code, option.meaning))
    technical = codec.read_toml(_Technical, _HERE / "technical.toml").keep
    return Profile(actions, frozenset(technical), tuple(codes), MODIFIED_DATES in options)
