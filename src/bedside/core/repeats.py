"""Types of the repeats of a study: its units, and the spread of their results."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from bedside.core.evidence import Answer
from bedside.core.types import Estimate

# What a unit draws again while everything else stays as in the study.
Draw = Literal["seed", "split", "calibration"]


@dataclass(frozen=True, slots=True)
class Unit:
    """One repeat of a study. ``seed`` is of what is drawn again; ``fold`` counts from 1."""

    name: str
    draw: Draw
    repeat: int
    seed: int
    fold: int | None = None
    folds: int = 0


@dataclass(frozen=True, slots=True)
class UnitCell:
    """One cell of a unit, decided at the threshold that the unit chose on its own validation part.

    ``test`` and ``validation``: metrics by name, null where undefined. ``difference``: test
    metrics less those of float32 in the same unit, empty for float32 itself. ``changed``: the
    share of test images with another decision than float32's.
    """

    variant: str
    target: str
    test: dict[str, float | None] = field(default_factory=dict)
    validation: dict[str, float | None] = field(default_factory=dict)
    difference: dict[str, float | None] = field(default_factory=dict)
    changed: float | None = None
    answer: Answer | None = None


@dataclass(frozen=True, slots=True)
class UnitResult:
    """``unit.json``: what one unit found, or why it failed."""

    unit: Unit
    status: Literal["ok", "failed"]
    reason: str | None = None
    train_images: int = 0
    val_images: int = 0
    test_images: int = 0
    cells: tuple[UnitCell, ...] = ()
    schema: int = 1


@dataclass(frozen=True, slots=True)
class Spread:
    """How one number of one cell varies over the units of one draw.

    ``quantity``: ``value`` (of the test part) or ``difference`` from float32 on the same images.
    ``mean`` and ``sd`` have 95% intervals, n the units. ``study`` is the study's own value.
    """

    variant: str
    target: str
    draw: Draw
    metric: str
    quantity: Literal["value", "difference"]
    values: tuple[float, ...]
    mean: Estimate
    sd: Estimate
    study: float | None = None


@dataclass(frozen=True, slots=True)
class Optimism:
    """A validation metric of the study less what validation overstates.

    ``optimism``: validation less test, mean over the units of redrawn splits. ``corrected`` is
    the study's validation value less that; its interval is that of the correction alone.
    """

    variant: str
    target: str
    metric: str
    validation: float
    optimism: Estimate
    corrected: Estimate
    test: float | None = None


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Answers to "is it non-inferior to float32?" of one cell over the units of one draw."""

    variant: str
    target: str
    draw: Draw
    shown: int
    not_shown: int
    worse: int


@dataclass(frozen=True, slots=True)
class Repeats:
    """``repeats.json``. ``notes``: what was left out, and why."""

    repeats: int
    folds: int
    units: tuple[UnitResult, ...]
    spreads: tuple[Spread, ...] = ()
    optimism: tuple[Optimism, ...] = ()
    verdicts: tuple[Verdicts, ...] = ()
    notes: tuple[str, ...] = ()
    schema: int = 1
