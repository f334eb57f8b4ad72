"""The audit of a data set, ``audit.json``: what was read, what is not used and why, and groups."""

from __future__ import annotations

from dataclasses import dataclass, field

from bedside.core.types import Estimate, SetAside


@dataclass(frozen=True, slots=True)
class DuplicatePair:
    """Two files that hold one image. ``score`` is the correlation of detail."""

    first: str
    second: str
    kind: str
    score: float


@dataclass(frozen=True, slots=True)
class Conflict:
    """One image under several classes: all its files are set aside."""

    labels: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class SeparatedGroup:
    """A group whose images a given split puts into several parts."""

    group: str
    files: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Outlier:
    """``what`` is ``value`` in ``file``, where half of all images lie around ``median``."""

    file: str
    what: str
    value: float
    median: float


@dataclass(frozen=True, slots=True)
class Shortcut:
    """How well ``features`` alone tell ``label`` from the other classes.

    ``warning``: the whole interval of the AUC lies above 0.5.
    """

    name: str
    features: tuple[str, ...]
    label: str
    auc: Estimate
    warning: bool


@dataclass(frozen=True, slots=True)
class Audit:
    """The flow of cases. ``read`` counts images and the entries of ``set_aside``.

    ``used``: part to class to number of images. ``duplicates`` lists the links that join the
    groups of near-duplicates, one fewer than images in each. ``twins``: groups that the given
    split separates (moved whole where ``regrouped``). ``findings``: overlays by class;
    ``balance``: images in use by class; ``shared_groups`` and ``shared_patients``: those with
    images in several parts, counted anew from the finished cases; ``decisions``: the number of a
    person's decisions that were applied.
    """

    read: int
    masks: int
    used: dict[str, dict[str, int]]
    set_aside: tuple[SetAside, ...]
    groups: int
    largest_group: int
    schema: int = 1
    duplicates: tuple[DuplicatePair, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    twins: tuple[SeparatedGroup, ...] = ()
    regrouped: bool = False
    notes: tuple[str, ...] = ()
    balance: dict[str, int] = field(default_factory=dict)
    findings: dict[str, dict[str, int]] = field(default_factory=dict)
    outliers: tuple[Outlier, ...] = ()
    shortcuts: tuple[Shortcut, ...] = ()
    shared_groups: int = 0
    shared_patients: int = 0
    decisions: int = 0
