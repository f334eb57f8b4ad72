"""Remove burned-in text from the stored pixels of an object, whatever its header says."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageDraw
from scipy import ndimage

from bedside.core.types import Box
from bedside.deid.outcome import PixelOutcome, Stored
from bedside.deid.text import detect, ocr
from bedside.deid.text.background import Image, Mask, inpaint
from bedside.deid.text.lines import has_line
from bedside.deid.text.parameters import REMOVE
from bedside.deid.text.views import to_uint8, value_range
from bedside.readers.dicom_regions import Region, tissue_box

MAX_FRAMES = 600
TOO_MANY = "too many frames to search"
STILL_THERE = "text that could not be removed"
TOO_MUCH = "text over too much of the image"

Frames = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class _FrameText:
    """Text of one frame: ``image`` as the detector saw it, ``mask`` (H, W) what goes."""

    image: Image
    mask: Mask


def clean(stored: Stored) -> PixelOutcome:
    """Remove text from the pixels of one object; :mod:`bedside.deid.process_file` calls this.

    Every frame is searched; the text of one is removed from all in which it stands unchanged. In
    an ultrasound image whose regions can be trusted, everything outside them becomes background.

    Raises:
        MissingComponent: the OCR engine is not installed.
    """
    count = len(stored.frames)
    if count > MAX_FRAMES:
        return PixelOutcome("uncertain", TOO_MANY, preview=preview(to_uint8(stored, 0), []))
    outside = outside_regions(stored)
    frames = np.array(stored.frames)
    if outside is not None:
        for frame in frames:
            frame[outside] = _commonest(frame[outside])
    inner = replace(stored, frames=frames)
    texts, lines, doubt = _search(inner)
    most = 0.0
    if texts:
        masks = (_mask_of(to_uint8(inner, index), texts) for index in range(count))
        filled = []
        for frame, mask in zip(frames, masks, strict=True):
            most = max(most, float(mask.mean()))
            filled.append(inpaint(frame, mask))
        frames = np.stack(filled)
    frames, left = _without_remains(inner, frames, texts, most)
    if texts and not (doubt or left) and _is_legible(inner, frames, lines):
        left = STILL_THERE
    more = _undetected(inner, frames)
    doubt = doubt or left or (detect.UNDETECTED if more else "")
    lines.extend(more)
    shown = preview(to_uint8(stored, lines[0][0] if lines else 0), [b for _, b in lines])
    if doubt:
        return PixelOutcome("uncertain", doubt, frames, shown)
    if np.array_equal(frames, stored.frames):
        return PixelOutcome("clean")
    return PixelOutcome("cleaned", "", frames, shown)


def outside_regions(stored: Stored) -> Mask | None:
    """Return what lies outside every ultrasound region, (H, W); None where the regions cannot be
    trusted."""
    rows, columns = stored.frames.shape[1:3]
    regions = [Region(*r) for r in stored.regions]
    if stored.modality != "US" or tissue_box(regions, rows, columns) is None:
        return None
    outside = np.ones((rows, columns), bool)
    for r in regions:
        outside[max(0, r.y0):r.y1 + 1, max(0, r.x0):r.x1 + 1] = False
    return outside


def _commonest(values: npt.NDArray[Any]) -> Any:
    """Return the most frequent value: the background, in whatever the values mean."""
    different, counts = np.unique(values, axis=0 if values.ndim > 1 else None, return_counts=True)
    return different[counts.argmax()]


def _search(stored: Stored) -> tuple[list[_FrameText], list[tuple[int, Box]], str]:
    """Return the text of each frame, the lines' boxes by frame, and a doubt, empty for none."""
    doubt = ""
    texts: list[_FrameText] = []
    lines: list[tuple[int, Box]] = []
    for index, image in _different(stored):
        text = detect.find_text(image, enlarge=index in (0, len(stored.frames) // 2))
        doubt = doubt or text.doubt
        lines.extend((index, line.box) for line in text.lines)
        if text.mask.any():
            unknown = (text.mask & ~_mask_of(image, texts)).sum()
            if unknown > REMOVE.known * text.mask.sum():
                texts.append(_FrameText(image, text.mask))
    return texts, lines, doubt


def _different(stored: Stored, limits: tuple[float, float] | None = None
               ) -> Iterator[tuple[int, Image]]:
    """Yield each frame's index and image, of frames that look the same the first alone."""
    seen: set[bytes] = set()
    for index in range(len(stored.frames)):
        image = to_uint8(stored, index, limits)
        digest = hashlib.sha256(image.tobytes()).digest()
        if digest not in seen:
            seen.add(digest)
            yield index, image


def _mask_of(image: Image, texts: list[_FrameText]) -> Mask:
    """Return what goes from a frame: its own text, and that of others where it stands there
    too."""
    mask = np.zeros(image.shape[:2], bool)
    for text in texts:
        if text.image is image:
            mask |= text.mask
            continue
        gap = np.abs(image.astype(np.int16) - text.image)
        same = (gap if gap.ndim == 2 else gap.max(axis=2)) <= REMOVE.same
        if same[text.mask].mean() >= REMOVE.static:
            mask |= text.mask
    return mask


def _checked_frames(count: int) -> list[int]:
    return sorted({0, count // 2, count - 1})


def _without_remains(stored: Stored, frames: Frames, texts: list[_FrameText], most: float
                     ) -> tuple[Frames, str]:
    """Search again where text was removed, and remove what one line had hidden in another.

    Returns:
        the frames, and a doubt, empty where there is none.
    """
    if most > REMOVE.most or not texts:
        return frames, TOO_MUCH if most > REMOVE.most else ""
    for index in _checked_frames(len(frames)):
        before = _mask_of(to_uint8(stored, index), texts)
        left = _remains(stored, frames, index, before)
        if not left.any():
            continue
        if len(frames) > 1:
            return frames, STILL_THERE
        frames = inpaint(frames[0], left)[None]
        if _remains(stored, frames, index, before | left).any():
            return frames, STILL_THERE
        if (before | left).mean() > REMOVE.most:
            return frames, TOO_MUCH
    return frames, ""


def _is_legible(before: Stored, frames: Frames, lines: list[tuple[int, Box]]) -> bool:
    """Return whether letters can be read in close-ups of the removed lines."""
    after = replace(before, frames=frames)
    limits = value_range(before.frames)
    boxes = sorted({box for _, box in lines})
    return any(detect.is_legible(to_uint8(after, index, limits), boxes)
               for index in _checked_frames(len(frames)))


def _remains(before: Stored, frames: Frames, index: int, masked: Mask) -> Mask:
    """Return ink of text that still stands where text was removed."""
    image = to_uint8(replace(before, frames=frames), index, value_range(before.frames))
    probability = ocr.probability(image)
    around = ndimage.binary_dilation(masked, iterations=REMOVE.around_px)
    if not has_line(probability, around):
        return np.zeros(masked.shape, bool)
    near = ndimage.binary_dilation(around, iterations=REMOVE.near_px)
    ink = detect.find_lines(image, np.where(near, probability, 0).astype(np.float32)).mask
    # Where nothing can be told to be ink, what the detector is sure of is.
    return ink if ink.any() else around & (probability > REMOVE.certain)


def _undetected(before: Stored, frames: Frames) -> list[tuple[int, Box]]:
    """Return the boxes of what is as sharp as letters in the cleaned frames, by frame."""
    out: list[tuple[int, Box]] = []
    for index, image in _different(replace(before, frames=frames), value_range(before.frames)):
        masked = before.frames[index] != frames[index]
        boxes = detect.undetected_letters(image, masked if masked.ndim == 2 else masked.any(axis=2))
        out.extend((index, box) for box in boxes)
    return out


def preview(image: Image, boxes: list[Box]) -> bytes:
    """Return a PNG for the person who decides, with a frame around each line."""
    shown = Pillow.fromarray(image).convert("RGB")
    draw = ImageDraw.Draw(shown)
    for y0, x0, y1, x1 in boxes:
        draw.rectangle((x0 - 2, y0 - 2, x1 + 1, y1 + 1), outline=(255, 210, 0), width=2)
    shown.thumbnail((REMOVE.preview_px, REMOVE.preview_px))
    out = io.BytesIO()
    shown.save(out, "PNG")
    return out.getvalue()
