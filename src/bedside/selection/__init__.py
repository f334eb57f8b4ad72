"""Selections of calibration images: one file each, listed here by lazy name.

A module offers ``choose(pool, count, seed) -> tuple[str, ...]``: ids in drawn order, all of
them training images, the same for the same seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

CHOICES: dict[str, str] = {
    "random": "bedside.selection.random:choose",
    "stratified": "bedside.selection.stratified:choose",
    "coverage": "bedside.selection.coverage:choose",
}

# Choices that need the model's own features.
NEEDS_FEATURES: frozenset[str] = frozenset({"coverage"})


@dataclass(frozen=True, slots=True)
class Pool:
    """The training images to choose from: ids (sorted) and labels.

    ``features`` gives one row an image, (n, F) float32, and may take long.
    """

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    features: Callable[[], npt.NDArray[np.float32]] | None = None


def order(seed: int, count: int) -> npt.NDArray[np.int64]:
    """Return a seeded permutation of ``count`` positions."""
    return np.random.default_rng([seed, 0xCA1]).permutation(count)
