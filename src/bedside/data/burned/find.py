"""Find text in a picture: by OCR on the whole image, by colour, by flat strokes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from bedside.data.burned import ink, ocr
from bedside.data.burned.ink import Floats, Mask

_SQUARE = ndimage.generate_binary_structure(2, 2)
_SEED = 0.15
_LEVELS = (0.6, 0.3)
_TALLEST_PX, _FULL = 60, 0.6
# A line is text where the detector is sure, or half sure and the reader as well.
_SURE, _HALF, _READABLE, _FLAT = 0.75, 0.5, 0.85, 0.1
_RIM_SHARE, _WIDEST_RIM = 0.007, 3
UNREADABLE = "what may be text that cannot be read"

Box = tuple[int, int, int, int]
_SMALL_PX = 1400


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text. The box is (y0, x0, y1, x1), lower ends exclusive; ``sure`` in [0, 1]
    is the detector's, ``flat`` how much the ink's colour stands out, ``read`` the reader's, 0 where
    it makes nothing of it."""

    box: tuple[int, int, int, int]
    sure: float
    flat: float
    read: float = 0.0


@dataclass(frozen=True, slots=True)
class Found:
    """``ink`` (H, W): pixels to remove; ``doubt``: a sentence, empty where there is none."""

    lines: tuple[Line, ...]
    ink: Mask
    doubt: str = ""


def likelihood(picture: npt.NDArray[np.uint8], enlarge: bool = True) -> Floats:
    """Text at its own size and, for small print, enlarged, (H, W) in [0, 1]."""
    found = ocr.probability(picture)
    if enlarge and max(picture.shape[:2]) < _SMALL_PX:
        found = np.maximum(found, ocr.probability(picture, 1.6))
    return found


def lines_in(probable: Floats) -> bool:
    """Whether a map of probabilities holds a line."""
    return bool(boxes_of(probable))


def boxes_of(probable: Floats) -> list[tuple[Box, float]]:
    """Boxes around what may be lines, grown to the height of the letters, and how likely each is.

    Texture that the detector half believes in comes in tall, ragged patches: a line is a full,
    flat bar.
    """
    found: list[tuple[Box, float]] = []
    taken = np.zeros(probable.shape, bool)
    for level in _LEVELS:
        joined = ndimage.binary_dilation((probable > level) & ~taken, np.ones((1, 7)))
        labels, count = ndimage.label(joined)
        if not count:
            continue
        mean = ndimage.mean(probable, labels, np.arange(1, count + 1))
        for number, (rows, columns) in enumerate(ndimage.find_objects(labels)):
            height, width = rows.stop - rows.start, columns.stop - columns.start
            full = (labels[rows, columns] == number + 1).mean()
            if height > _TALLEST_PX or height < 3 or width < 1.2 * height or full < _FULL:
                continue
            # The detector marks the middle of a line only.
            up, side = max(6, round(0.75 * height)), max(10, round(1.4 * height))
            box = (max(0, rows.start - up), max(0, columns.start - side),
                   min(probable.shape[0], rows.stop + up),
                   min(probable.shape[1], columns.stop + side))
            found.append((box, float(mean[number])))
            taken[box[0]:box[2], box[1]:box[3]] = True
    return found


def find(picture: npt.NDArray[np.uint8], enlarge: bool = True) -> Found:
    """Text in a picture.

    Args:
        picture: (H, W) or (H, W, 3) uint8.
        enlarge: look a second time for small print.

    Raises:
        MissingComponent: the OCR engine is not installed.
    """
    return find_in(picture, likelihood(picture, enlarge))


def find_in(picture: npt.NDArray[np.uint8], probable: Floats) -> Found:
    """:func:`find` once the detector has spoken."""
    values = np.asarray(picture, np.float32)
    if values.ndim == 2:
        values = values[..., None]
    core = np.zeros(values.shape[:2], bool)
    lines = []
    doubt = ""
    coloured = ink.stray_colour(values)
    boxes = boxes_of(probable)
    read = ocr.read([picture[b[0]:b[2], b[1]:b[3]] for b, _ in boxes])
    for (box, sure), (text, score) in zip(boxes, read, strict=True):
        place = np.s_[box[0]:box[2], box[1]:box[3]]
        near = ndimage.binary_dilation(probable[place] > _SEED, _SQUARE, iterations=4)
        found, flat = ink.line_mask(values[place], near, coloured[place])
        readable = score if any(c.isalnum() for c in text) else 0.0
        if sure < _SURE and not (sure >= _HALF and readable >= _READABLE):
            if sure >= _HALF and (flat >= _FLAT or readable >= _HALF):
                doubt = UNREADABLE
            else:
                continue
        lines.append(Line(box, sure, flat, readable))
        core[place] |= found
    return Found(tuple(lines), _with_rim(core, values, [line.box for line in lines]), doubt)


def _with_rim(core: Mask, values: Floats, boxes: list[Box]) -> Mask:
    """Ink and a rim, as wide as the tissue around allows: at most 0.7% of it."""
    tissue = _textured(values)
    allowed = _RIM_SHARE * max(1, int((tissue & ~core).sum()))
    inside = np.zeros(core.shape, bool)
    for y0, x0, y1, x1 in boxes:
        inside[max(0, y0 - 2):y1 + 2, max(0, x0 - 2):x1 + 2] = True
    mask: Mask = ndimage.binary_dilation(core, _SQUARE)
    for _ in range(_WIDEST_RIM - 1):
        wider = ndimage.binary_dilation(mask, _SQUARE) & inside
        if (wider & tissue & ~core).sum() > allowed:
            break
        mask |= wider
    return mask


def _textured(values: Floats) -> Mask:
    """Where the picture is not its background."""
    grey = values.mean(axis=2)
    level = np.bincount(np.clip(np.round(grey), 0, 255).astype(int).ravel()).argmax()
    flat = (np.abs(grey - level) <= 2).astype(np.float32)
    textured: Mask = ndimage.uniform_filter(flat, 9, mode="nearest") < 0.9
    return textured


def holds_text(picture: npt.NDArray[np.uint8]) -> bool:
    """Whether a picture holds text. Raises MissingComponent without the OCR engine."""
    return bool(find(picture).lines)

