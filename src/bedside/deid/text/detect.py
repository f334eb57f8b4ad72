"""Find text in a picture: by OCR on the whole image, by colour, by rows of flat strokes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from bedside.core.types import Box
from bedside.deid.text import edge_density, ocr, strokes
from bedside.deid.text.background import on_background
from bedside.deid.text.ink_mask import FLAT, Inked, whole_line
from bedside.deid.text.inpaint import fill
from bedside.deid.text.margin import around, with_rim
from bedside.deid.text.masks import Floats, Mask
from bedside.deid.text.segment_line import CERTAIN
from bedside.deid.text.views import (
    LEVELS,
    SURE,
    Look,
    boxes_of,
    closer,
    grown,
    looks,
    missed,
    turned,
)

# A line is text where the detector is sure and there is ink of one colour or something to read,
# or where it is half sure and the reader is, or where letter-like marks stand in a row.
_HALF, _READABLE, _LEGIBLE, _VERY_SURE = 0.5, 0.85, 0.6, 0.88
# Or where there is as much that is sharp as letters alone are, see sharp.py.
_DRAWN_SURE, _DRAWN = 0.45, 40
# More of the tissue than this never goes without a person: of what no ink was seen in, and with
# what may be no ink, because nobody can read it or it changes by fewer levels than these.
# Where less is of no ink, more may be unsure.
_MOST, _LITTLE = ((0.0082, 0.0092), (0.0070, 0.0102)), 20.0
_EXACT, _ABOUT = 0.5, 2.0
TOO_MUCH = "text that cannot be told from the tissue around it"
UNREADABLE = "what may be text that cannot be read"
CUT = "a line of text that may go on where it cannot be seen"
FAINT = "what may be faint text"
UNSEEN = "a row of letter-like marks that the reader did not see"
TURNED = "what may be text that runs upwards or aslant"

# A line is looked at from near once more where that showed more of it.
_ROUNDS = 2

# What only one look shows is text where the reader makes out so many letters and figures.
# After the removal less will do: what is left of letters is read badly.
_SIGNS, _SAID, _STILL = 3, 0.7, 0.55


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


def unseen(picture: npt.NDArray[np.uint8], gone: Mask) -> list[Box]:
    """Boxes of what is as sharp as letters and was not taken out, whatever the reader says.

    Args:
        picture: (H, W) or (H, W, 3) uint8, after the removal.
        gone: (H, W), what was taken out.
    """
    values = np.asarray(picture, np.float32)
    return edge_density.sharp(values[..., None] if values.ndim == 2 else values, gone)


def readable(picture: npt.NDArray[np.uint8], boxes: list[Box]) -> bool:
    """Whether the reader, from near, still makes out letters where lines were taken out.

    Args:
        picture: (H, W) or (H, W, 3) uint8, after the removal.
        boxes: those of the lines.
    """
    for look in closer(picture, boxes):
        seen = [b for b, sure in boxes_of(look.probable) if sure >= _HALF]
        read = ocr.read([picture[b[0]:b[2], b[1]:b[3]] for b in seen])
        if any(sum(c.isalnum() for c in text) >= _SIGNS and score >= _STILL
               for text, score in read):
            return True
    return False


def _inside(inner: Box, outer: Box) -> bool:
    return (inner[0] >= outer[0] and inner[1] >= outer[1] and inner[2] <= outer[2]
            and inner[3] <= outer[3])


def find(picture: npt.NDArray[np.uint8], enlarge: bool = True) -> Found:
    """Text in a picture.

    Args:
        picture: (H, W) or (H, W, 3) uint8.
        enlarge: look again for small and for faint print.

    Raises:
        MissingComponent: the OCR engine is not installed.
    """
    views = looks(picture, enlarge)
    probable = np.maximum.reduce([look.probable for look in views if look.joined])
    found = find_in(picture, probable, views if enlarge else ())
    near: tuple[Look, ...] = ()
    for _ in range(_ROUNDS if enlarge else 0):
        near = closer(picture, [line.box for line in found.lines])
        if not any(_said(look, found.ink) for look in near):
            break
        views += near
        found = find_in(picture, probable, views)
    left = missed(probable, found.ink, SURE, begun=True)
    left += [line for look in near
             for line in missed(look.probable, found.ink, SURE, begun=True, wide=look.letter)]
    left += [(line.box, line.sure) for look in views for line in _said(look, found.ink)]
    aslant = turned(probable, found.ink)
    return Found((*found.lines, *(Line(box, sure, 0.0) for box, sure in left + aslant)), found.ink,
                 found.doubt or (FAINT if left else TURNED if aslant else ""))


def _said(look: Look, mask: Mask) -> list[Line]:
    """Lines of one look that the reader makes out and of which letters are not taken out."""
    left = missed(look.probable, mask, LEVELS[1], wide=look.letter)
    read = ocr.read([look.picture[b[0]:b[2], b[1]:b[3]] for b, _ in left])
    return [Line(box, sure, 0.0, score) for (box, sure), (text, score)
            in zip(left, read, strict=True)
            if sum(c.isalnum() for c in text) >= _SIGNS and score >= _SAID]


def find_in(picture: npt.NDArray[np.uint8], probable: Floats, views: tuple[Look, ...] = ()
            ) -> Found:
    """:func:`find` once the detector has spoken, ``views`` what each of its looks says."""
    values = np.asarray(picture, np.float32)
    if values.ndim == 2:
        values = values[..., None]
    ink_of = Inked(values)
    lines: list[Line] = []
    doubt = ""
    boxes = boxes_of(probable)
    marks = edge_density.marks(values)
    rows = strokes.rows(values)
    read = ocr.read([picture[b[0]:b[2], b[1]:b[3]] for b, _ in boxes])
    for (box, sure), (text, score) in zip(boxes, read, strict=True):
        inside = [row for row in rows if _inside(row.box, box)]
        best = max(inside, key=lambda row: int(row.mask.sum()), default=None)
        found = whole_line(ink_of, probable, box, best)
        signs = sum(c.isalnum() for c in text)
        readable = score if signs >= 2 else 0.0
        drawn = edge_density.most(marks[box[0]:box[2], box[1]:box[3]]) >= _DRAWN
        seen = bool(inside) or (drawn and sure >= _DRAWN_SURE) or (
            sure >= SURE and (found.flat >= FLAT or readable >= _HALF))
        if not seen and not (sure >= _HALF and readable >= _READABLE):
            if any(_inside(box, line.box) for line in lines):
                continue
            if sure < _VERY_SURE and not (
                    sure >= LEVELS[1] and signs >= _SIGNS and score >= _LEGIBLE):
                continue
            doubt = UNREADABLE
        lines.append(Line(found.box, sure, found.flat, readable))
        ink_of.add(found)
    for look in views:
        seen_in = Inked(np.asarray(look.picture, np.float32)[..., None]) if look.drawn else ink_of
        for line in _said(look, ink_of.core):
            y0, x0, y1, x1 = line.box
            if look.drawn and ink_of.core[y0:y1, x0:x1].any():
                continue  # what of a line stands on the frame goes with the line
            found = whole_line(seen_in, look.probable, line.box, None)
            lines.append(replace(line, box=found.box, flat=found.flat))
            ink_of.add(found)
    seen_boxes = [line.box for line in lines]
    for row in rows:
        if ink_of.covers(row):
            continue
        if not any(_inside(row.box, box) for box in seen_boxes):
            # The reader saw nothing here: what it is, a person says.
            doubt = doubt or UNSEEN
        box = grown(row.box, values.shape[:2])
        near = np.zeros(values.shape[:2], bool)
        near[row.box[0]:row.box[2], row.box[1]:row.box[3]] = True
        found = ink_of.line(box, near[box[0]:box[2], box[1]:box[3]], row)
        lines.append(Line(row.box, 0.0, found.flat))
        ink_of.add(found)
    ink_of.go_on()
    tissue = _textured(values)
    rest = tissue & ~ink_of.pure
    places = [line.box for line in lines]
    known = around([line.box for line in lines if line.read >= _HALF or line.flat == CERTAIN],
                   tissue.shape, by=0)
    # Bold letters are known to a pixel without a rim around what is mixed with them, and beside a
    # pixel that is little mixed with ink there is none.
    for strong in (ink_of.strong, ink_of.bold, ink_of.slim):
        mask = with_rim(ink_of.core, strong, rest, places, ink_of.faint)
        unsure = tissue & (rest | ~known | _little_changed(values, mask))
        shares = _share(mask, rest, rest), _share(mask, unsure, rest)
        if any(shares[0] <= most and shares[1] <= unsure_most for most, unsure_most in _MOST):
            break
    else:
        doubt = doubt or TOO_MUCH
    if ink_of.untold or ink_of.uncertain(mask):
        doubt = doubt or FAINT
    if ink_of.cut(mask):
        doubt = doubt or CUT
    return Found(tuple(lines), mask, doubt)


def _share(mask: Mask, place: Mask, tissue: Mask) -> float:
    """How much goes of a place, as a share of the tissue."""
    return float((mask & place).sum() / max(1, int(tissue.sum())))


def _little_changed(values: Floats, mask: Mask) -> Mask:
    """What its neighbours hardly differ from, as in a shadow or a cyst of the ink's own level."""
    little: Mask = np.abs(values - fill(values, mask)).max(axis=2) < _LITTLE
    return little


def _textured(values: Floats) -> Mask:
    """Where the picture is not its background, which a black cyst is no part of."""
    grey = values.mean(axis=2)
    level = np.bincount(np.clip(np.round(grey), 0, 255).astype(int).ravel()).argmax()
    # A frame of exactly one level, or one that compression has blurred.
    even = on_background(values)[0].any()
    flat = (np.abs(grey - level) <= (_EXACT if even else _ABOUT)).astype(np.float32)
    labels, _ = ndimage.label(ndimage.uniform_filter(flat, 9, mode="nearest") >= 0.9)
    edges = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    textured: Mask = ~np.isin(labels, np.unique(edges[edges > 0]))
    return textured


def holds_text(picture: npt.NDArray[np.uint8]) -> bool:
    """Whether a picture holds text. Raises MissingComponent without the OCR engine."""
    return bool(find(picture).lines)

