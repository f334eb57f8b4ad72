"""The file ``predictions.npz``: the logits of one build, image by image."""

from __future__ import annotations

import dataclasses
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bedside.core.errors import BadInput
from bedside.runtime import grid

# What zipfile and np.load raise of a file that is cut short, overwritten or no archive at all.
_DAMAGE = (OSError, ValueError, LookupError, EOFError, TypeError, AttributeError, RuntimeError,
           zipfile.BadZipFile, zlib.error, struct.error)


@dataclasses.dataclass(frozen=True, slots=True)
class Predictions:
    """The contents of ``predictions.npz``: ids, split, labels (n,) and logits (n, K) float64.

    The logits of an integer output are exact multiples of its scale, so that differences of two
    have the ties of the integers (:mod:`bedside.runtime.grid`).
    """

    ids: npt.NDArray[np.str_]
    split: npt.NDArray[np.str_]
    labels: npt.NDArray[np.int64]
    logits: npt.NDArray[np.float64]

    def of(self, split: str) -> Predictions:
        """Return the rows of one split."""
        rows = self.split == split
        return Predictions(self.ids[rows], self.split[rows], self.labels[rows], self.logits[rows])


def read_predictions(path: Path) -> Predictions:
    """Read ``predictions.npz`` (no pickle). Raises BadInput where it does not read."""
    try:
        with np.load(path, allow_pickle=False) as data:
            return Predictions(data["ids"], data["split"], data["labels"].astype(np.int64),
                               grid.exact(data["logits"]))
    except _DAMAGE as error:
        raise BadInput(f"predictions do not read ({type(error).__name__})", where=path,
                       remedy="Delete the measurement and run again.") from error
