"""Fill removed pixels from what lies around them, never from what they held."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from bedside.deid.text.masks import Mask


def fill(plane: npt.NDArray[Any], mask: Mask) -> npt.NDArray[Any]:
    """A copy in which each masked pixel has the value of the nearest pixel that is not.

    Values are copied, not mixed: that holds for palette indices and YBR as for grey, keeps the
    texture, and nothing of what was masked can shine through.

    Args:
        plane: (H, W) or (H, W, 3), any type.
        mask: (H, W); where it covers everything the picture becomes zero.
    """
    out = np.array(plane)
    if not mask.any():
        return out
    if mask.all():
        out[...] = 0
        return out
    nearest = ndimage.distance_transform_edt(mask, return_distances=False, return_indices=True)
    rows, columns = (axis[mask] for axis in nearest)
    out[mask] = plane[rows, columns]
    return out
