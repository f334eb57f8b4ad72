"""Figure 5: images of each class, the lesion outlined where the dataset has masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bedside.core.types import Case, Preprocess
from bedside.figures import pictures
from bedside.figures.base import FigureData, NotAvailable
from bedside.figures.first_conv import shrink
from bedside.runfolder import artefact, layout

PER_CLASS = 5
IMAGE_PX = 160


def compute(run: Path, model: str) -> FigureData:
    """Arrays: ``images`` (n, h, w) uint8 and ``masks`` (n, h, w) bool, all false where a case
    has none. Facts: ``cases`` in that order.
    """
    del model
    preprocess = stored_preprocess(run)
    root = pictures.dataset_root(run)
    task = layout.task(run)
    # The positive class on top, as in the paper.
    classes = tuple(reversed(task.classes))
    images, masks, rows = [], [], []
    with layout.pixel_store(run, preprocess) as store:
        held = set(store.ids)
        used = [c for c in pictures.used_cases(run) if c.id in held]
        for name in classes:
            for case in spread([c for c in used if c.label == name]):
                grey = pictures.to_grey(store.pixels(case.id))
                mask = pictures.lesion_mask(root, case, preprocess)
                outline = mask if mask is not None else np.zeros(grey.shape, np.bool_)
                images.append(shrink(grey[None], IMAGE_PX)[0])
                masks.append(shrink(outline[None].astype(np.float32), IMAGE_PX)[0] > 0.5)
                rows.append({"id": case.id, "label": name, "split": case.split,
                             "outlined": mask is not None, "age": case.age,
                             "size_mm": case.size_mm})
    if not images:
        raise NotAvailable("the study holds no image")
    counts = {n: sum(1 for c in used if c.label == n) for n in classes}
    return FigureData({"images": np.rint(np.stack(images)).astype(np.uint8),
                       "masks": np.stack(masks)},
                      {"cases": rows, "classes": classes, "counts": counts,
                       "positive": task.positive,
                       "masked_cases": sum(1 for c in used if c.masks)})


def spread(cases: list[Case]) -> list[Case]:
    """``PER_CLASS`` cases spread evenly over the ids, those with masks first."""
    masked = [c for c in cases if c.masks]
    pool = masked if len(masked) >= PER_CLASS else cases
    if len(pool) <= PER_CLASS:
        return pool
    return [pool[(2 * i + 1) * len(pool) // (2 * PER_CLASS)] for i in range(PER_CLASS)]


def stored_preprocess(run: Path) -> Preprocess:
    """A preprocessing whose images the run holds: the first model's by name.

    Raises:
        NotAvailable: no image has been stored.
    """
    found = [v.preprocess for v in layout.variants(run)]
    found += [s.preprocess for s in layout.model_specs(run)]
    for preprocess in found:
        if artefact.finished(layout.cache_dir(run, preprocess), "cache"):
            return preprocess
    raise NotAvailable("the run holds no preprocessed image")
