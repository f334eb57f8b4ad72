"""Scoring of candidate models on validation images, shared by both searches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bedside.core.errors import BadInput
from bedside.core.study import EvidenceConfig
from bedside.core.types import Case
from bedside.metrics import probability
from bedside.metrics.compare import Side, compare, scores_of
from bedside.runfolder import layout, stored
from bedside.runtime.litert import predict

Logits = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Score:
    """Score of a candidate against the float model on the same validation images.

    ``auroc``, ``sensitivity`` and ``specificity`` (macro means without a positive class, then no
    specificity) are at the float model's threshold; the ``_low`` ones are the lower bounds, 95%,
    of their paired differences from the float model. ``flips``: images whose class differs.
    ``logit_shift``: mean change of the margin (positive
    logit minus the largest other). ``logit_damage``: root mean square change of the logits over
    their standard deviation. ``ms`` is the median of this process, a guide and no measurement.
    """

    auroc: float
    sensitivity: float
    specificity: float | None
    auroc_low: float
    sensitivity_low: float
    specificity_low: float | None
    flips: int
    images: int
    logit_shift: float
    logit_damage: float
    size_bytes: int
    ms: float


class CandidateScorer:
    """Scores candidates on a run's validation images against the float model's logits.

    Args:
        run: the run folder.
        model: a converted model of it.
        limit: at most so many images, drawn evenly over the sorted ids; None for all.

    Raises:
        BadInput: validation lacks a class, so that nothing can be scored.
    """

    def __init__(self, run: Path, model: str, limit: int | None = None) -> None:
        self.spec = stored.model_spec(run, model)
        self.task = stored.task(run)
        self._run = run
        cases = _spread(sorted((c for c in stored.cases(run) if c.split == "val"),
                               key=lambda c: c.id), limit)
        missing = [k for k in self.task.classes if k not in {c.label for c in cases}]
        if missing:
            raise BadInput(f"no validation image of class {missing[0]!r}, so neither AUC nor "
                           "sensitivity can be computed", where="data/cases.csv",
                           remedy="Give the split a validation part with every class.")
        self.ids = [c.id for c in cases]
        self.labels = np.array([self.task.classes.index(c.label) for c in cases], np.int64)
        self.positive = (self.task.classes.index(self.task.positive)
                         if self.task.positive is not None else None)
        self._groups = [c.group or c.id for c in cases]
        self._config = (stored.study(run).evidence if layout.study_file(run).is_file()
                        else EvidenceConfig())
        path = layout.model_dir(run, model) / layout.FLOAT_MODEL
        self.float_bytes = path.read_bytes()
        self.float_logits, _ = self.logits(self.float_bytes)
        exact = self.float_logits.astype(np.float64)
        self._float = Side(np.array(self.ids), self.labels, exact, probability.operating_point(
            self.labels, exact, self.positive, scores_of(exact, self.positive), self._config))
        self.reference = self.score(self.float_bytes)

    def logits(self, data: bytes) -> tuple[Logits, float]:
        """Return the logits (n, K) of the validation images, and median ms per image."""
        with stored.pixel_store(self._run, self.spec.preprocess) as store:
            logits, times = predict(data, store.tensors(self.ids))
        return logits, float(np.median(times))

    def score(self, data: bytes) -> Score:
        """Return the score of a candidate ``.tflite``."""
        logits, ms = self.logits(data)
        return self.score_logits(logits, len(data), ms)

    def score_logits(self, logits: Logits, size_bytes: int, ms: float) -> Score:
        """Return the score as :meth:`score` does, from logits."""
        other = replace(self._float, logits=logits.astype(np.float64))
        paired = compare(self._float, other, self.positive, self._groups, self._config)
        tests, base, flips = paired.tests, self.float_logits, paired.flips
        assert flips is not None and flips.changed.value is not None
        value: dict[str, float | None] = {}
        low: dict[str, float | None] = {}
        for name in ("auroc", "sensitivity", "specificity"):
            test = tests.get(name) or tests.get(f"macro_{name}")
            value[name] = None if test is None else test.new
            low[name] = None if test is None else test.excluded

        def worst(number: float | None, least: float) -> float:
            # What cannot be computed passes no budget.
            return least if number is None else number

        return Score(
            worst(value["auroc"], 0.0), worst(value["sensitivity"], 0.0), value["specificity"],
            worst(low["auroc"], -1.0), worst(low["sensitivity"], -1.0), low["specificity"],
            flips=round(flips.changed.value * flips.changed.n), images=len(self.ids),
            logit_shift=float((self._margins(logits) - self._margins(base)).mean()),
            logit_damage=float(np.sqrt(np.square(logits - base, dtype=np.float64).mean())
                               / max(float(base.std()), 1e-12)),
            size_bytes=size_bytes, ms=ms)

    def _margins(self, logits: Logits) -> npt.NDArray[np.float64]:
        place = self.positive if self.positive is not None else logits.shape[1] - 1
        others = np.delete(logits, place, axis=1).max(axis=1)
        return np.asarray(logits[:, place] - others, np.float64)


def _spread(cases: Sequence[Case], limit: int | None) -> list[Case]:
    if limit is None or len(cases) <= limit:
        return list(cases)
    return [cases[i] for i in np.linspace(0, len(cases) - 1, limit).round().astype(int)]
