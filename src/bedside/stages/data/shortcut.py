"""Detect possible shortcuts: acquisition and export features that alone predict the class.

A small classifier gets numbers that no diagnosis should rest on (size and shape of the image;
calipers, text, arrows, depth marks, panels, colour) and never the pixels. Where it separates
the classes better than chance, a network may learn the same shortcut, and its score will
not hold in another hospital. (Zech et al. 2018, PLOS Med. 15:e1002683; Winkler et al. 2019, JAMA
Dermatol. 155:1135, on surgical markings.)

Scores are out of fold, with groups of near-duplicates and patients kept whole; the interval is
that of the area under the ROC curve (``docs/decisions/0003-intervals.md``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bedside.core.audit import Shortcut
from bedside.core.types import Case, Estimate
from bedside.metrics.design import clusters_of
from bedside.metrics.stats import auc_estimate
from bedside.stages.data import split
from bedside.stages.data.scan import ScannedImage

Floats = npt.NDArray[np.float64]

# More images than this are drawn from; the interval is then narrow enough.
MOST_IMAGES = 4000
_FOLDS = 5
_TREES = 60
_LEAF = 5
_MIN_IMAGES = 20


FAMILIES: dict[str, tuple[str, ...]] = {
    "picture size": ("height_px", "width_px", "aspect"),
    "marks on the picture": ("calipers", "glyphs", "strokes", "arrows", "ticks", "panels",
                             "colour"),
}
EVERYTHING = "both together"
# The families by the names that notes use.
SHOWN = {"picture size": "image size and shape", "marks on the picture": "image marks"}


def features(image: ScannedImage) -> dict[str, float]:
    """Return the numbers of one image that describe how it was taken and exported."""
    case, overlays = image.case, image.overlays
    return {"height_px": case.height_px, "width_px": case.width_px,
            "aspect": case.width_px / max(1, case.height_px), "calipers": overlays.calipers,
            "glyphs": overlays.glyphs, "strokes": overlays.strokes, "arrows": overlays.arrows,
            "ticks": overlays.ticks, "panels": overlays.panels, "colour": overlays.colour}


def shortcuts(images: Sequence[ScannedImage], classes: Sequence[str], positive: str | None,
              seed: int) -> tuple[Shortcut, ...]:
    """Return one entry per family of features and class (of two classes the positive alone).

    Args:
        images: images in use.
        classes: those of the task.
        positive: the positive class, or None.
        seed: of the folds, the trees and the draw from very large sets.
    """
    images = _drawn(images, seed)
    cases, table = [i.case for i in images], [features(i) for i in images]
    families = {**FAMILIES, EVERYTHING: tuple(n for names in FAMILIES.values() for n in names)}
    labels = [positive] if positive is not None else list(classes)
    out = []
    for name, columns in families.items():
        values = np.array([[row[c] for c in columns] for row in table], np.float64)
        for label in labels:
            truth = np.array([c.label == label for c in cases], np.int64)
            auc = _auc(values.reshape(len(cases), len(columns)), truth, cases, seed)
            warning = auc.low is not None and auc.low > 0.5
            out.append(Shortcut(name, columns, label, auc, warning))
    return tuple(out)


def _drawn(images: Sequence[ScannedImage], seed: int) -> Sequence[ScannedImage]:
    if len(images) <= MOST_IMAGES:
        return images
    rng = np.random.default_rng(seed)
    return [images[i] for i in sorted(rng.permutation(len(images))[:MOST_IMAGES].tolist())]


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
