"""PNG, JPEG, BMP and TIFF files: nothing but the pixels goes on, in a new PNG."""

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

HOLDS_TEXT = "text in the picture (--deid-pixels takes it out)"
_STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def looks_like(head: bytes) -> bool:
    """Whether a file begins like a picture."""
    return head.startswith(_STARTS)


def pixels(data: bytes) -> npt.NDArray[Any]:
    """The picture as it is seen: (H, W) or (H, W, 3), uint8 or uint16, turned as EXIF says.

    Transparency is dropped, so that what lies under it is looked at like everything else.

    Raises:
        Quarantine: not a readable picture, several frames, or more than 40 megapixels.
    """
    try:
        colour = decode(data, 3, "picture")
    except BadInput as error:
        # The decoder's faults are fixed sentences about formats and sizes.
        raise Quarantine(error.fault or UNREADABLE, "picture") from None
    grey = colour[..., :1]
    if np.array_equal(colour, np.broadcast_to(grey, colour.shape)):
        return np.ascontiguousarray(grey[..., 0])
    return colour


def png(picture: npt.NDArray[Any]) -> bytes:
    """A PNG of pixels alone: no text, time, profile or other chunk."""
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(out, "PNG")
    return out.getvalue()


def deidentify(data: bytes, clean_pixels: CleanPixels | None, accept_unchecked: bool,
               take_text: bool = True) -> Outcome:
    """Clean one picture: EXIF, XMP, text chunks, profiles, comments, thumbnails and whatever
    follows the image are left behind. Text in the picture is taken out, or, unless
    ``take_text``, the cleaned picture is a proposal that waits for a person.

    Raises:
        Quarantine: see :func:`pixels`.
    """
    picture = pixels(data)
    found = PixelOutcome("uncertain", NOT_CHECKED)
    if clean_pixels is not None:
        view = picture[None]
        view.flags.writeable = False
        found = clean_pixels(Stored(view, "RGB" if picture.ndim == 3 else "MONOCHROME2",
                                    picture.dtype.itemsize * 8))
    if found.frames is not None:
        if found.frames.shape != (1, *picture.shape) or found.frames.dtype != picture.dtype:
            raise ValueError("the cleaned frames have another shape or type")
        picture = found.frames[0]
    if found.status == "cleaned" and not take_text:
        found = PixelOutcome("uncertain", HOLDS_TEXT, found.frames, found.preview)
    passed = found.status != "uncertain" or (accept_unchecked and found.reason == NOT_CHECKED)
    return Outcome("picture", "ok" if passed else "quarantined",
                   "" if passed else found.reason, png(picture), ".png", preview=found.preview)
