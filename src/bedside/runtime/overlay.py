"""Class activation map drawn over its image, as a PNG."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from bedside.core.errors import BadInput
from bedside.runtime.engine import Raw

MAX_SIDE = 512


def draw(pixels: npt.NDArray[np.uint8] | npt.NDArray[np.uint16], raw: Raw, index: int) -> bytes:
    """Return a PNG of the image (grey, 512 px at most) with the map of class ``index`` in red.

    Args:
        pixels: decoded, (H, W) or (H, W, 3).
        raw: the engine's outcome for that image.

    Raises:
        BadInput: the model gives no class activation map.
    """
    if raw.cam_shape is None:
        raise BadInput("this model gives no class activation map", where="--cam",
                       remedy="Leave --cam out.")
    cam = np.frombuffer(raw.cam, "<f4").reshape(raw.cam_shape)[:, :, index]
    span = max(float(cam.max() - cam.min()), 1e-12)
    heat = ((cam - cam.min()) / span).astype(np.float32)
    grey = pixels.astype(np.float32).mean(axis=2) if pixels.ndim == 3 else pixels.astype(np.float32)
    grey *= 255 / max(float(grey.max()), 1.0)
    shrink = min(1.0, MAX_SIDE / max(grey.shape))
    size = (max(1, round(grey.shape[1] * shrink)), max(1, round(grey.shape[0] * shrink)))
    base = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BILINEAR))
    over = np.asarray(Image.fromarray(heat).resize(size, Image.Resampling.BILINEAR))
    weight = (0.6 * np.clip(over, 0, 1))[..., None]
    colour = np.array([230.0, 40.0, 30.0])
    mixed = np.clip(base, 0, 255)[..., None] * (1 - weight) + colour * weight
    out = io.BytesIO()
    Image.fromarray(np.rint(mixed).astype(np.uint8)).save(out, "PNG")
    return out.getvalue()
