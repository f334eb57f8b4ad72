"""Look for text in the stored pixels of an object and take it out, whatever the header says."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy import ndimage

from bedside.deid.outcome import PixelOutcome, Stored
from bedside.deid.text import detect, ocr, to_uint8, views
from bedside.deid.text.inpaint import fill
from bedside.deid.text.masks import Mask
from bedside.readers.dicom_regions import Region, tissue_box

MAX_FRAMES = 600
TOO_MANY = "too many frames to look through"
STILL_THERE = "text that does not go"
TOO_MUCH = "text over too much of the image"
_SAME = 6
_STATIC = 0.5
_MOST = 0.05
_NEAR_PX = 20
_PREVIEW_PX = 1024

Grey = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class _Hit:
    """Text of one frame: ``picture`` as it was seen, ``mask`` (H, W) what goes."""

    picture: Grey
    mask: Mask


def clean(stored: Stored) -> PixelOutcome:
    """The search for text in pixels, as :mod:`bedside.deid.process_file` calls it.

    Every frame is looked at; what is found in one goes from all in which it stands unchanged.
    In an ultrasound image whose regions can be trusted, nothing outside them stays.

    Raises:
        MissingComponent: the OCR engine is not installed.
    """
    count = len(stored.frames)
    if count > MAX_FRAMES:
        return PixelOutcome("uncertain", TOO_MANY,
                            preview=preview(to_uint8.shown(stored, 0), []))
    outside = outside_regions(stored)
    frames = np.array(stored.frames)
    if outside is not None:
        for frame in frames:
            frame[outside] = blank(frame, outside)
    inner = replace(stored, frames=frames)
    hits, lines, doubt = _hits(inner)
    most = 0.0
    if hits:
        masks = (_mask_of(to_uint8.shown(inner, index), hits) for index in range(count))
        filled = []
        for frame, mask in zip(frames, masks, strict=True):
            most = max(most, float(mask.mean()))
            filled.append(fill(frame, mask))
        frames = np.stack(filled)
    frames, rest = _without_rest(inner, frames, hits, most)
    if hits and not (doubt or rest) and _readable(inner, frames, lines):
        rest = STILL_THERE
    more = _unseen(inner, frames)
    doubt = doubt or rest or (detect.UNSEEN if more else "")
    lines.extend(more)
    picture = preview(to_uint8.shown(stored, lines[0][0] if lines else 0), [b for _, b in lines])
    if doubt:
        return PixelOutcome("uncertain", doubt, frames, picture)
    if np.array_equal(frames, stored.frames):
        return PixelOutcome("clean")
    return PixelOutcome("cleaned", "", frames, picture)


def outside_regions(stored: Stored) -> Mask | None:
    """What lies outside every ultrasound region, (H, W); None where regions cannot be trusted."""
    rows, columns = stored.frames.shape[1:3]
    regions = [Region(*r) for r in stored.regions]
    if stored.modality != "US" or tissue_box(regions, rows, columns) is None:
        return None
    outside = np.ones((rows, columns), bool)
    for r in regions:
        outside[max(0, r.y0):r.y1 + 1, max(0, r.x0):r.x1 + 1] = False
    return outside


def blank(frame: npt.NDArray[Any], outside: Mask) -> Any:
    """The commonest value of what is blanked: the background, in whatever the values mean."""
    values = frame[outside]
    if values.ndim == 1:
        found, counts = np.unique(values, return_counts=True)
    else:
        found, counts = np.unique(values, axis=0, return_counts=True)
    return found[counts.argmax()]


def _hits(stored: Stored) -> tuple[list[_Hit], list[tuple[int, Any]], str]:
    doubt = ""
    hits: list[_Hit] = []
    lines: list[tuple[int, Any]] = []
    seen: set[bytes] = set()
    for index in range(len(stored.frames)):
        picture = to_uint8.shown(stored, index)
        digest = hashlib.sha256(picture.tobytes()).digest()
        if digest in seen:
            continue
        seen.add(digest)
        found = detect.find(picture, enlarge=index in (0, len(stored.frames) // 2))
        doubt = doubt or found.doubt
        mask = found.ink
        lines.extend((index, line.box) for line in found.lines)
        if mask.any() and not (mask & ~_mask_of(picture, hits)).sum() <= 0.02 * mask.sum():
            hits.append(_Hit(picture, mask))
    return hits, lines, doubt


def _mask_of(picture: Grey, hits: list[_Hit]) -> Mask:
    """What goes from a frame: its own text, and that of others where it stands there too."""
    mask = np.zeros(picture.shape[:2], bool)
    for hit in hits:
        if hit.picture is picture:
            mask |= hit.mask
            continue
        gap = np.abs(picture.astype(np.int16) - hit.picture)
        same = (gap if gap.ndim == 2 else gap.max(axis=2)) <= _SAME
        if same[hit.mask].mean() >= _STATIC:
            mask |= hit.mask
    return mask


def _without_rest(stored: Stored, frames: npt.NDArray[Any], hits: list[_Hit], most: float
                  ) -> tuple[npt.NDArray[Any], str]:
    """Look again where text was taken out, and take out what one line had hidden in another.

    Returns:
        the frames, and a doubt, empty where there is none.
    """
    if most > _MOST or not hits:
        return frames, TOO_MUCH if most > _MOST else ""
    limits = to_uint8.bounds(stored.frames)
    for index in sorted({0, len(frames) // 2, len(frames) - 1}):
        before = _mask_of(to_uint8.shown(stored, index), hits)
        left = _rest(stored, frames, index, limits, before)
        if not left.any():
            continue
        if len(frames) > 1:
            return frames, STILL_THERE
        frames = fill(frames[0], left)[None]
        if _rest(stored, frames, index, limits, before | left).any():
            return frames, STILL_THERE
        if (before | left).mean() > _MOST:
            return frames, TOO_MUCH
    return frames, ""


def _readable(before: Stored, frames: npt.NDArray[Any], lines: list[tuple[int, Any]]) -> bool:
    """Whether letters can be read, from near, where text was taken out of the frames."""
    after = replace(before, frames=frames)
    limits = to_uint8.bounds(before.frames)
    boxes = sorted({box for _, box in lines})
    return any(detect.readable(to_uint8.shown(after, index, limits), boxes)
               for index in sorted({0, len(frames) // 2, len(frames) - 1}))


def _rest(stored: Stored, frames: npt.NDArray[Any], index: int, limits: tuple[float, float],
          gone: Mask) -> Mask:
    """Ink of text that stands, after the search, where text was taken out."""
    after = Stored(frames, stored.photometric, stored.bits_stored, palette=stored.palette)
    picture = to_uint8.shown(after, index, limits)
    probable = ocr.probability(picture)
    around = ndimage.binary_dilation(gone, iterations=3)
    if not views.lines_in(probable, around):
        return np.zeros(gone.shape, bool)
    near = ndimage.binary_dilation(around, iterations=_NEAR_PX)
    found = detect.find_in(picture, np.where(near, probable, 0).astype(np.float32)).ink
    # Where nothing can be told to be ink, what the detector is sure of is.
    return found if found.any() else around & (probable > 0.3)


def _unseen(before: Stored, frames: npt.NDArray[Any]) -> list[tuple[int, Any]]:
    """What is as sharp as letters in the frames that are left, by frame; look-alikes once."""
    after = replace(before, frames=frames)
    limits = to_uint8.bounds(before.frames)
    seen: set[bytes] = set()
    found: list[tuple[int, Any]] = []
    for index, (old, new) in enumerate(zip(before.frames, frames, strict=True)):
        picture = to_uint8.shown(after, index, limits)
        digest = hashlib.sha256(picture.tobytes()).digest()
        if digest in seen:
            continue
        seen.add(digest)
        gone = old != new
        boxes = detect.unseen(picture, gone if gone.ndim == 2 else gone.any(axis=2))
        found.extend((index, box) for box in boxes)
    return found


def preview(picture: Grey, boxes: list[Any]) -> bytes:
    """A PNG for the person who decides, with a frame around what was found."""
    image = Image.fromarray(picture).convert("RGB")
    draw = ImageDraw.Draw(image)
    for y0, x0, y1, x1 in boxes:
        draw.rectangle((x0 - 2, y0 - 2, x1 + 1, y1 + 1), outline=(255, 210, 0), width=2)
    image.thumbnail((_PREVIEW_PX, _PREVIEW_PX))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
