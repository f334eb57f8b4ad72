"""Chance levels of a map: agreement with lesions that needs no look at the image.

Lesions lie near the middle of an ultrasound image and are large, so a map that ignores the image
hits many of them. A hit rate says something only beside what such a map reaches. Where lesions
usually lie is learned from the outlines of *other* images, so that a chance level is not fitted to
the images on which it is evaluated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Usual:
    """Where lesions usually lie, learned from the outlines of other images.

    Attributes:
        pixel: the (row, column) that lies in most lesions.
        region: (H, W), the fixed region with the largest mean IoU.
        disc: (H, W), centred, of the mean lesion's area.
        outlines: how many it was learned from.
    """

    pixel: tuple[int, int]
    region: Mask
    disc: Mask
    outlines: int


def area(lesion: Mask) -> float:
    """Return the lesion's share of the image (H, W): how often a uniformly random point hits it."""
    return int(np.count_nonzero(lesion)) / lesion.size


def centre(lesion: Mask) -> bool:
    """Return whether the centre of the image (H, W) lies in the lesion.

    With an even side the centre lies between two pixels; the lower or right one counts.
    """
    return bool(lesion[lesion.shape[0] // 2, lesion.shape[1] // 2])


def usual(lesions: Sequence[Mask]) -> Usual | None:
    """Learn where lesions lie; None without any.

    Args:
        lesions: (H, W) each, not empty, all of one shape.
    """
    if not lesions:
        return None
    frequency = np.zeros(lesions[0].shape, np.int64)
    for lesion in lesions:
        frequency += lesion
    share = float(np.mean([area(x) for x in lesions]))
    return Usual(best_pixel(frequency), best_region(frequency, lesions),
                 centred_disc(frequency.shape, share), len(lesions))


def best_pixel(frequency: npt.NDArray[np.int64]) -> tuple[int, int]:
    """Return the (row, column) of the highest count (H, W).

    Of several the one nearest to their mean: the edge of a plateau generalises worse.
    """
    places = np.argwhere(frequency == frequency.max())
    away = np.square(places - places.mean(axis=0)).sum(axis=1)
    row, column = places[int(np.argmin(away))]
    return int(row), int(column)


def best_region(frequency: npt.NDArray[np.int64], lesions: Sequence[Mask]) -> Mask:
    """Return the level set of ``frequency`` (H, W) with the largest mean IoU with ``lesions``.

    A level set holds the pixels that lie in at least so many lesions. For regions of a given size
    it has the largest mean overlap; all levels are tried.
    """
    levels = int(frequency.max())
    # Counted from the top: how many pixels of the image, and of each lesion, lie at or above t.
    size = _at_least(frequency.ravel(), levels)
    total = np.zeros(levels, np.float64)
    for lesion in lesions:
        both = _at_least(frequency[lesion], levels)
        total += both / (size + int(np.count_nonzero(lesion)) - both)
    best: Mask = frequency >= int(np.argmax(total)) + 1
    return best


def _at_least(values: npt.NDArray[np.int64], levels: int) -> npt.NDArray[np.int64]:
    """Count the values that are at least 1, 2, … ``levels``, (levels,)."""
    counts = np.bincount(values, minlength=levels + 1)[1:]
    return np.asarray(counts[::-1].cumsum()[::-1], np.int64)


def centred_disc(shape: tuple[int, ...], share: float) -> Mask:
    """Return the disc (H, W) about the image's centre whose area is ``share`` of the image.

    The region above any level of a centred Gaussian map is such a disc. It is cut at the image's
    border where it does not fit.
    """
    height, width = shape
    rows, columns = np.mgrid[:height, :width]
    away = (rows - (height - 1) / 2) ** 2 + (columns - (width - 1) / 2) ** 2
    disc: Mask = away <= max(share * height * width / math.pi, 0.5)
    return disc


def inside(region: Mask, lesion: Mask) -> float | None:
    """Return the share of a region (H, W) that lies in the lesion; None for an empty region."""
    size = int(np.count_nonzero(region))
    return int(np.count_nonzero(region & lesion)) / size if size else None
