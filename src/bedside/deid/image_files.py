"""De-identify PNG, JPEG, BMP and TIFF files: write the pixels alone to a new PNG."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from bedside.core.errors import BadInput
from bedside.deid.outcome import (
    NOT_CHECKED,
    UNREADABLE,
    CleanPixels,
    Outcome,
    PixelOutcome,
    Quarantine,
    Stored,
)
from bedside.runtime.preprocess import decode

HOLDS_TEXT = "text in the image (--deid-pixels removes it)"
_STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def looks_like(head: bytes) -> bool:
    """Return whether a file begins like an image."""
    return head.startswith(_STARTS)


def pixels(data: bytes) -> npt.NDArray[Any]:
    """Return the image turned as EXIF says, (H, W) or (H, W, 3), uint8 or uint16.

    Transparency is dropped, so that what lies under it is searched like everything else.

    Raises:
        Quarantine: not a readable image, several frames, or more than 40 megapixels.
    """
    try:
        colour = decode(data, 3, "image")
    except BadInput as error:
        # The decoder's faults are fixed sentences about formats and sizes.
        raise Quarantine(error.fault or UNREADABLE, "picture") from None
    grey = colour[..., :1]
    if np.array_equal(colour, np.broadcast_to(grey, colour.shape)):
        return np.ascontiguousarray(grey[..., 0])
    return colour


def two_valued(image: npt.NDArray[Any]) -> bool:
    """Return whether a grey image (H, W) holds at most two values, as a mask does."""
    return image.ndim == 2 and bool(((image == image.min()) | (image == image.max())).all())


def png(image: npt.NDArray[Any]) -> bytes:
    """Return a PNG of pixels alone: no text, time, profile or other chunk."""
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(out, "PNG")
    return out.getvalue()


def deidentify(data: bytes, clean_pixels: CleanPixels | None, accept_unchecked: bool,
               take_text: bool = True, mask: bool = False) -> Outcome:
    """Clean one image: drop EXIF, XMP, text chunks, profiles, comments, thumbnails and whatever
    follows the image. Text in the pixels is removed, or, unless ``take_text``, the cleaned image
    is a proposal that a person reviews. A two-valued ``mask`` is an annotation: its small regions
    are lesions, not letters, and it is not searched.

    Raises:
        Quarantine: see :func:`pixels`.
    """
    image = pixels(data)
    if mask and two_valued(image):
        return Outcome("picture", "ok", "", png(image), ".png")
    outcome = PixelOutcome("uncertain", NOT_CHECKED)
    if clean_pixels is not None:
        view = image[None]
        view.flags.writeable = False
        outcome = clean_pixels(Stored(view, "RGB" if image.ndim == 3 else "MONOCHROME2",
                                      image.dtype.itemsize * 8))
    if outcome.frames is not None:
        if outcome.frames.shape != (1, *image.shape) or outcome.frames.dtype != image.dtype:
            raise ValueError("the cleaned frames have another shape or type")
        image = outcome.frames[0]
    if outcome.status == "cleaned" and not take_text:
        outcome = PixelOutcome("uncertain", HOLDS_TEXT, outcome.frames, outcome.preview)
    passed = outcome.status != "uncertain" or (accept_unchecked and outcome.reason == NOT_CHECKED)
    return Outcome("picture", "ok" if passed else "quarantined",
                   "" if passed else outcome.reason, png(image), ".png", preview=outcome.preview)
