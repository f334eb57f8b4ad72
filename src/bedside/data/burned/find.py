"""Find text in a picture: by OCR on the whole image, by colour, by rows of flat strokes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from bedside.data.burned import ocr, sharp, strokes
from bedside.data.burned.ink import Floats, Mask
from bedside.data.burned.inked import FLAT, Box, Inked, whole_line, with_rim

_LEVELS = (0.6, 0.3)
_TALLEST_PX, _FULL = 60, 0.6
# A line is text where the detector is sure and there is ink of one colour or something to read,
# or where it is half sure and the reader is, or where letter-like marks stand in a row.
_SURE, _HALF, _READABLE, _LEGIBLE, _VERY_SURE = 0.75, 0.5, 0.85, 0.6, 0.88
# Or where there is as much that is sharp as letters alone are, see sharp.py.
_DRAWN_SURE, _DRAWN = 0.45, 40
# More of the tissue than this never goes without a person.
_MOST_SHARE = 0.0075
TOO_MUCH = "text that cannot be told from the tissue around it"
UNREADABLE = "what may be text that cannot be read"
CUT = "a line of text that may go on where it cannot be seen"
FAINT = "what may be faint text"
UNSEEN = "a row of letter-like marks that the reader did not see"

_SMALL_PX, _ENLARGED = 1400, 1.6
# In a picture of even contrast a line is as likely as this; the mean is taken over so many pixels,
# and noise of fewer levels is not brought out.
_FAINT_SURE, _AROUND_PX, _QUIET, _LETTER_PX = 0.7, 24, 4.0, 4
# Of tissue more than this, of the pixels in so wide a window, differs from a neighbour.
_ROUGH, _ROUGH_PX = 0.5, 15


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
        found = np.maximum(found, ocr.probability(picture, _ENLARGED))
    return found


def lines_in(probable: Floats, place: Mask) -> bool:
    """Whether a map of probabilities holds what is surely a line, a part of it in ``place``."""
    return any(sure >= _SURE and (place[b[0]:b[2], b[1]:b[3]]
                                  & (probable[b[0]:b[2], b[1]:b[3]] > _LEVELS[0])).any()
               for b, sure in boxes_of(probable))


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
            box = _grown((rows.start, columns.start, rows.stop, columns.stop), probable.shape)
            found.append((box, float(mean[number])))
            taken[box[0]:box[2], box[1]:box[3]] = True
    return found


def unseen(picture: npt.NDArray[np.uint8], gone: Mask) -> list[Box]:
    """Boxes of what is as sharp as letters and was not taken out, whatever the reader says.

    Args:
        picture: (H, W) or (H, W, 3) uint8, after the removal.
        gone: (H, W), what was taken out.
    """
    values = np.asarray(picture, np.float32)
    return sharp.sharp(values[..., None] if values.ndim == 2 else values, gone)


def _inside(inner: Box, outer: Box) -> bool:
    return (inner[0] >= outer[0] and inner[1] >= outer[1] and inner[2] <= outer[2]
            and inner[3] <= outer[3])


def _grown(box: Box, shape: tuple[int, ...]) -> Box:
    height = box[2] - box[0]
    up, side = max(6, height), max(14, 3 * height)
    return (max(0, box[0] - up), max(0, box[1] - side), min(shape[0], box[2] + up),
            min(shape[1], box[3] + side))


def find(picture: npt.NDArray[np.uint8], enlarge: bool = True) -> Found:
    """Text in a picture.

    Args:
        picture: (H, W) or (H, W, 3) uint8.
        enlarge: look a second time for small print.

    Raises:
        MissingComponent: the OCR engine is not installed.
    """
    probable = likelihood(picture, enlarge)
    found = find_in(picture, probable)
    missed = _missed(probable, found.ink, _SURE, begun=True)
    if enlarge:
        missed += _missed(_at_even_contrast(picture), found.ink, _FAINT_SURE)
    return Found((*found.lines, *missed), found.ink, found.doubt or (FAINT if missed else ""))


def _missed(probable: Floats, mask: Mask, least: float, begun: bool = False) -> list[Line]:
    """Lines of which more than a letter is not taken out: a person says what it is.

    Args:
        probable: (H, W) in [0, 1].
        mask: (H, W), what is taken out.
        least: how sure the detector is.
        begun: only lines of which something is taken out.
    """
    missed = []
    for box, sure in boxes_of(probable):
        place = np.s_[box[0]:box[2], box[1]:box[3]]
        if sure < least or (begun and not mask[place].any()):
            continue
        core = probable[place] > _LEVELS[1]
        tall = int(core.any(axis=1).sum())
        beside = ndimage.maximum_filter1d(mask[place].any(axis=0), 2 * tall + 1, mode="constant")
        gaps, _ = ndimage.label(core.any(axis=0) & ~beside)
        if np.bincount(gaps)[1:].max(initial=0) >= max(_LETTER_PX, tall // 2):
            missed.append(Line(box, sure, 0.0))
    return missed


def _at_even_contrast(picture: npt.NDArray[np.uint8]) -> Floats:
    """:func:`likelihood` of faint text, (H, W). On what is flat nothing is faint, and even
    contrast makes letters of outlines: there it is 0."""
    grey = picture.mean(axis=2) if picture.ndim == 3 else picture
    rough = ndimage.uniform_filter(sharp.uneven(grey).astype(np.float32), _ROUGH_PX) >= _ROUGH
    return np.where(rough, ocr.probability(even(picture), _ENLARGED), np.float32(0))


def even(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """A picture with the same mean and spread around every pixel, (H, W) uint8."""
    grey = np.asarray(picture, np.float32)
    grey = grey.max(axis=2) if grey.ndim == 3 else grey
    gap = grey - ndimage.gaussian_filter(grey, _AROUND_PX, truncate=3.0)
    spread = np.sqrt(ndimage.gaussian_filter(gap * gap, _AROUND_PX, truncate=3.0)) + _QUIET
    out: npt.NDArray[np.uint8] = np.clip(128 + 45 * gap / spread, 0, 255).astype(np.uint8)
    return out


def find_in(picture: npt.NDArray[np.uint8], probable: Floats) -> Found:
    """:func:`find` once the detector has spoken."""
    values = np.asarray(picture, np.float32)
    if values.ndim == 2:
        values = values[..., None]
    ink_of = Inked(values)
    lines: list[Line] = []
    doubt = ""
    boxes = boxes_of(probable)
    marks = sharp.marks(values)
    rows = strokes.rows(values)
    read = ocr.read([picture[b[0]:b[2], b[1]:b[3]] for b, _ in boxes])
    for (box, sure), (text, score) in zip(boxes, read, strict=True):
        inside = [row for row in rows if _inside(row.box, box)]
        best = max(inside, key=lambda row: int(row.mask.sum()), default=None)
        found = whole_line(ink_of, probable, box, best)
        signs = sum(c.isalnum() for c in text)
        readable = score if signs >= 2 else 0.0
        drawn = sharp.most(marks[box[0]:box[2], box[1]:box[3]]) >= _DRAWN
        seen = bool(inside) or (drawn and sure >= _DRAWN_SURE) or (
            sure >= _SURE and (found.flat >= FLAT or readable >= _HALF))
        if not seen and not (sure >= _HALF and readable >= _READABLE):
            if any(_inside(box, line.box) for line in lines):
                continue
            if sure < _VERY_SURE and not (sure >= _HALF and readable >= _LEGIBLE) and not (
                    sure >= _LEVELS[1] and signs >= 3 and score >= _LEGIBLE):
                continue
            doubt = UNREADABLE
        lines.append(Line(found.box, sure, found.flat, readable))
        ink_of.add(found)
    seen_boxes = [line.box for line in lines]
    for row in rows:
        if ink_of.covers(row):
            continue
        if not any(_inside(row.box, box) for box in seen_boxes):
            # The reader saw nothing here: what it is, a person says.
            doubt = doubt or UNSEEN
        box = _grown(row.box, values.shape[:2])
        near = np.zeros(values.shape[:2], bool)
        near[row.box[0]:row.box[2], row.box[1]:row.box[3]] = True
        found = ink_of.line(box, near[box[0]:box[2], box[1]:box[3]], row)
        lines.append(Line(row.box, 0.0, found.flat))
        ink_of.add(found)
    ink_of.go_on()
    tissue = _textured(values)
    rest = tissue & ~ink_of.pure
    places = [line.box for line in lines]
    mask = with_rim(ink_of.core, ink_of.strong, rest, places)
    if _share_of(mask, rest) > _MOST_SHARE:
        # Bold letters are known to a pixel without a rim around what is mixed with them.
        mask = with_rim(ink_of.core, ink_of.bold, rest, places)
    if _share_of(mask, rest) > _MOST_SHARE:
        doubt = doubt or TOO_MUCH
    if ink_of.cut():
        doubt = doubt or CUT
    return Found(tuple(lines), mask, doubt)


def _share_of(mask: Mask, rest: Mask) -> float:
    """How much of what may be tissue goes."""
    return float((mask & rest).sum() / max(1, int(rest.sum())))


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

