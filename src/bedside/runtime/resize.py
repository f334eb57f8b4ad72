"""Resizing of decoded pixels, to the integer; ``web/src/image/resize.ts`` does the very same.

``bilinear`` is Pillow's, with anti-aliasing. ``nearest`` takes the source pixel at the centre of
each new one, ``area`` the mean of what each new one covers, rounded half up: both are defined in
whole numbers, so that two languages agree to the last digit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from bedside.core.types import Preprocess

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


def resize(pixels: Pixels, preprocess: Preprocess) -> Pixels:
    """Resize as ``preprocess.resize`` says, rounding to the same integer type.

    Args:
        pixels: (H, W) or (H, W, C), uint8 or uint16.

    Returns:
        (height_px, width_px, channels), the dtype of ``pixels``. ``-crop`` first cuts the centre of
        the wanted shape out of the image; ``-fit`` puts the whole image in the centre of black.
    """
    kind, _, fit = preprocess.resize.partition("-")
    height, width = preprocess.height_px, preprocess.width_px
    planes: Any = pixels[..., None] if pixels.ndim == 2 else pixels
    if planes.shape[2] != preprocess.channels:
        planes = np.repeat(planes[..., :1], preprocess.channels, axis=2)
    if fit == "crop":
        top, left, rows, columns = crop_box(planes.shape[0], planes.shape[1], height, width)
        planes = planes[top:top + rows, left:left + columns]
    if fit != "fit":
        return _scaled(planes, height, width, kind)
    top, left, rows, columns = fit_box(planes.shape[0], planes.shape[1], height, width)
    whole = np.zeros((height, width, planes.shape[2]), planes.dtype)
    whole[top:top + rows, left:left + columns] = _scaled(planes, rows, columns, kind)
    return whole


def crop_box(rows: int, columns: int, height: int, width: int) -> tuple[int, int, int, int]:
    """Return top, left, height and width of the largest centred part of the shape height:width."""
    if columns * height > rows * width:
        kept = max(1, _rounded(rows * width, height))
        return 0, (columns - kept) // 2, rows, kept
    kept = max(1, _rounded(columns * height, width))
    return (rows - kept) // 2, 0, kept, columns


def fit_box(rows: int, columns: int, height: int, width: int) -> tuple[int, int, int, int]:
    """Return top, left, height and width of the whole image in the centre of height × width."""
    if columns * height >= rows * width:
        inner = max(1, _rounded(rows * width, columns))
        return (height - inner) // 2, 0, inner, width
    inner = max(1, _rounded(columns * height, rows))
    return 0, (width - inner) // 2, height, inner


def _rounded(numerator: int, denominator: int) -> int:
    """Return the quotient rounded half up."""
    return (2 * numerator + denominator) // (2 * denominator)


def _scaled(planes: Any, height: int, width: int, kind: str) -> Pixels:
    if kind == "nearest":
        return np.ascontiguousarray(planes[_nearest(planes.shape[0], height)]
                                    [:, _nearest(planes.shape[1], width)])
    return _area(planes, height, width) if kind == "area" else _bilinear(planes, height, width)


def _nearest(source: int, target: int) -> npt.NDArray[np.int64]:
    found: npt.NDArray[np.int64] = (2 * np.arange(target) + 1) * source // (2 * target)
    return found


def _covered(source: int, target: int) -> npt.NDArray[np.float64]:
    """Return (target, source): the share of each pixel in each new one, in 1/target pixels."""
    new, old = np.arange(target)[:, None], np.arange(source)[None]
    low = np.maximum(new * source, old * target)
    high = np.minimum((new + 1) * source, (old + 1) * target)
    shares: npt.NDArray[np.float64] = np.maximum(high - low, 0).astype(np.float64)
    return shares


def _area(planes: Any, height: int, width: int) -> Pixels:
    rows, columns, channels = planes.shape
    # Whole numbers below 2^53 all the way: exact in any order of summation.
    down = _covered(rows, height) @ planes.reshape(rows, -1).astype(np.float64)
    across = down.reshape(height, columns, channels).transpose(0, 2, 1) @ _covered(
        columns, width).T
    total = rows * columns
    mean = (2 * across.transpose(0, 2, 1).astype(np.int64) + total) // (2 * total)
    small: Pixels = np.ascontiguousarray(mean).astype(planes.dtype)
    return small


def _bilinear(planes: Any, height: int, width: int) -> Pixels:
    """Resize with Pillow's anti-aliased bilinear filter."""
    size = (width, height)
    if planes.dtype == np.uint8:
        mode: Any = planes[..., 0] if planes.shape[2] == 1 else planes
        image = Image.fromarray(np.ascontiguousarray(mode)).resize(size, Image.Resampling.BILINEAR)
        small: Pixels = np.asarray(image, dtype=np.uint8)
        return small[..., None] if small.ndim == 2 else small
    # Pillow's integer filter works on 8 bits; 16-bit planes go through 32-bit floats.
    resized = [
        np.asarray(Image.fromarray(np.ascontiguousarray(planes[..., c], dtype=np.float32))
                   .resize(size, Image.Resampling.BILINEAR))
        for c in range(planes.shape[2])
    ]
    wide: Pixels = np.clip(np.rint(np.stack(resized, axis=-1)), 0, 65535).astype(np.uint16)
    return wide
