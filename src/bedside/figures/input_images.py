"""Images and lesion masks that figures show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bedside.core.errors import BadInput
from bedside.core.types import Case, Preprocess
from bedside.figures.base import NotAvailable
from bedside.figures.inputs import Real
from bedside.runfolder import artefact, layout, stored
from bedside.runtime.pixels import PixelStore
from bedside.runtime.preprocess import decode, resize

SOURCE = "source.json"


def used_cases(run: Path) -> tuple[Case, ...]:
    """Return the cases that are in a split, by id."""
    return tuple(sorted((c for c in stored.cases(run) if c.split != "set_aside"),
                        key=lambda c: c.id))


def shown_cases(run: Path, store: PixelStore) -> tuple[Case, ...]:
    """Return the cases that a figure may show: test, else validation, else training."""
    saved = set(store.ids)
    cases = [c for c in used_cases(run) if c.id in saved]
    for split in ("test", "val", "train"):
        chosen = tuple(c for c in cases if c.split == split)
        if chosen:
            return chosen
    raise NotAvailable("the study holds no image")


def exemplar(run: Path, store: PixelStore) -> Case:
    """Return one case for figures that show a single image: positive, with a lesion mask."""
    cases = shown_cases(run, store)
    positive = stored.task(run).positive
    return min(cases, key=lambda c: (c.label != positive, not c.masks, c.id))


def to_grey(pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Convert a stored image (H, W, C) to 8-bit grey (H, W), its maximum at 255."""
    plane = pixels.astype(np.float32).mean(axis=2)
    peak = max(float(plane.max()), 1.0)
    grey: npt.NDArray[np.uint8] = np.rint(plane * (255.0 / peak)).astype(np.uint8)
    return grey


def dataset_root(run: Path) -> Path | None:
    """Return the dataset's folder (``data/source.json``), or None where it is not recorded."""
    path = layout.data_dir(run) / SOURCE
    if not path.is_file():
        return None
    data = artefact.read_document(path)
    root = data.get("root") if isinstance(data, dict) else None
    return run / root if isinstance(root, str) else None


def lesion_mask(root: Path | None, case: Case, preprocess: Preprocess
                ) -> npt.NDArray[np.bool_] | None:
    """Return the union of a case's masks at the network's size, (H, W), or None.

    None also where the files are gone since the study read them: an outline is optional, and a
    report can be made on another machine than the study.
    """
    if root is None or not case.masks:
        return None
    size = Preprocess(preprocess.height_px, preprocess.width_px, 1)
    union = np.zeros((size.height_px, size.width_px), np.bool_)
    for name in case.masks:
        try:
            plane = decode(root / name, 1)
        except BadInput:
            return None
        union |= resize(np.where(plane > 0, 255, 0).astype(np.uint8), size)[..., 0] > 127
    return union if union.any() else None


def shrink(maps: npt.NDArray[Any], limit_px: int) -> Real:
    """Average maps (n, h, w) over blocks until no side exceeds ``limit_px``."""
    factor = -(-max(maps.shape[1:]) // limit_px)
    if factor <= 1:
        return maps.astype(np.float32)
    height, width = maps.shape[1] // factor, maps.shape[2] // factor
    blocks = maps[:, :height * factor, :width * factor].reshape(
        maps.shape[0], height, factor, width, factor)
    mean: Real = blocks.mean(axis=(2, 4)).astype(np.float32)
    return mean
