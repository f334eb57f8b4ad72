"""A picture made over, so that letters stand out that are hard to see in it as it is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from bedside.deid.text.background import on_background

Picture = npt.NDArray[np.uint8]

# Contrast is evened out over so many fields each way, and limited to so many times the mean.
_FIELDS, _CLIP = 8, 3.0
# The local mean and spread are those of a Gaussian of so many pixels; what is at the mean becomes
# the middle, a spread this step, and so many levels of spread are noise.
_SPREAD_PX, _MIDDLE, _STEP, _NOISE = 20.0, 128.0, 50.0, 4.0
# The frame's level, and ink on it that is no farther than so many levels, so many pixels from it;
# of the tissue's level such ink becomes this share.
_FRAME, _NEAR, _REACH_PX, _DARK = 0.5, 12, 60, 0.2


def equalised(picture: Picture) -> Picture:
    """A picture's grey with its contrast evened out from place to place (CLAHE), (H, W) uint8.

    Args:
        picture: (H, W) or (H, W, 3) uint8.
    """
    import cv2

    evened = cv2.createCLAHE(_CLIP, (_FIELDS, _FIELDS)).apply(_rounded(_grey(picture)))
    return np.asarray(evened, np.uint8)


def normalised(picture: Picture) -> Picture:
    """A picture's grey less its local mean, over its local spread, (H, W) uint8.

    Args:
        picture: (H, W) or (H, W, 3) uint8.
    """
    grey = _grey(picture)
    gap = grey - ndimage.gaussian_filter(grey, _SPREAD_PX)
    spread = np.sqrt(ndimage.gaussian_filter(gap**2, _SPREAD_PX))
    return _rounded(np.clip(_MIDDLE + _STEP * gap / (spread + _NOISE), 0, 255))


def without_frame(picture: Picture) -> Picture | None:
    """A picture whose even frame has the level of the tissue beside it, (H, W) uint8, so that
    letters are seen that stand on both and hardly differ from the frame; None without a frame.

    Args:
        picture: (H, W) or (H, W, 3) uint8.
    """
    import cv2

    values = np.asarray(picture if picture.ndim == 3 else picture[..., None], np.float32)
    area, stray = on_background(values)
    if not area.any():
        return None
    level = np.median(values[area & ~stray], axis=0)
    gap = np.abs(values - level).max(axis=2)
    side = 2 * _REACH_PX + 1
    near = cv2.dilate(area.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    beside = near & ~area & (gap > _NEAR)
    grey = values.mean(axis=2)
    tissue = float(np.median(grey[beside])) if beside.any() else 128.0
    out = np.where(near & (gap <= _NEAR), np.where(gap <= _FRAME, 1.0, _DARK) * tissue, grey)
    return _rounded(out)


def _grey(picture: Picture) -> npt.NDArray[np.float64]:
    """(H, W), in 0 to 255."""
    grey: npt.NDArray[np.float64] = (picture.mean(axis=2) if picture.ndim == 3
                                     else picture.astype(np.float64))
    return grey


def _rounded(grey: npt.NDArray[np.floating]) -> Picture:
    out: Picture = np.round(grey).astype(np.uint8)
    return out
