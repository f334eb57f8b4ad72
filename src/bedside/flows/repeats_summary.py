"""Sum up the repeats of a study: one unit's cells, and their spread over units."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from bedside.core.build import Measurement
from bedside.core.repeats import (
    Draw,
    Optimism,
    Repeats,
    Spread,
    Unit,
    UnitCell,
    UnitResult,
    Verdicts,
)
from bedside.core.study import RepeatsConfig
from bedside.metrics import repeats as formulas
from bedside.runfolder import stored

METRICS = ("auroc", "macro_auroc", "sensitivity", "specificity", "macro_sensitivity",
           "macro_specificity", "accuracy")
DRAWS: tuple[Draw, ...] = ("seed", "split", "calibration")
_Scores = dict[str, float | None]


# ------------------------------------------------------------------ one unit


def result(run: Path, unit: Unit, sizes: tuple[int, int, int]) -> UnitResult:
    """Return what the run folder of a unit holds, which is evaluated and tested.

    Args:
        run: the unit's run folder.
        unit: its description.
        sizes: training, validation and test images.
    """
    return UnitResult(unit, "ok", None, *sizes, cells(run))


def cells(run: Path) -> tuple[UnitCell, ...]:
    """Return the cells of a run that gave predictions, decided at its locked threshold."""
    every = [m for m in stored.decided(run) if stored.usable(m)]
    answers = {(c.variant, c.target): c for c in stored.comparisons(run) if c.split == "test"}
    found = []
    for m in every:
        base = stored.baseline([b for b in every if b.model == m.model], m.target)
        test, paired = _scores(m, "test"), answers.get((m.variant, m.target))
        old = {} if base is None or base.variant == m.variant else _scores(base, "test")
        flips = None if paired is None else paired.flips
        found.append(UnitCell(
            m.variant, m.target, test, _scores(m, "val"),
            {k: _less(test[k], old[k]) for k in test if k in old},
            None if flips is None else flips.changed.value,
            None if paired is None else paired.answer))
    return tuple(found)


def _scores(m: Measurement, split: str) -> _Scores:
    known = m.metrics.get(split, {})
    return {k: known[k].value for k in METRICS if k in known}


def _less(new: float | None, old: float | None) -> float | None:
    return None if new is None or old is None else new - old


# ------------------------------------------------------------------ all units


def summarise(run: Path, config: RepeatsConfig, units: Sequence[UnitResult],
              notes: Sequence[str]) -> Repeats:
    """Return the spread of every cell over the units of each draw.

    Args:
        run: the study, evaluated and tested.
        config: repeats and folds.
        units: what each unit found; failed ones count for nothing but their line.
        notes: what was left out.
    """
    study = {(c.variant, c.target): c for c in cells(run)}
    return Repeats(config.repeats, config.folds, tuple(units),
                   tuple(_spreads(study, units)), tuple(_optimism(study, units)),
                   tuple(_verdicts(study, units)), tuple(notes))


_Study = dict[tuple[str, str], UnitCell]


def _of(units: Sequence[UnitResult], draw: Draw, name: tuple[str, str]
        ) -> list[tuple[UnitResult, UnitCell]]:
    return [(u, c) for u in units if u.unit.draw == draw and u.status == "ok"
            for c in u.cells if (c.variant, c.target) == name]


def _ratio(units: Sequence[UnitResult]) -> float:
    """Return n_test / n_train, mean over units of redrawn splits."""
    shares = [u.test_images / u.train_images for u in units if u.train_images]
    return sum(shares) / len(shares) if shares else 0.0


def _spreads(study: _Study, units: Sequence[UnitResult]) -> Iterator[Spread]:
    for (variant, target), own in study.items():
        for draw in DRAWS:
            pairs = _of(units, draw, (variant, target))
            ratio = _ratio([u for u, _ in pairs]) if draw == "split" else 0.0
            for metric in own.test:
                values = [(c.test.get(metric), c.difference.get(metric)) for _, c in pairs]
                for k, (what, whole) in enumerate((("value", own.test),
                                                   ("difference", own.difference))):
                    drawn = tuple(float(v[k]) for v in values  # type: ignore[arg-type]
                                  if v[k] is not None)
                    if drawn:
                        yield Spread(variant, target, draw, metric, what,  # type: ignore[arg-type]
                                     drawn, formulas.mean(drawn, ratio, float(-k)),
                                     formulas.sd(drawn), whole.get(metric))


def _optimism(study: _Study, units: Sequence[UnitResult]) -> Iterator[Optimism]:
    for (variant, target), own in study.items():
        pairs = _of(units, "split", (variant, target))
        ratio = _ratio([u for u, _ in pairs])
        for metric, value in own.validation.items():
            over = [d for _, c in pairs if (d := _less(c.validation.get(metric),
                                                       c.test.get(metric))) is not None]
            if value is None or not over:
                continue
            found = formulas.mean(over, ratio)
            yield Optimism(variant, target, metric, value, found,
                           formulas.corrected(value, found), own.test.get(metric))


def _verdicts(study: _Study, units: Sequence[UnitResult]) -> Iterator[Verdicts]:
    for variant, target in study:
        for draw in DRAWS:
            count = Counter(c.answer for _, c in _of(units, draw, (variant, target)) if c.answer)
            if count:
                yield Verdicts(variant, target, draw, count["shown"], count["not shown"],
                               count["worse"])

