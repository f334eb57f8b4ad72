"""Fitting of a build's out-of-distribution detector."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bedside.core.progress import Progress
from bedside.core.types import Preprocess
from bedside.runfolder import stored
from bedside.runtime import features
from bedside.runtime.bundle.manifest import Familiarity, Range
from bedside.runtime.engine import Engine, Raw

LIMIT_QUANTILE = 0.99
FEWEST = 8


def learn(run: Path, engine: Engine, spec: Preprocess, classes: int, cam: bool, images: int,
          progress: Progress | None = None) -> Familiarity | None:
    """Fit on at most ``images`` training images, set the limit on as many validation images.

    Returns:
        None where training or validation has fewer than eight images.
    """
    ids = {split: [c.id for c in stored.cases(run) if c.split == split]
           for split in ("train", "val")}
    if min(len(v) for v in ids.values()) < FEWEST:
        return None
    train = _answers(run, engine, spec, _spread(ids["train"], images), "training", progress)
    val = _answers(run, engine, spec, _spread(ids["val"], images), "validation", progress)
    names = features.names(classes, cam)
    mean, precision = features.fit(_matrix(train, names))
    far = features.distances(_matrix(val, names), mean, precision)
    limit = float(np.quantile(far, LIMIT_QUANTILE, method="higher"))
    quality = {name: Range(min(r.quality[name] for r in train),
                           max(r.quality[name] for r in train)) for name in train[0].quality}
    odd = sum(any(not quality[n].low <= v <= quality[n].high for n, v in r.quality.items())
              for r in val)
    return Familiarity(
        names, tuple(mean.tolist()),
        tuple(tuple(row) for row in precision.tolist()), limit, quality, len(train), len(val),
        int((far > limit).sum()), odd)


def _matrix(found: Sequence[Raw], names: Sequence[str]) -> features.Real:
    return np.array([[r.features[n] for n in names] for r in found])


def _spread(ids: Sequence[str], count: int) -> list[str]:
    """Return at most ``count`` of the ids, evenly over their order."""
    if len(ids) <= count:
        return list(ids)
    return [ids[i * len(ids) // count] for i in range(count)]


def _answers(run: Path, engine: Engine, spec: Preprocess, ids: Sequence[str], what: str,
             progress: Progress | None) -> list[Raw]:
    found = []
    with stored.pixel_store(run, spec) as store:
        for number, case_id in enumerate(ids, 1):
            pixels = store.pixels(case_id)
            found.append(engine.resized(pixels.tobytes(), case_id, pixels.dtype.name))
            if progress:
                progress(f"{what} images", number, len(ids))
    return found
