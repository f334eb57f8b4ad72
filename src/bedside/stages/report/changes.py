"""Test images whose predicted class changes between float32 and a variant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bedside.core.build import Measurement
from bedside.core.evidence import OperatingPoint, OperatingPoints
from bedside.metrics.compare import scores_of
from bedside.metrics.probability import decide
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


def compare(old: Predictions, new: Predictions, against: str, positive: int | None = None,
            point: OperatingPoint | None = None) -> Change:
    """Count the images whose class differs, matched by case id.

    ``positive`` and ``point``: the class and the threshold that decide, else the largest logit.
    """
    position = {str(case_id): i for i, case_id in enumerate(old.ids)}
    rows = np.array([i for i, c in enumerate(new.ids) if str(c) in position], dtype=np.int64)
    at = np.array([position[str(new.ids[i])] for i in rows], dtype=np.int64)
    if not len(rows):
        return Change(against, 0, 0, 0, 0)
    before, after = (_classes(z, positive, point) for z in (old.logits[at], new.logits[rows]))
    truth = new.labels[rows]
    return Change(
        against, len(rows), int((before != after).sum()),
        int(((before == truth) & (after != truth)).sum()),
        int(((before != truth) & (after == truth)).sum()),
    )


def classes_given(logits: npt.NDArray[np.float64], positive: int | None,
                  points: OperatingPoints | None, cell: str) -> npt.NDArray[np.int64]:
    """Return the class (n,) that the locked threshold gives, or the cell's own without a lock."""
    point = None if points is None else points.locked or points.cells.get(cell)
    return _classes(logits, positive, point)


def _classes(logits: npt.NDArray[np.float64], positive: int | None,
             point: OperatingPoint | None) -> npt.NDArray[np.int64]:
    if point is None:
        best: npt.NDArray[np.int64] = logits.argmax(axis=1)
        return best
    return decide(logits, scores_of(logits, positive), positive, point)


def changes(run: Path, measurements: Sequence[Measurement], split: str = "test",
            points: Mapping[str, OperatingPoints] | None = None) -> dict[Cell, Change]:
    """Count the changes of every usable cell that is not its own baseline, by (variant, target).

    ``points``: the operating points by model; without them the largest logit decides.
    """
    task = stored.task(run)
    positive = None if task.positive is None else task.classes.index(task.positive)
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
        name = layout.cell_name(*where)
        of_model = (points or {}).get(m.model)
        point = None if of_model is None else of_model.locked or of_model.cells.get(name)
        found[m.variant, m.target] = compare(loaded[where], new, name, positive, point)
    return found
