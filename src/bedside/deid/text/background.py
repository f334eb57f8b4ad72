"""The image beneath overlay text: the even frame, an estimate under the ink, and the fill."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from bedside.core.types import Box
from bedside.deid.text.parameters import FRAME, PIXELS

Image = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]

CROSS = ndimage.generate_binary_structure(2, 1)
SQUARE = ndimage.generate_binary_structure(2, 2)


def as_values(image: Image) -> Floats:
    """Return an image, (H, W) or (H, W, 3) uint8, as (H, W, C) float32 in 0 to 255."""
    values = np.asarray(image, np.float32)
    return values[..., None] if values.ndim == 2 else values


def bounds(mask: Mask) -> Box:
    """Return the box around a mask's pixels, of which there is at least one."""
    (y0, y1), (x0, x1) = (np.flatnonzero(mask.any(axis=a))[[0, -1]].tolist() for a in (1, 0))
    return y0, x0, y1 + 1, x1 + 1


def broad(mask: Mask) -> Mask:
    """Return what is broader than a stroke: a background, a shadow or a saturated echo."""
    opened: Mask = ndimage.binary_opening(mask, np.ones((PIXELS.broad_px, PIXELS.broad_px)))
    return opened


def without_specks(mask: Mask) -> Mask:
    """Drop single pixels, which speckle makes and strokes do not."""
    labels, count = ndimage.label(mask, SQUARE)
    if not count:
        return mask
    large = np.bincount(labels.ravel()) >= PIXELS.speck_px
    large[0] = False
    out: Mask = large[labels]
    return out


def from_median(box: Floats) -> Floats:
    """Return the signed distance of each pixel's grey from the median around it, (h, w)."""
    grey = box.mean(axis=2)
    gap: Floats = grey - ndimage.median_filter(grey, PIXELS.median_px, mode="nearest")
    return gap


def common_level(grey: Floats) -> int:
    """Return the most frequent grey level: that of the background."""
    return int(np.bincount(np.clip(np.round(grey), 0, 255).astype(int).ravel()).argmax())


def even_frame(values: Floats) -> tuple[Mask, Mask]:
    """Return broad areas of the background's exact level, and the pixels of other levels on them.

    Args:
        values: (H, W, C) float32 in 0 to 255.

    Returns:
        two (H, W) masks, empty where the image has no frame.
    """
    even = np.abs(values - common_level(values.mean(axis=2))).max(axis=2) <= PIXELS.exact
    if even.mean() < FRAME.least_share:
        return np.zeros(even.shape, bool), np.zeros(even.shape, bool)
    area = even
    for size, first, then in ((FRAME.open_px, ndimage.minimum_filter, ndimage.maximum_filter),
                              (FRAME.close_px, ndimage.maximum_filter, ndimage.minimum_filter)):
        area = then(first(area, size, mode="nearest"), size, mode="nearest")
    return area, area & ~even


def beneath(box: Floats, ink: Mask) -> Floats:
    """Estimate what lies beneath the ink from the pixels three and more away from it."""
    covered = ndimage.binary_dilation(ink, SQUARE, iterations=2)
    if covered.all():
        return box
    smooth = np.stack([_masked_mean(box[..., c], ~covered) for c in range(box.shape[2])], axis=2)
    return smooth.astype(np.float32)


def _masked_mean(plane: Floats, known: Mask) -> Any:
    sigma = PIXELS.beneath_sigma_px
    weight = ndimage.gaussian_filter(known.astype(np.float32), sigma, mode="nearest")
    total = ndimage.gaussian_filter(np.where(known, plane, 0).astype(np.float32), sigma,
                                    mode="nearest")
    mean = total / np.maximum(weight, 1e-6)
    if (weight < 1e-3).any():
        nearest = ndimage.distance_transform_edt(weight < 1e-3, return_distances=False,
                                                 return_indices=True)
        mean = mean[tuple(nearest)]
    return mean


def ink_share(box: Floats, under: Floats, colour: Floats) -> Floats:
    """Return how far each pixel has moved from what is beneath to the ink's colour, (h, w)."""
    way = colour - under
    length = np.maximum((way ** 2).sum(axis=2), 1.0)
    share: Floats = (((box - under) * way).sum(axis=2) / length).astype(np.float32)
    return share


def inpaint(plane: npt.NDArray[Any], mask: Mask) -> npt.NDArray[Any]:
    """Return a copy in which each masked pixel has the value of the nearest unmasked one.

    Values are copied, not mixed: that holds for palette indices and YBR as for grey, keeps the
    texture, and nothing of what was masked can shine through.

    Args:
        plane: (H, W) or (H, W, 3), any type.
        mask: (H, W); where it covers everything the image becomes zero.
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
