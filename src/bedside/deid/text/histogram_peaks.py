"""Places where one level stands out of the levels beside it: overlay ink, seen without OCR.

Tissue under an overlay spreads over many neighbouring levels; what is drawn has one. Hence a
faint string that no reader sees still makes a spike in the histogram of the few rows and columns
in which it stands. Pictures that were compressed with loss after the overlay was drawn have no
such spikes; there the reader is what finds text.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from bedside.core.types import Box
from bedside.deid.text.masks import Floats, Mask, broad

# Cells of the local histograms and how many of them make a window, rows and columns, in pixels.
_CELL = (6, 8)
_WINDOW = (3, 8)
# Levels beside a spike to which it is compared: from the second to the eighth on either side.
_NEXT, _LAST = 2, 8
# Excess over what is expected, in pixels and in its Poisson standard deviations.
_LEAST, _DEVIATIONS = 16.0, 6.0
# Some scanners stretch grey so that some levels come more often than their neighbours everywhere.
_COMB = 4.0
_LOWEST_PX, _TALLEST_PX, _JOIN = 4, 60, (3, 13)


@dataclass(frozen=True, slots=True)
class Spike:
    """Box as (y0, x0, y1, x1), lower ends exclusive; ``mask`` (h, w) the pixels of the one
    colour; ``colour`` (C,) float32."""

    box: Box
    mask: Mask
    colour: Floats


def spikes(values: Floats, levels: set[int]) -> list[Spike]:
    """Patches of ink-like pixels of one level.

    Args:
        values: (H, W, C) float32 in 0 to 255.
        levels: the grey levels (the mean of the colours) that are of interest.
    """
    level = np.clip(np.round(values.mean(axis=2)), 0, 255).astype(np.int64)
    hot = _hot(level)
    found = []
    for v in sorted(levels):
        windows = np.kron(hot[..., v], np.ones(_CELL, bool))[:level.shape[0], :level.shape[1]]
        own = (level == v)
        own &= ~broad(own)
        own &= windows
        found.extend(_patches(values, own))
    return found


def _hot(level: npt.NDArray[np.int64]) -> Mask:
    """Cells (rows, columns, 256) in whose window a level stands out."""
    height, width = level.shape
    rows, columns = -(-height // _CELL[0]), -(-width // _CELL[1])
    cell = (np.arange(height) // _CELL[0])[:, None] * columns + np.arange(width) // _CELL[1]
    counts = np.bincount((cell * 256 + level).ravel(), minlength=rows * columns * 256)
    counts = counts.reshape(rows, columns, 256)
    size = (*_WINDOW, 1)
    inside = ndimage.uniform_filter(counts.astype(np.float32), size, mode="constant")
    inside *= _WINDOW[0] * _WINDOW[1]
    usual = _usual(inside)
    whole = counts.sum(axis=(0, 1)).astype(np.float32)
    # How often the level comes elsewhere in the picture, beside its neighbours.
    comb = (whole - inside) / np.maximum(_usual(whole) - usual, 1.0)
    expected = usual * np.clip(comb, 1.0, _COMB)
    excess = inside - expected
    hot: Mask = (excess >= _LEAST) & (excess >= _DEVIATIONS * np.sqrt(expected + 1))
    around: Mask = ndimage.maximum_filter(hot, size, mode="constant")
    return around


def _usual(counts: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The mean count of the levels on one side, the larger of the two, (…, 256)."""
    n = _LAST - _NEXT + 1
    pad = [(0, 0)] * (counts.ndim - 1) + [(_LAST + 1, _LAST + 1)]
    padded = np.pad(counts, pad, constant_values=0)
    total = np.cumsum(np.concatenate([np.zeros((*padded.shape[:-1], 1), np.float32), padded],
                                     axis=-1, dtype=np.float64), axis=-1)
    sums = (total[..., n:] - total[..., :-n]) / n
    # sums[k] is the mean of padded[k:k + n]; level v lies at v + _LAST + 1.
    low = sums[..., 1:1 + 256]
    high = sums[..., _LAST + 1 + _NEXT:_LAST + 1 + _NEXT + 256]
    out: npt.NDArray[np.float32] = np.maximum(low, high).astype(np.float32)
    return out


def _patches(values: Floats, own: Mask) -> list[Spike]:
    joined = ndimage.binary_closing(np.pad(own, 16), np.ones(_JOIN))[16:-16, 16:-16] | own
    labels, _ = ndimage.label(joined, np.ones((3, 3)))
    found = []
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        mask = own[place] & (labels[place] == number)
        ys, xs = place
        # A letter that stands apart is a patch of its own, narrower than it is high.
        if mask.sum() < _LEAST or not _LOWEST_PX <= ys.stop - ys.start <= _TALLEST_PX:
            continue
        found.append(Spike((ys.start, xs.start, ys.stop, xs.stop), mask,
                           values[place][mask].mean(axis=0).astype(np.float32)))
    return found
