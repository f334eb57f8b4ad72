"""Detect lines of text in an image: by OCR, by rows of flat strokes, by dense edges."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from bedside.core.types import Box
from bedside.deid.text import ocr, strokes
from bedside.deid.text.background import (
    Floats,
    Image,
    Mask,
    as_values,
    common_level,
    even_frame,
    inpaint,
)
from bedside.deid.text.lines import candidates, grow_to_line, missed_lines, rotated_lines
from bedside.deid.text.mask import InkMask, inside, whole_line, with_margin
from bedside.deid.text.parameters import DETECT, MASK, PIXELS
from bedside.deid.text.segment import CERTAIN
from bedside.deid.text.views import View, close_ups, views

TOO_MUCH = "text overlapping anatomy"
UNREADABLE = "possible text that cannot be read"
TRUNCATED = "a line of text that may continue unseen"
FAINT = "possible faint text"
UNDETECTED = "a row of letter-like marks that OCR did not detect"
ROTATED = "possible vertical or slanted text"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text: the box (y0, x0, y1, x1), lower ends exclusive; ``probability`` in [0, 1]
    the detector's; ``strength``: how much the ink's colour stands out; ``legibility`` the
    reader's score, 0 where it makes nothing of it."""

    box: Box
    probability: float
    strength: float
    legibility: float = 0.0


@dataclass(frozen=True, slots=True)
class Detection:
    """``mask`` (H, W): pixels to remove; ``doubt``: a sentence, empty where there is none."""

    lines: tuple[Line, ...]
    mask: Mask
    doubt: str = ""


def find_text(image: Image, enlarge: bool = True) -> Detection:
    """Return the text in an image.

    Args:
        image: (H, W) or (H, W, 3) uint8.
        enlarge: search the views for small and for faint print too.

    Raises:
        MissingComponent: the OCR engine is not installed.
    """
    all_views = views(image, enlarge)
    probability = np.maximum.reduce([view.probability for view in all_views if view.joined])
    text = find_lines(image, probability, all_views if enlarge else ())
    near: tuple[View, ...] = ()
    for _ in range(DETECT.rounds if enlarge else 0):
        near = close_ups(image, [line.box for line in text.lines])
        if not any(_legible_missed(view, text.mask) for view in near):
            break
        all_views += near
        text = find_lines(image, probability, all_views)
    missed = missed_lines(probability, text.mask, DETECT.sure, begun=True)
    missed += [line for view in near for line in missed_lines(
        view.probability, text.mask, DETECT.sure, begun=True, letter=view.letter)]
    missed += [(line.box, line.probability) for view in all_views
               for line in _legible_missed(view, text.mask)]
    rotated = rotated_lines(probability, text.mask)
    doubt = text.doubt or (FAINT if missed else ROTATED if rotated else "")
    return Detection((*text.lines, *(Line(box, sure, 0.0) for box, sure in missed + rotated)),
                     text.mask, doubt)


def find_lines(image: Image, probability: Floats, all_views: tuple[View, ...] = ()) -> Detection:
    """Return the text in an image once the detector has run.

    Args:
        image: (H, W) or (H, W, 3) uint8.
        probability: (H, W) in [0, 1], of text.
        all_views: the detector's runs, each evaluated on its own too.
    """
    values = as_values(image)
    inks = InkMask(values)
    rows = strokes.rows(values)
    lines, doubt = _detected_lines(image, probability, inks, rows)
    lines += _lines_of_views(all_views, inks)
    more, undetected = _lines_of_rows(rows, [line.box for line in lines], inks)
    lines += more
    doubt = doubt or undetected
    inks.extend()
    mask, within = _mask_of(values, inks, lines)
    if not within:
        doubt = doubt or TOO_MUCH
    if inks.untold or inks.may_leave_letters(mask):
        doubt = doubt or FAINT
    if inks.is_truncated(mask):
        doubt = doubt or TRUNCATED
    return Detection(tuple(lines), mask, doubt)


def _detected_lines(image: Image, probability: Floats, inks: InkMask, rows: list[strokes.Row]
                    ) -> tuple[list[Line], str]:
    """Add the ink of lines that the detector, the reader or the strokes show; return them, and a
    doubt, empty where there is none."""
    doubt = ""
    lines: list[Line] = []
    boxes = candidates(probability)
    sharp = strokes.sharp_pixels(inks.values)
    read = ocr.read([image[b[0]:b[2], b[1]:b[3]] for b, _ in boxes])
    for (box, sure), (text, score) in zip(boxes, read, strict=True):
        within = [row for row in rows if _contains(box, row.box)]
        best = max(within, key=lambda row: int(row.mask.sum()), default=None)
        line = whole_line(inks, probability, box, best)
        signs = _signs(text)
        legibility = score if signs >= DETECT.few_signs else 0.0
        density = strokes.edge_density(sharp[box[0]:box[2], box[1]:box[3]]).max()
        # A line is text where the detector is sure and there is ink of one colour or something to
        # read, where it is half sure and the edges are as dense as those of letters, or the
        # reader is sure, or where letter-like marks stand in a row.
        seen = bool(within) or (sure >= DETECT.drawn_sure and density >= DETECT.drawn_px) or (
            sure >= DETECT.sure
            and (line.ink.strength >= MASK.flat or legibility >= DETECT.half))
        if not seen and not (sure >= DETECT.half and legibility >= DETECT.readable):
            if any(_contains(other.box, box) for other in lines):
                continue
            if sure < DETECT.very_sure and not (
                    sure >= DETECT.levels[1] and signs >= DETECT.signs
                    and score >= DETECT.legible):
                continue
            doubt = UNREADABLE
        lines.append(Line(line.box, sure, line.ink.strength, legibility))
        inks.add(line)
    return lines, doubt


def _lines_of_views(all_views: tuple[View, ...], inks: InkMask) -> list[Line]:
    """Add the ink of lines that one view alone shows, and return them."""
    lines = []
    for view in all_views:
        source = InkMask(as_values(view.image)) if view.redrawn else inks
        for line in _legible_missed(view, inks.ink):
            y0, x0, y1, x1 = line.box
            if view.redrawn and inks.ink[y0:y1, x0:x1].any():
                continue  # what of a line stands on the frame goes with the line
            whole = whole_line(source, view.probability, line.box, None)
            lines.append(replace(line, box=whole.box, strength=whole.ink.strength))
            inks.add(whole)
    return lines


def _legible_missed(view: View, mask: Mask) -> list[Line]:
    """Return lines of one view that the reader makes out and of which letters are not masked."""
    missed = missed_lines(view.probability, mask, DETECT.levels[1], letter=view.letter)
    read = ocr.read([view.image[b[0]:b[2], b[1]:b[3]] for b, _ in missed])
    return [Line(box, sure, 0.0, score) for (box, sure), (text, score)
            in zip(missed, read, strict=True)
            if _signs(text) >= DETECT.signs and score >= DETECT.single_view]


def _lines_of_rows(rows: list[strokes.Row], seen: list[Box], inks: InkMask
                   ) -> tuple[list[Line], str]:
    """Add the ink of rows of strokes that is not masked yet; return them, and a doubt where the
    detector saw nothing: then a person decides what they are."""
    lines, doubt = [], ""
    shape = inks.ink.shape
    for row in rows:
        if inks.covers(row):
            continue
        if not any(_contains(box, row.box) for box in seen):
            doubt = UNDETECTED
        box = grow_to_line(row.box, shape)
        near = inside([row.box], shape)[box[0]:box[2], box[1]:box[3]]
        line = inks.segment(box, near, row)
        lines.append(Line(row.box, 0.0, line.ink.strength))
        inks.add(line)
    return lines, doubt


def _mask_of(values: Floats, inks: InkMask, lines: list[Line]) -> tuple[Mask, bool]:
    """Return the mask with its margin, and whether it takes little enough of the tissue."""
    tissue = _textured(values)
    rest = tissue & ~inks.pure
    known = inside([line.box for line in lines
                    if line.legibility >= DETECT.half or line.strength == CERTAIN], tissue.shape)
    boxes = [line.box for line in lines]
    # Bold letters are known to a pixel without a margin around what is mixed with them, and
    # beside a pixel that is little mixed with ink there is none.
    for strong in (inks.strong, inks.bold, inks.slim):
        mask = with_margin(inks.ink, strong, rest, boxes, inks.faint)
        unsure = tissue & (rest | ~known | _little_changed(values, mask))
        shares = _share(mask, rest, rest), _share(mask, unsure, rest)
        if any(shares[0] <= most and shares[1] <= unsure_most for most, unsure_most in DETECT.most):
            return mask, True
    return mask, False


def _share(mask: Mask, where: Mask, tissue: Mask) -> float:
    """Return how much of a region is masked, as a share of the tissue."""
    return float((mask & where).sum() / max(1, int(tissue.sum())))


def _little_changed(values: Floats, mask: Mask) -> Mask:
    """Return pixels that the fill hardly changes, as in a shadow of the ink's own level."""
    little: Mask = np.abs(values - inpaint(values, mask)).max(axis=2) < DETECT.little
    return little


def _textured(values: Floats) -> Mask:
    """Return where the image is not its background, which a black cyst is no part of."""
    grey = values.mean(axis=2)
    # A frame of exactly one level, or one that compression has blurred.
    within = PIXELS.exact if even_frame(values)[0].any() else DETECT.blurred_frame
    flat = (np.abs(grey - common_level(grey)) <= within).astype(np.float32)
    share = ndimage.uniform_filter(flat, DETECT.texture_px, mode="nearest")
    labels, _ = ndimage.label(share >= DETECT.texture_flat)
    edges = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    textured: Mask = ~np.isin(labels, np.unique(edges[edges > 0]))
    return textured


# ------------------------------------------------------------------ after the removal


def undetected_letters(image: Image, masked: Mask) -> list[Box]:
    """Return boxes of what is as sharp as letters and was not removed, whatever OCR says.

    Args:
        image: (H, W) or (H, W, 3) uint8, after the removal.
        masked: (H, W), what was removed.
    """
    return strokes.dense_edges(as_values(image), masked)


def is_legible(image: Image, boxes: list[Box]) -> bool:
    """Return whether the reader, in close-ups, still makes out letters where lines were removed.

    Args:
        image: (H, W) or (H, W, 3) uint8, after the removal.
        boxes: those of the lines.
    """
    for view in close_ups(image, boxes):
        seen = [b for b, sure in candidates(view.probability) if sure >= DETECT.half]
        read = ocr.read([image[b[0]:b[2], b[1]:b[3]] for b in seen])
        if any(_signs(text) >= DETECT.signs and score >= DETECT.after for text, score in read):
            return True
    return False


def _contains(outer: Box, inner: Box) -> bool:
    return (inner[0] >= outer[0] and inner[1] >= outer[1] and inner[2] <= outer[2]
            and inner[3] <= outer[3])


def _signs(text: str) -> int:
    """Return the number of letters and digits."""
    return sum(c.isalnum() for c in text)
