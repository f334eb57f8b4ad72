"""The looks that the detector takes at a picture, and the lines it believes in.

Letters are seen at the size and contrast the detector learned them at: small print is enlarged,
faint print is made to stand out first, see contrast.py. Texture of a like grain swallows letters
at one size and not at another, so every look is also asked on its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from bedside.core.types import Box
from bedside.deid.text import contrast, ocr
from bedside.deid.text.masks import Floats, Mask

LEVELS = (0.6, 0.3)
# The detector is sure of a line.
SURE = 0.75
_TALLEST_PX, _FULL = 60, 0.6
_SMALL_PX, _ENLARGED, _NEARER, _MORE = 1400, 1.6, 2.2, 2.6
_SLIGHTLY = 1.3
# A line is looked at from near at these scales, so many heights above, beside and below it, the
# height being from and up to so many pixels.
_NEAR, _ABOVE, _BESIDE, _HEIGHT_PX = (1.5, 3.0), 1, 8, (8, 14)
# A line that is steeper than so many degrees, so many pixels long and times as long as wide, as
# sure as this, and of which less than this share was taken out.
_ASLANT_DEG, _LONG_PX, _NARROW, _SURELY, _TAKEN = 20.0, 20, 2.8, 0.8, 0.1
# Of a gap in what is taken out, so many columns are more than the space between two letters.
_LETTER_PX = 4
# From near, and in a picture made over, the detector marks more than the letters, at the ends of a
# line.
LETTER, WIDE = 0.5, 1.2


@dataclass(frozen=True, slots=True)
class Look:
    """``probable`` (H, W) in [0, 1], of text; ``picture`` uint8 as it was looked at, for the
    reader; ``joined``: the look is also asked together with others, where each sees a part;
    ``letter``: see :func:`missed`; ``drawn``: ink stands out in ``picture`` as it is, where it
    does not in the stored one."""

    probable: Floats
    picture: npt.NDArray[np.uint8]
    joined: bool = False
    letter: float = LETTER
    drawn: bool = False


def looks(picture: npt.NDArray[np.uint8], enlarge: bool = True) -> tuple[Look, ...]:
    """A picture at its own size, enlarged, for small print, and made over, for faint print.

    Args:
        picture: (H, W) or (H, W, 3) uint8.
        enlarge: more than the first look.
    """
    first = Look(ocr.probability(picture), picture, joined=True)
    if not enlarge:
        return (first,)
    small = _small(picture)
    local, same, dark = contrast.equalised(picture), contrast.normalised(picture), 255 - picture
    found = [first, Look(ocr.probability(picture, _SLIGHTLY), picture)]
    if small:
        found.append(Look(ocr.probability(picture, _ENLARGED), picture, joined=True))
    found += [Look(ocr.probability(local, _MORE if small else _ENLARGED), local, letter=WIDE),
              Look(ocr.probability(same, _NEARER if small else _ENLARGED), same, letter=WIDE),
              Look(ocr.probability(dark, _ENLARGED if small else _SLIGHTLY), dark)]
    level = contrast.without_frame(picture)
    if level is not None:
        found.append(Look(ocr.probability(level, _SLIGHTLY), level, letter=WIDE, drawn=True))
    return tuple(found)


def closer(picture: npt.NDArray[np.uint8], boxes: list[Box]) -> tuple[Look, ...]:
    """Lines seen from near with what is beside them: a part of a picture shows letters that
    the texture of the whole of it swallows.

    Args:
        picture: (H, W) or (H, W, 3) uint8.
        boxes: those of the lines.
    """
    found = []
    for scale in _NEAR if boxes else ():
        probable = np.zeros(picture.shape[:2], np.float32)
        for y0, x0, y1, x1 in boxes:
            tall = min(max((y1 - y0) // 2, _HEIGHT_PX[0]), _HEIGHT_PX[1])
            place = np.s_[max(0, y0 - _ABOVE * tall):y1 + _ABOVE * tall,
                          max(0, x0 - _BESIDE * tall):x1 + _BESIDE * tall]
            probable[place] = np.maximum(probable[place], ocr.probability(picture[place], scale))
        found.append(Look(probable, picture, letter=WIDE))
    return tuple(found)


def _small(picture: npt.NDArray[np.uint8]) -> bool:
    return bool(max(picture.shape[:2]) < _SMALL_PX)


def lines_in(probable: Floats, place: Mask) -> bool:
    """Whether a map of probabilities holds what is surely a line, a part of it in ``place``."""
    return any(sure >= SURE and (place[b[0]:b[2], b[1]:b[3]]
                                  & (probable[b[0]:b[2], b[1]:b[3]] > LEVELS[0])).any()
               for b, sure in boxes_of(probable))


def boxes_of(probable: Floats) -> list[tuple[Box, float]]:
    """Boxes around what may be lines, grown to the height of the letters, and how likely each is.

    Texture that the detector half believes in comes in tall, ragged patches: a line is a full,
    flat bar.
    """
    found: list[tuple[Box, float]] = []
    taken = np.zeros(probable.shape, bool)
    for level in LEVELS:
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
            box = grown((rows.start, columns.start, rows.stop, columns.stop), probable.shape)
            found.append((box, float(mean[number])))
            taken[box[0]:box[2], box[1]:box[3]] = True
    return found


def turned(probable: Floats, gone: Mask) -> list[tuple[Box, float]]:
    """Boxes of what is surely a line that runs upwards or aslant and is not taken out.

    The detector sees it, but ink is looked for along rows. Texture that it takes for such a line
    is short for its width.

    Args:
        probable: (H, W) in [0, 1].
        gone: (H, W), what is taken out.
    """
    import cv2

    found = []
    _, labels = cv2.connectedComponents((probable > LEVELS[0]).astype(np.uint8))
    for number, place in enumerate(ndimage.find_objects(labels), 1):
        mine = labels[place] == number
        ys, xs = np.nonzero(mine)
        (_, sides, angle) = cv2.minAreaRect(np.stack([xs, ys], axis=1).astype(np.float32))
        long, short = max(sides) + 1, min(sides) + 1
        slope = abs((angle + (90 if sides[0] < sides[1] else 0) + 90) % 180 - 90)
        sure = float(probable[place][mine].mean())
        if (slope > _ASLANT_DEG and long >= _LONG_PX and long >= _NARROW * short
                and sure >= _SURELY and gone[place][mine].mean() < _TAKEN):
            box = (place[0].start, place[1].start, place[0].stop, place[1].stop)
            found.append((box, sure))
    return found


def grown(box: Box, shape: tuple[int, ...]) -> Box:
    """A line's box from that of its middle, which is what the detector marks."""
    height = box[2] - box[0]
    up, side = max(6, height), max(14, 3 * height)
    return (max(0, box[0] - up), max(0, box[1] - side), min(shape[0], box[2] + up),
            min(shape[1], box[3] + side))


def missed(probable: Floats, mask: Mask, least: float, begun: bool = False,
           wide: float = LETTER) -> list[tuple[Box, float]]:
    """Lines, as from :func:`boxes_of`, of which more than a letter is not taken out.

    Args:
        probable: (H, W) in [0, 1].
        mask: (H, W), what is taken out.
        least: how sure the detector is.
        begun: only lines of which something is taken out.
        wide: how wide a letter is, in heights of what the detector marks.
    """
    found = []
    for box, sure in boxes_of(probable):
        place = np.s_[box[0]:box[2], box[1]:box[3]]
        if sure < least or (begun and not mask[place].any()):
            continue
        core = probable[place] > LEVELS[1]
        tall = int(core.any(axis=1).sum())
        beside = ndimage.maximum_filter1d(mask[place].any(axis=0), 2 * tall + 1, mode="constant")
        gaps, _ = ndimage.label(core.any(axis=0) & ~beside)
        if np.bincount(gaps)[1:].max(initial=0) >= max(_LETTER_PX, int(wide * tall)):
            found.append((box, sure))
    return found
