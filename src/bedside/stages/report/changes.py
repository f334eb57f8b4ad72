"""Test images whose predicted class changes between float32 and a variant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bedside.core.build import Measurement
from bedside.runfolder import layout, stored
from bedside.runfolder.predictions import Predictions

BASELINE = layout.BASELINE

Cell = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Change:
    """Counts over the images that both cells predicted.

    ``lost``: correct before, wrong now; ``gained``: the reverse. With more than two classes an
    image may also change from one wrong class to another.
    """

    against: str
    n: int
    changed: int
    lost: int
    gained: int


def compare(old: Predictions, new: Predictions, against: str) -> Change:
    """Count the images whose class (largest logit) differs, matched by case id."""
    position = {str(case_id): i for i, case_id in enumerate(old.ids)}
    rows = np.array([i for i, c in enumerate(new.ids) if str(c) in position], dtype=np.int64)
    at = np.array([position[str(new.ids[i])] for i in rows], dtype=np.int64)
    if not len(rows):
        return Change(against, 0, 0, 0, 0)
    before, after = old.logits[at].argmax(axis=1), new.logits[rows].argmax(axis=1)
    truth = new.labels[rows]
    return Change(
        against, len(rows), int((before != after).sum()),
        int(((before == truth) & (after != truth)).sum()),
        int(((before != truth) & (after == truth)).sum()),
    )


def changes(run: Path, measurements: Sequence[Measurement], split: str = "test"
            ) -> dict[Cell, Change]:
    """Count the changes of every usable cell that is not its own baseline, by (variant, target)."""
    found: dict[Cell, Change] = {}
    loaded: dict[Cell, Predictions] = {}
    for m in measurements:
        base = stored.baseline((c for c in measurements if c.model == m.model), m.target)
        if base is None or base == m or not stored.usable(m) or not stored.usable(base):
            continue
        where = (base.variant, base.target)
        if where not in loaded:
            # One baseline at a time: memory does not grow with the number of models.
            loaded = {where: stored.predictions(run, *where).of(split)}
        new = stored.predictions(run, m.variant, m.target).of(split)
        found[m.variant, m.target] = compare(loaded[where], new, layout.cell_name(*where))
    return found
