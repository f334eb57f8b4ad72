"""Run the text detector on scaled, CLAHE, normalised, inverted and frameless views of an image.

The detector sees letters at the size and contrast it was trained on: small print is enlarged, and
faint print is made to stand out first. Texture of a like grain swallows letters at one size and
not at another, so each view is also evaluated on its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from bedside.core.types import Box
from bedside.deid.outcome import Stored
from bedside.deid.text import ocr
from bedside.deid.text.background import Floats, Image, as_values, even_frame
from bedside.deid.text.parameters import PIXELS, VIEWS


@dataclass(frozen=True, slots=True)
class View:
    """One run of the detector.

    ``probability`` (H, W) in [0, 1], of text; ``image`` uint8 as the detector saw it, for the
    reader; ``joined``: the view is also evaluated together with others, where each sees a part;
    ``letter``: the width of a letter, see :func:`.lines.missed_lines`; ``redrawn``: ink is to be
    looked for in ``image``, since it does not stand out in the stored one.
    """

    probability: Floats
    image: Image
    joined: bool = False
    letter: float = VIEWS.letter
    redrawn: bool = False


def views(image: Image, enlarge: bool = True) -> tuple[View, ...]:
    """Run the detector on an image as it is, enlarged, for small print, and with its contrast
    changed, for faint print.

    Args:
        image: (H, W) or (H, W, 3) uint8.
        enlarge: more than the image as it is.

    Raises:
        MissingComponent: the OCR engine is not installed.
    """
    first = View(ocr.probability(image), image, joined=True)
    if not enlarge:
        return (first,)
    small = max(image.shape[:2]) < VIEWS.small_px
    local, same, dark = clahe(image), normalised(image), 255 - image
    out = [first, View(ocr.probability(image, VIEWS.slight), image)]
    if small:
        out.append(View(ocr.probability(image, VIEWS.enlarged), image, joined=True))
    wide = VIEWS.letter_wide
    out += [View(ocr.probability(local, VIEWS.clahe if small else VIEWS.enlarged), local,
                 letter=wide),
            View(ocr.probability(same, VIEWS.normalised if small else VIEWS.enlarged), same,
                 letter=wide),
            View(ocr.probability(dark, VIEWS.enlarged if small else VIEWS.slight), dark)]
    level = without_frame(image)
    if level is not None:
        out.append(View(ocr.probability(level, VIEWS.slight), level, letter=wide, redrawn=True))
    return tuple(out)


def close_ups(image: Image, boxes: list[Box]) -> tuple[View, ...]:
    """Run the detector on lines with what is beside them: a part of an image shows letters that
    the texture of the whole swallows.

    Args:
        image: (H, W) or (H, W, 3) uint8.
        boxes: those of the lines.
    """
    out = []
    for scale in VIEWS.close_up if boxes else ():
        probability = np.zeros(image.shape[:2], np.float32)
        for y0, x0, y1, x1 in boxes:
            height_px = min(max((y1 - y0) // 2, VIEWS.height_px[0]), VIEWS.height_px[1])
            up, side = VIEWS.above * height_px, VIEWS.beside * height_px
            part = np.s_[max(0, y0 - up):y1 + up, max(0, x0 - side):x1 + side]
            probability[part] = np.maximum(probability[part], ocr.probability(image[part], scale))
        out.append(View(probability, image, letter=VIEWS.letter_wide))
    return tuple(out)


# ------------------------------------------------------------------ changed contrast


def clahe(image: Image) -> Image:
    """Return an image's grey after contrast-limited adaptive histogram equalisation, (H, W).

    Args:
        image: (H, W) or (H, W, 3) uint8.
    """
    import cv2

    fields = (VIEWS.clahe_fields, VIEWS.clahe_fields)
    evened = cv2.createCLAHE(VIEWS.clahe_clip, fields).apply(_rounded(_grey(image)))
    return np.asarray(evened, np.uint8)


def normalised(image: Image) -> Image:
    """Return an image's grey less its local mean, over its local spread, (H, W) uint8.

    Args:
        image: (H, W) or (H, W, 3) uint8.
    """
    grey = _grey(image)
    gap = grey - ndimage.gaussian_filter(grey, VIEWS.local_sigma_px)
    spread = np.sqrt(ndimage.gaussian_filter(gap**2, VIEWS.local_sigma_px))
    return _rounded(np.clip(VIEWS.middle + VIEWS.step * gap / (spread + VIEWS.noise), 0, 255))


def without_frame(image: Image) -> Image | None:
    """Return an image whose even frame has the level of the tissue beside it, (H, W) uint8, so
    that letters show that stand on both and hardly differ from the frame; None without a frame.

    Args:
        image: (H, W) or (H, W, 3) uint8.
    """
    import cv2

    values = as_values(image)
    area, stray = even_frame(values)
    if not area.any():
        return None
    level = np.median(values[area & ~stray], axis=0)
    gap = np.abs(values - level).max(axis=2)
    side = 2 * VIEWS.frame_reach_px + 1
    near = cv2.dilate(area.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    beside = near & ~area & (gap > VIEWS.frame_near)
    grey = values.mean(axis=2)
    tissue = float(np.median(grey[beside])) if beside.any() else 128.0
    ink = np.where(gap <= PIXELS.exact, 1.0, VIEWS.frame_dark) * tissue
    return _rounded(np.where(near & (gap <= VIEWS.frame_near), ink, grey))


def _grey(image: Image) -> npt.NDArray[np.float64]:
    """Return the grey in 0 to 255, (H, W)."""
    grey: npt.NDArray[np.float64] = (image.mean(axis=2) if image.ndim == 3
                                     else image.astype(np.float64))
    return grey


def _rounded(grey: npt.NDArray[np.floating]) -> Image:
    out: Image = np.round(grey).astype(np.uint8)
    return out


# ------------------------------------------------------------------ stored pixels as an image


def value_range(frames: npt.NDArray[Any]) -> tuple[float, float]:
    """Return the lowest and the highest value of a sample of the frames' pixels."""
    sample = frames.ravel()[::max(1, frames.size // 2_000_000)]
    return float(sample.min()), float(sample.max())


def to_uint8(stored: Stored, index: int, limits: tuple[float, float] | None = None) -> Image:
    """Return one frame as (H, W) or (H, W, 3) uint8.

    Windows and other display settings play no part, so that text which they hide is seen.
    """
    frame = stored.frames[index]
    if stored.photometric == "PALETTE COLOR" and len(stored.palette) == 3 and all(
            len(t) for t in stored.palette):
        tables = [_high_bytes(t) for t in stored.palette]
        return np.stack([t[np.clip(frame, 0, len(t) - 1)] for t in tables], axis=2)
    if frame.ndim == 3:
        scaled = _scaled(frame, (0.0, float(2 ** stored.bits_stored - 1)))
        return _rgb(scaled) if stored.photometric.startswith("YBR_FULL") else scaled
    if frame.dtype == np.uint8 and stored.bits_stored == 8:
        return np.ascontiguousarray(frame)
    return _scaled(frame, limits or value_range(stored.frames))


def _high_bytes(table: npt.NDArray[Any]) -> Image:
    return (table >> 8).astype(np.uint8) if table.dtype.itemsize == 2 else table.astype(np.uint8)


def _scaled(frame: npt.NDArray[Any], limits: tuple[float, float]) -> Image:
    if frame.dtype == np.uint8 and limits == (0.0, 255.0):
        return np.ascontiguousarray(frame)
    low, high = limits
    scale = 255.0 / max(1.0, high - low)
    scaled = np.clip((frame.astype(np.float64) - low) * scale, 0, 255).round()
    return scaled.astype(np.uint8)


def _rgb(ybr: Image) -> Image:
    """Convert YBR to RGB by PS3.3 C.7.6.3.1.2 (full range, ITU-R 601)."""
    y, cb, cr = (ybr[..., c].astype(np.float32) for c in range(3))
    cb, cr = cb - 128, cr - 128
    out: Image = np.clip(np.stack(
        [y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], axis=2),
        0, 255).round().astype(np.uint8)
    return out
