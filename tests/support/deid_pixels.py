"""Names and ids written into the pixels of public DICOM, and how much of their ink is left."""

from __future__ import annotations

import functools
import random
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pydicom
from dicom_fixture import public_files
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from texted import ANTIALIAS_MIN, alpha_of

LEAST_PX, MOST_PX, LARGEST_BYTES = 240, 1100, 3 << 20
# Grey levels of 256 between the ink and what is beneath it.
CONTRAST = 40


@dataclass(frozen=True)
class Burned:
    """One text: the pixels that it changed (N,) by row and column, and what it wrote there."""

    rows: Any
    columns: Any
    wrote: Any


@functools.cache
def pictures() -> list[Any]:
    """Public images of one frame, large enough to be written upon."""
    found = []
    for path in public_files():
        if path.stat().st_size > LARGEST_BYTES:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                dataset = pydicom.dcmread(path)
                if not _large_enough(dataset):
                    continue
                _decompressed(dataset)
        except Exception:
            continue
        found.append(path)
    return found


def _large_enough(dataset: Dataset) -> bool:
    return (min(dataset.Rows, dataset.Columns) >= LEAST_PX
            and max(dataset.Rows, dataset.Columns) <= MOST_PX
            and int(dataset.get("NumberOfFrames") or 1) == 1 and dataset.BitsAllocated in (8, 16)
            and "PALETTE" not in dataset.PhotometricInterpretation)


def _decompressed(dataset: Dataset) -> Any:
    """A copy of the pixels, (H, W) or (H, W, 3), which the dataset then holds plainly."""
    if dataset.file_meta.TransferSyntaxUID.is_compressed:
        dataset.decompress(generate_instance_uid=False)
    return np.array(dataset.pixel_array)


def burn(dataset: Dataset, texts: tuple[str, ...], rng: random.Random) -> tuple[Burned, ...]:
    """Write texts into the pixels, apart from each other, and store those plainly."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = _decompressed(dataset)
    low, high = float(values.min()), float(values.max())
    taken = np.zeros(values.shape[:2], bool)
    burned = []
    for text in texts:
        alpha = alpha_of(text, rng)[0]
        while alpha.shape[1] + 8 > values.shape[1]:
            alpha = alpha_of(text, rng)[0]
        (h, w), (height, width) = alpha.shape, taken.shape
        while True:
            y, x = rng.randint(4, height - h - 4), rng.randint(4, width - w - 4)
            if not taken[y - 4:y + h + 4, x - 4:x + w + 4].any():
                break
        taken[y:y + h, x:x + w] = True
        place = values[y:y + h, x:x + w]
        beneath = float(place[alpha >= ANTIALIAS_MIN].mean())
        # White as machines write, or black where white would not show.
        ink = high if high - beneath >= CONTRAST / 255 * (high - low) else low
        cover = alpha[..., None] if values.ndim == 3 else alpha
        mixed = np.round(place * (1 - cover) + ink * cover).astype(values.dtype)
        wrote = (mixed != place) & (cover >= ANTIALIAS_MIN)
        values[y:y + h, x:x + w] = mixed
        rows, columns = np.nonzero(wrote if wrote.ndim == 2 else wrote.any(axis=2))
        burned.append(Burned(rows + y, columns + x, mixed[rows, columns]))
    dataset.PixelData = values.tobytes()
    dataset["PixelData"].VR = "OW" if dataset.BitsAllocated == 16 else "OB"
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if values.ndim == 3:
        dataset.PlanarConfiguration = 0
        dataset.PhotometricInterpretation = "RGB"
    return tuple(burned)


def ink_left(text: Burned, pixels: Any) -> float:
    """The share of a text's ink that stands in an image as it was written."""
    same = pixels[text.rows, text.columns] == text.wrote
    return float((same if same.ndim == 1 else same.all(axis=1)).mean())
