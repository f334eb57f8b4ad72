"""Stored pixels as a picture in which text can be looked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bedside.deid.outcome import Stored


def bounds(frames: npt.NDArray[Any]) -> tuple[float, float]:
    """The range of values that is shown; a few outliers do not darken the rest."""
    sample = frames.ravel()[::max(1, frames.size // 2_000_000)]
    return float(sample.min()), float(sample.max())


def shown(stored: Stored, index: int, limits: tuple[float, float] | None = None
          ) -> npt.NDArray[np.uint8]:
    """One frame, (H, W) or (H, W, 3) uint8; windows and other display settings play no part,
    so that text which they hide is seen."""
    frame = stored.frames[index]
    if stored.photometric == "PALETTE COLOR" and len(stored.palette) == 3 and all(
            len(t) for t in stored.palette):
        tables = [_bytes(t) for t in stored.palette]
        return np.stack([t[np.clip(frame, 0, len(t) - 1)] for t in tables], axis=2)
    if frame.ndim == 3:
        eight = _scaled(frame, (0.0, float(2 ** stored.bits_stored - 1)))
        return _rgb(eight) if stored.photometric.startswith("YBR_FULL") else eight
    if frame.dtype == np.uint8 and stored.bits_stored == 8:
        return np.ascontiguousarray(frame)
    return _scaled(frame, limits or bounds(stored.frames))


def _bytes(table: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    return (table >> 8).astype(np.uint8) if table.dtype.itemsize == 2 else table.astype(np.uint8)


def _scaled(frame: npt.NDArray[Any], limits: tuple[float, float]) -> npt.NDArray[np.uint8]:
    if frame.dtype == np.uint8 and limits == (0.0, 255.0):
        return np.ascontiguousarray(frame)
    low, high = limits
    scaled: npt.NDArray[np.uint8] = np.clip(
        (frame.astype(np.float64) - low) * (255.0 / max(1.0, high - low)), 0, 255).round().astype(
        np.uint8)
    return scaled


def _rgb(ybr: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """PS3.3 C.7.6.3.1.2 (full range, ITU-R 601)."""
    y, cb, cr = (ybr[..., c].astype(np.float32) for c in range(3))
    cb, cr = cb - 128, cr - 128
    out: npt.NDArray[np.uint8] = np.clip(np.stack(
        [y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], axis=2),
        0, 255).round().astype(np.uint8)
    return out
