"""Pixel store: every image decoded and resized once, read back one at a time.

A store is a folder with ``pixels.bin`` (integers, image after image, before the division by
the maximum) and ``index.json``. Reading goes through one buffer, so memory does not grow with
the number of images.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.types import Preprocess
from bedside.runtime.preprocess import Pixels, normalise

PIXELS = "pixels.bin"
INDEX = "index.json"


@dataclass(frozen=True, slots=True)
class PixelIndex:
    """Index of a store: its images in order, and their preprocessing."""

    preprocess: Preprocess
    dtype: Literal["uint8", "uint16"]
    ids: tuple[str, ...]


class PixelStore:
    """Random access to the preprocessed images of a study.

    Raises:
        BadInput: the folder holds no store, or its size does not fit its index.
    """

    def __init__(self, folder: Path) -> None:
        self.index = codec.read_json(PixelIndex, folder / INDEX)
        self.preprocess = self.index.preprocess
        spec = self.preprocess
        self._shape = (spec.height_px, spec.width_px, spec.channels)
        self._dtype = np.dtype(self.index.dtype)
        self._item_bytes = int(np.prod(self._shape)) * self._dtype.itemsize
        self._position = {case_id: i for i, case_id in enumerate(self.index.ids)}
        path = folder / PIXELS
        if not path.is_file() or path.stat().st_size != self._item_bytes * len(self.index.ids):
            raise BadInput("the pixel store does not match its index", where=path,
                           remedy="Delete the folder; the next run writes it again.")
        self._file = path.open("rb", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def ids(self) -> tuple[str, ...]:
        """Case ids in the store's order."""
        return self.index.ids

    def pixels(self, case_id: str) -> Pixels:
        """Return one resized image, (H, W, C), uint8 or uint16, before the division."""
        if case_id not in self._position:
            raise BadInput("not in the pixel store", where=case_id,
                           remedy="Delete the study's cache folder and run again.")
        self._file.seek(self._position[case_id] * self._item_bytes)
        buffer = np.empty(self._shape, self._dtype)
        view = buffer.reshape(-1).view(np.uint8).data
        done = 0
        while done < self._item_bytes:
            count = self._file.readinto(view[done:])
            if not count:
                raise BadInput("the pixel store is truncated", where=self._file.name,
                               remedy="Delete the folder; the next run writes it again.")
            done += count
        return buffer

    def tensor(self, case_id: str) -> npt.NDArray[np.float32]:
        """Return one image as the network sees it, (1, H, W, C) float32."""
        return normalise(self.pixels(case_id), self.preprocess, case_id)[None]

    def tensors(self, case_ids: Sequence[str]) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the tensors of ``case_ids`` in that order, one at a time."""
        for case_id in case_ids:
            yield self.tensor(case_id)
