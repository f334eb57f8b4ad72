"""Can the way an image was taken or exported tell its class, without its tissue?

A small classifier sees numbers that no diagnosis should rest on (size and shape of the picture;
calipers, text, arrows, depth marks, panels, colour) and never the pixels. Where it tells
the classes apart better than chance, a network may learn the same shortcut, and its score will
not hold in another hospital. (Zech et al. 2018, PLOS Med. 15:e1002683; Winkler et al. 2019, JAMA
Dermatol. 155:1135, on surgical markings.)

Scores are out of fold, with groups of near-duplicates and patients kept whole; the interval is
that of the area under the ROC curve (``docs/decisions/0003-intervals.md``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bedside.core.types import Case, Estimate
from bedside.metrics.design import clusters_of
from bedside.metrics.stats import auc_estimate
from bedside.stages.data import split
from bedside.stages.data.scan import Scanned

Floats = npt.NDArray[np.float64]

# More images than this are drawn from; the interval is then narrow enough.
MOST_IMAGES = 4000
_FOLDS = 5
_TREES = 60
_LEAF = 5
_MIN_IMAGES = 20


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


FAMILIES: dict[str, tuple[str, ...]] = {
    "picture size": ("height_px", "width_px", "aspect"),
    "marks on the picture": ("calipers", "glyphs", "strokes", "arrows", "ticks", "panels",
                             "colour"),
}
EVERYTHING = "both together"


def features(case: Case, seen: Scanned) -> dict[str, float]:
    """The numbers of one image that say how it was taken."""
    look = seen.look
    return {"height_px": case.height_px, "width_px": case.width_px,
            "aspect": case.width_px / max(1, case.height_px), "calipers": look.calipers,
            "glyphs": look.glyphs, "strokes": look.strokes, "arrows": look.arrows,
            "ticks": look.ticks, "panels": look.panels, "colour": look.colour}


def shortcuts(cases: Sequence[Case], seen: Sequence[Scanned], classes: Sequence[str],
              positive: str | None, seed: int) -> tuple[Shortcut, ...]:
    """One entry a family of features and class (of two classes the positive one alone).

    Args:
        cases: images in use.
        seen: as ``cases``.
        classes: those of the task.
        positive: the positive class, or None.
        seed: of the folds, the trees and the draw from very large sets.
    """
    chosen = _drawn(cases, seed)
    cases, seen = [cases[i] for i in chosen], [seen[i] for i in chosen]
    table = [features(c, s) for c, s in zip(cases, seen, strict=True)]
    families = {**FAMILIES, EVERYTHING: tuple(n for names in FAMILIES.values() for n in names)}
    labels = [positive] if positive is not None else list(classes)
    found = []
    for name, columns in families.items():
        values = np.array([[row[c] for c in columns] for row in table], np.float64)
        for label in labels:
            truth = np.array([c.label == label for c in cases], np.int64)
            auc = _auc(values.reshape(len(cases), len(columns)), truth, cases, seed)
            warning = auc.low is not None and auc.low > 0.5
            found.append(Shortcut(name, columns, label, auc, warning))
    return tuple(found)


def _drawn(cases: Sequence[Case], seed: int) -> list[int]:
    if len(cases) <= MOST_IMAGES:
        return list(range(len(cases)))
    rng = np.random.default_rng(seed)
    return sorted(rng.permutation(len(cases))[:MOST_IMAGES].tolist())


def _auc(values: Floats, truth: npt.NDArray[np.int64], cases: Sequence[Case], seed: int
         ) -> Estimate:
    n = len(truth)
    if n == 0 or (values == values[:1]).all():
        return Estimate(None, n=n, reason="all images are alike in it")
    groups = len({c.group or c.id for c in cases})
    fewest = int(min(truth.sum(), n - truth.sum()))
    if n < _MIN_IMAGES or fewest < _FOLDS or groups < 2 * _FOLDS:
        return Estimate(None, n=n, reason=f"too few images ({n}, {fewest} of the rarer class)")
    from sklearn.ensemble import ExtraTreesClassifier

    fold_of = split.folds(cases, _FOLDS, seed)
    folds = np.array([fold_of[c.id] for c in cases])
    scores = np.full(n, 0.5)
    for fold in range(_FOLDS):
        here = folds == fold
        if not here.any() or len(np.unique(truth[~here])) < 2:
            continue
        trees = ExtraTreesClassifier(_TREES, min_samples_leaf=_LEAF, class_weight="balanced",
                                     random_state=seed, n_jobs=1)
        trees.fit(values[~here], truth[~here])
        scores[here] = trees.predict_proba(values[here])[:, 1]
    return auc_estimate(truth, scores, clusters_of([c.group or c.id for c in cases]))
