"""Figure 5: images of each class, lesions outlined where the dataset has masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from bedside.core.types import Case, Preprocess
from bedside.figures import input_images, style
from bedside.figures.base import FigureData, NotAvailable, Reads
from bedside.figures.input_images import shrink
from bedside.runfolder import artefact, layout, stored

TITLE = "Samples of each class (the paper's Figure 5)"
READS = Reads(whole_study=True)
PER_CLASS = 5
IMAGE_PX = 160


def compute(run: Path, model: str) -> FigureData:
    """Collect a few images of each class.

    Arrays: ``images`` (n, h, w) uint8 and ``masks`` (n, h, w) bool, all false where a case has
    none. Facts: ``cases`` in that order.
    """
    del model
    preprocess = stored_preprocess(run)
    root = input_images.dataset_root(run)
    task = stored.task(run)
    # The positive class on top, as in the paper.
    classes = tuple(reversed(task.classes))
    images, masks, rows = [], [], []
    with stored.pixel_store(run, preprocess) as store:
        saved = set(store.ids)
        used = [c for c in input_images.used_cases(run) if c.id in saved]
        for name in classes:
            for case in spread([c for c in used if c.label == name]):
                grey = input_images.to_grey(store.pixels(case.id))
                mask = input_images.lesion_mask(root, case, preprocess)
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
    """Return ``PER_CLASS`` cases spread evenly over the ids, those with masks first."""
    masked = [c for c in cases if c.masks]
    pool = masked if len(masked) >= PER_CLASS else cases
    if len(pool) <= PER_CLASS:
        return pool
    return [pool[(2 * i + 1) * len(pool) // (2 * PER_CLASS)] for i in range(PER_CLASS)]


def stored_preprocess(run: Path) -> Preprocess:
    """Return a preprocessing whose images the run holds: the first model's by name.

    Raises:
        NotAvailable: no image has been stored.
    """
    found = [v.preprocess for v in stored.variants(run)]
    found += [s.preprocess for s in stored.model_specs(run)]
    for preprocess in found:
        if artefact.finished(layout.cache_dir(run, preprocess), "cache"):
            return preprocess
    raise NotAvailable("the run holds no preprocessed image")


# ------------------------------------------------------------------ drawing


def draw(data: FigureData) -> Figure:
    """Draw a row of images per class."""
    classes = data.facts["classes"]
    rows = [[i for i, c in enumerate(data.facts["cases"]) if c["label"] == name]
            for name in classes]
    columns = max(len(r) for r in rows)
    height, width = data.arrays["images"].shape[1:]
    cell = (style.WIDTH_IN - 0.5) / columns
    figure = style.new_figure(len(classes) * (cell * height / width + 0.28))
    grid = figure.subplots(len(classes), columns, squeeze=False)
    for axes in grid.flat:
        style.bare(axes)
    for row, indices in enumerate(rows):
        for column, index in enumerate(indices):
            axes = grid[row, column]
            axes.imshow(data.arrays["images"][index], cmap="gray", vmin=0, vmax=255)
            style.outline(axes, data.arrays["masks"][index], style.MARK, 1.3)
            case = data.facts["cases"][index]
            extra = [f"{case['size_mm']:.0f} mm"] if case["size_mm"] is not None else []
            extra += [f"{case['age']:.0f} y"] if case["age"] is not None else []
            if extra:
                axes.set_xlabel(", ".join(extra), fontsize=8, labelpad=2)
        grid[row, 0].set_ylabel(f"{classes[row]}\nn = {data.facts['counts'][classes[row]]}",
                                fontsize=9)
    return figure


def caption(data: FigureData) -> str:
    """State the result, with the figure's own numbers."""
    f = data.facts
    counts = ", ".join(f"{n} {name}" for name, n in f["counts"].items())
    outlined = sum(1 for c in f["cases"] if c["outlined"])
    masks = (f"Red: the dataset's lesion outline "
             f"({outlined} of the {len(f['cases'])} shown)." if outlined
             else "The dataset gives no lesion masks for these images.")
    return (f"The study uses {counts}. Images of each class at the networks' input size, before "
            f"division by the maximum (the paper's Figure 5). {masks}")
