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
# A line is text where the detector is sure and there is ink of one colour or something to read,
# or where it is half sure and the reader is.
_SURE, _HALF, _READABLE, _FLAT, _VERY_SURE = 0.75, 0.5, 0.85, 0.015, 0.88
_RIM_SHARE, _WIDEST_RIM, _MOST_SHARE = 0.006, 3, 0.008
TOO_MUCH = "text that cannot be told from the tissue around it"
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
    """Whether a map of probabilities holds what is surely a line."""
    return any(sure >= _SURE for _, sure in boxes_of(probable))


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
            up, side = max(6, height), max(14, 3 * height)
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
    core, pure, exact = np.zeros((3, *values.shape[:2]), bool)
    lines = []
    doubt = ""
    coloured = ink.stray_colour(values)
    boxes = boxes_of(probable)
    read = ocr.read([picture[b[0]:b[2], b[1]:b[3]] for b, _ in boxes])
    for (box, sure), (text, score) in zip(boxes, read, strict=True):
        place = np.s_[box[0]:box[2], box[1]:box[3]]
        near = ndimage.binary_dilation(probable[place] > _SEED, _SQUARE, iterations=4)
        found, sure_ink, flat = ink.line_mask(values[place], near, coloured[place])
        readable = score if sum(c.isalnum() for c in text) >= 2 else 0.0
        seen = sure >= _SURE and (flat >= _FLAT or readable >= _HALF)
        if not seen and not (sure >= _HALF and readable >= _READABLE):
            if sure < _VERY_SURE and not (sure >= _HALF and readable >= _HALF):
                continue
            doubt = UNREADABLE
        lines.append(Line(box, sure, flat, readable))
        core[place] |= found
        if flat == ink.CERTAIN:
            exact[place] |= found
            pure[place] |= found
        else:
            pure[place] |= ndimage.binary_dilation(sure_ink, _SQUARE)
    tissue = _textured(values)
    mask = _with_rim(core, exact, tissue & ~pure, [line.box for line in lines])
    rest = tissue & ~pure
    if (mask & rest).sum() > _MOST_SHARE * max(1, int(rest.sum())):
        doubt = doubt or TOO_MUCH
    return Found(tuple(lines), mask, doubt)


def _with_rim(core: Mask, exact: Mask, rest: Mask, boxes: list[Box]) -> Mask:
    """Ink and a rim, as wide as the tissue around allows: at most 0.7% of it."""
    allowed = _RIM_SHARE * max(1, int(rest.sum()))
    inside = np.zeros(core.shape, bool)
    for y0, x0, y1, x1 in boxes:
        inside[max(0, y0 - 2):y1 + 2, max(0, x0 - 2):x1 + 2] = True
    # Where ink is told from tissue for certain no rim is needed.
    mask: Mask = core | ndimage.binary_dilation(core & ~exact, _SQUARE)
    for _ in range(_WIDEST_RIM):
        wider = ndimage.binary_dilation(mask, _SQUARE) & inside
        if (wider & rest).sum() > allowed:
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

