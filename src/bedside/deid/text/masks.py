"""What the search for ink asks of pixels: which hang together, and what lies beneath them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]

CROSS = ndimage.generate_binary_structure(2, 1)
SQUARE = ndimage.generate_binary_structure(2, 2)
_BROAD_PX = 9


def broad(core: Mask) -> Mask:
    """What is broader than a stroke: a background, a shadow or a saturated echo."""
    found: Mask = ndimage.binary_opening(core, np.ones((_BROAD_PX, _BROAD_PX)))
    return found


def without_specks(core: Mask) -> Mask:
    """Drop single pixels, which speckle makes and strokes do not."""
    labels, count = ndimage.label(core, SQUARE)
    if not count:
        return core
    sizes = np.bincount(labels.ravel())
    keep = sizes >= 3
    keep[0] = False
    kept: Mask = keep[labels]
    return kept


def beneath_of(box: Floats, core: Mask) -> Floats:
    """What lies under the ink, guessed from the pixels three and more away from it."""
    covered = ndimage.binary_dilation(core, SQUARE, iterations=2)
    if covered.all():
        return box
    smooth = np.stack([_masked_mean(box[..., c], ~covered) for c in range(box.shape[2])], axis=2)
    return smooth.astype(np.float32)


def _masked_mean(plane: Floats, known: Mask) -> Any:
    weight = ndimage.gaussian_filter(known.astype(np.float32), 3.0, mode="nearest")
    total = ndimage.gaussian_filter(np.where(known, plane, 0).astype(np.float32), 3.0,
                                    mode="nearest")
    mean = total / np.maximum(weight, 1e-6)
    if (weight < 1e-3).any():
        nearest = ndimage.distance_transform_edt(weight < 1e-3, return_distances=False,
                                                 return_indices=True)
        mean = mean[tuple(nearest)]
    return mean


def share_of(box: Floats, beneath: Floats, colour: Floats) -> Floats:
    """How far each pixel has moved from what lies beneath towards the ink, (H, W), 1 is all."""
    way = colour - beneath
    length = np.maximum((way ** 2).sum(axis=2), 1.0)
    share: Floats = (((box - beneath) * way).sum(axis=2) / length).astype(np.float32)
    return share
