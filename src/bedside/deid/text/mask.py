"""Build the mask of what is removed: the ink of all lines, and a margin around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from bedside.core.types import Box
from bedside.deid.text import extend_line
from bedside.deid.text.background import (
    CROSS,
    SQUARE,
    Floats,
    Mask,
    beneath,
    bounds,
    even_frame,
    ink_share,
    without_specks,
)
from bedside.deid.text.parameters import COLOUR, EDGES, MASK, SEGMENT
from bedside.deid.text.segment import CERTAIN, Ink, segment_line, stray_colour
from bedside.deid.text.strokes import Row, sharp_pixels


@dataclass(frozen=True, slots=True)
class LineInk:
    """The ink of one line; the masks are (h, w) of its box (y0, x0, y1, x1)."""

    box: Box
    ink: Ink

    @property
    def part(self) -> tuple[slice, slice]:
        """The box as an index into the image."""
        return _part(self.box)

    def shifted(self, mask: Mask) -> Box:
        """Return the box around a mask (h, w) of the line, in the image."""
        y, x = self.box[:2]
        y0, x0, y1, x1 = bounds(mask)
        return y + y0, x + x0, y + y1, x + x1


class InkMask:
    """The ink of an image, collected line by line; each mask is (H, W).

    ``ink`` is ink or mixed with it, ``strong`` what smoothing spreads from, ``bold`` that with
    less of it where letters are bold, ``slim`` that without pixels that hold little ink, ``pure``
    what is no tissue for certain. ``untold``: nothing tells the ink of a line from the tissue.
    """

    def __init__(self, values: Floats) -> None:
        self.values = values
        self.ink, self.strong, self.pure, self.bold, self.slim = np.zeros(
            (5, *values.shape[:2]), bool)
        self.untold = False
        self.faint: list[Box] = []
        self._fainter: list[Box] = []
        self._coloured = stray_colour(values)
        self._certain: list[tuple[Box, Floats]] = []
        self._mixed: list[tuple[Box, Floats]] = []
        self._strips: list[tuple[Box, Floats | None]] = []
        self._told = np.zeros(values.shape[:2], bool)
        self._area = np.zeros(values.shape[:2], bool)
        self._on_frame: list[tuple[Box, Floats]] = []
        self._line_ends: list[tuple[Box, Floats]] = []

    def segment(self, box: Box, near: Mask, row: Row | None) -> LineInk:
        """Segment one line whose letters stand ``near``, (h, w) of the box."""
        part = _part(box)
        return LineInk(box, segment_line(self.values[part], near, self._coloured[part],
                                         None if row is None else row.colour))

    def add(self, line: LineInk) -> None:
        """Add a line's ink."""
        part, ink = line.part, line.ink
        self.ink[part] |= ink.mask
        self._note_faint(line)
        colour = extend_line.line_colour(self.values[part], ink.pure)
        certain = ink.strength == CERTAIN
        coloured = ink.mask if colour is None else ink.pure
        if coloured.any():
            box = line.shifted(coloured)
            if colour is not None:
                (self._certain if certain else self._mixed).append((box, colour))
            # A shadow of one level may be taken for the ink: what is sharp beside it is not left.
            y0, x0, y1, x1 = line.box
            third = (y1 - y0) // 3
            inner = (y0 + third // 3, x0 + third, y1 - third // 3, x1 - third)
            level = self._grey_level(line)
            self._strips.append((inner if certain else box, level))
            if level is not None:
                self._line_ends.append((line.shifted(ink.mask), self._extreme_level(line, level)))
        if certain:
            # Where ink is told from tissue for certain no margin is needed.
            self.pure[part] |= ink.mask
            self._told[part] |= ink.mask
            return
        if colour is not None:
            self.pure[part] |= _surely_ink(self.values[part], ink.mask, colour)
        beside = ndimage.binary_dilation(ink.pure, SQUARE)
        bold = (beside & ink.mask).sum() >= MASK.bold * ink.mask.sum()
        self.strong[part] |= ink.strong
        self.bold[part] |= ink.pure if bold else ink.strong
        self.slim[part] |= ink.pure if bold else ink.strong & ~self._little_ink(line)
        self.pure[part] |= beside

    def _little_ink(self, line: LineInk) -> Mask:
        """Return pixels of a line that hold so little ink that the next ones hold none, (h, w) of
        the box; none where no colour is known."""
        ink = line.ink
        if ink.strength < SEGMENT.faint or not ink.pure.any():
            return np.zeros(ink.pure.shape, bool)
        box = self.values[line.part]
        share = ink_share(box, beneath(box, ink.mask), np.median(box[ink.pure], axis=0))
        little: Mask = (share < MASK.spreads) & ~ink.pure
        return little

    def _grey_level(self, line: LineInk) -> Floats | None:
        """Return the level of a line's ink, (C,); None for a hue, which no tissue hides."""
        ink = line.ink.pure if line.ink.pure.any() else line.ink.mask
        if self._coloured[line.part][ink].mean() > MASK.hued:
            return None
        level: Floats = np.median(self.values[line.part][ink], axis=0)
        return level

    def _extreme_level(self, line: LineInk, level: Floats) -> Floats:
        """Return the level of a line's ink, (C,); where hardly a pixel is pure, the farthest from
        what is beneath."""
        if line.ink.pure.any():
            return level
        box = self.values[line.part]
        dark = level.mean() < np.median(box.mean(axis=2))
        quantile = 1 - MASK.extreme if dark else MASK.extreme
        extreme: Floats = np.quantile(box[line.ink.mask], quantile, axis=0)
        return extreme

    def _note_faint(self, line: LineInk) -> None:
        """Keep the box of a line whose ink hardly differs from what is beneath."""
        ink = line.ink
        if not ink.mask.any():
            return
        box = self.values[line.part]
        gap = np.abs(box - beneath(box, ink.mask)).max(axis=2)
        contrast = float(np.median(gap[ink.pure if ink.pure.any() else ink.mask]))
        if ink.strength < SEGMENT.told:
            self.untold = True
        if contrast >= MASK.faint:
            return
        y0, x0, y1, x1 = line.shifted(ink.mask)
        side = (y1 - y0) // 2
        faint = (max(0, y0 - 1), max(0, x0 - side), y1 + 1, x1 + side)
        self.faint.append(faint)
        small = faint[2] - faint[0] <= MASK.thin_px and ink.strength != CERTAIN
        if small and contrast < MASK.fainter:
            self._fainter.append(faint)

    def may_leave_letters(self, mask: Mask) -> bool:
        """Return whether little of a small faint line's box is masked: letters may be left."""
        return any(mask[_part(box)].mean() < MASK.little for box in self._fainter)

    def extend(self) -> None:
        """Add what has the colour of a line and stands out beside it."""
        for lines, certain in ((self._certain, True), (self._mixed, False)):
            more = extend_line.extend_line(self.values, lines) & ~self.ink
            self.ink |= more
            self.pure |= more
            self.faint = [_longer(box, more) for box in self.faint]
            self._fainter = [_longer(box, more) for box in self._fainter]
            if not certain:
                self._spread_from(more)
        # Full stops, tails and hairlines that have no pixel of the ink's own colour.
        near, hued = np.zeros((2, *self.ink.shape), bool)
        for (y0, x0, y1, x1), level in self._strips:
            height_px = y1 - y0
            part = np.s_[max(0, y0 - height_px // 3):y1 + height_px // 3 + 1,
                         max(0, x0 - 2 * height_px):x1 + 2 * height_px]
            near[part] = True
            hued[part] |= level is None
        # No tissue has a hue where the image is grey.
        self.ink |= self._coloured & hued
        self.pure |= self._coloured & hued
        fine = sharp_pixels(self.values, EDGES.finest) & near
        fine = without_specks(fine & ~ndimage.binary_dilation(self._told, SQUARE))
        for box, level in self._strips:
            if level is not None:
                fine |= extend_line.crossing_strokes(self.values, fine, self.ink, box, level)
        for box in self.faint:
            self.ink |= extend_line.faint_strokes(self.values, self.ink, box)
        self._extend_over_frame()
        self.ink |= fine
        self._spread_from(fine)

    def _spread_from(self, more: Mask) -> None:
        self.strong |= more
        self.bold |= more
        self.slim |= more

    def _extend_over_frame(self) -> None:
        """Add what of a line stands on the even frame around the image, however faint."""
        self._area, stray = even_frame(self.values)
        if not stray.any():
            return
        lines = []
        taken = np.zeros(self.ink.shape, bool)
        # In an image that has colours of its own a hue does not tell ink.
        hues = self._coloured.any()
        certain = [(box, None if hues and np.ptp(colour) >= COLOUR.chroma else colour)
                   for box, colour in self._certain]
        for (y0, x0, y1, x1), level in self._strips + certain:
            height_px = max(y1 - y0, MASK.frame_least_px)
            far = MASK.frame_reach * height_px
            near = np.zeros(self.ink.shape, bool)
            near[max(0, y0 - height_px):y1 + height_px, max(0, x0 - far):x1 + far] = True
            near &= self._area
            written = near & stray & (self._coloured if level is None else True)
            # A shadow with echoes in it is no frame.
            if not written.any() or written.sum() > MASK.frame_written * near.sum():
                continue
            taken |= written
            box = bounds(written)
            if level is not None:
                self._on_frame.append((box, level))
            colour = extend_line.common_colour(self.values, written)
            if colour is not None:
                lines.append((box, colour))
        # A line that the frame's edge cuts continues over the tissue.
        more = extend_line.extend_line(self.values, lines) & ~self.ink
        self.ink |= taken | more
        self._spread_from(more)

    def is_truncated(self, mask: Mask) -> bool:
        """Return whether a line may continue where it cannot be seen; ``mask`` (H, W) is what
        goes."""
        return (extend_line.truncated_by_frame(self.values, self._on_frame, self._area, self.ink)
                or extend_line.hidden_by_tissue(self.values, self._line_ends, mask | self._area))

    def covers(self, row: Row) -> bool:
        """Return whether a row is ink already; then add what is missing of it."""
        part = _part(row.box)
        known = (self.ink[part] & row.mask).sum() >= MASK.covered * row.mask.sum()
        if known:
            self.ink[part] |= row.mask
        return bool(known)


def whole_line(inks: InkMask, probability: Floats, box: Box, row: Row | None) -> LineInk:
    """Segment a line, whose box grows as long as there is ink near its ends.

    The detector does not mark faint letters at the ends of a line, nor their upper half on a dark
    frame.
    """
    height, width = probability.shape
    lowest, highest = max(0, box[0] - (box[2] - box[0])), min(height, 2 * box[2] - box[0])
    for _ in range(MASK.rounds):
        near = ndimage.binary_dilation(probability[_part(box)] > MASK.seed, SQUARE,
                                       iterations=MASK.seed_px)
        line = inks.segment(box, near, row)
        ink = line.ink
        if not ink.mask.any() or ink.strength == CERTAIN or ink.strength < MASK.flat:
            return line
        y0, x0, y1, x1 = line.shifted(ink.mask)
        half = (box[2] - box[0]) // 2
        left = box[1] > 0 and x0 - box[1] < half
        right = box[3] < width and box[3] - x1 < half
        up = box[0] > lowest and y0 == box[0]
        down = box[2] < highest and y1 == box[2]
        if not (left or right or up or down):
            return line
        box = (max(lowest, box[0] - half) if up else box[0],
               max(0, box[1] - 4 * half) if left else box[1],
               min(highest, box[2] + half) if down else box[2],
               min(width, box[3] + 4 * half) if right else box[3])
    return line


def _part(box: Box) -> tuple[slice, slice]:
    return np.s_[box[0]:box[2], box[1]:box[3]]


def _surely_ink(box: Floats, ink: Mask, colour: Floats) -> Mask:
    """Return ink, and what is mixed with it, where it stands out by more than tissue varies."""
    under = beneath(box, ink)
    far = np.abs(colour - under).max(axis=2) >= MASK.surely
    sure: Mask = ink & far & (ink_share(box, under, colour) >= MASK.mixed)
    return sure


def _longer(box: Box, more: Mask) -> Box:
    """Return a line's box, grown to the ink that continues it with gaps of a few heights."""
    y0, x0, y1, x1 = box
    far = MASK.gap * (y1 - y0)
    columns = np.flatnonzero(more[y0:y1].any(axis=0))
    for column in columns[columns >= x1]:
        x1 = int(column) + 1 if column - x1 <= far else x1
    for column in columns[columns < x0][::-1]:
        x0 = int(column) if x0 - column <= far else x0
    return y0, x0, y1, x1


# ------------------------------------------------------------------ margin


def with_margin(ink: Mask, strong: Mask, tissue: Mask, boxes: list[Box], faint: list[Box]) -> Mask:
    """Return ink with a margin, as wide as the tissue around allows: at most 0.6% of it.

    Faint lines have theirs first, and all that lies between their letters.
    """
    allowed = MASK.margin_share * max(1, int(tissue.sum()))
    mask: Mask = ink | ndimage.binary_dilation(strong, SQUARE)
    # Between two strokes that nearly touch no pixel has a side without ink.
    mask |= ndimage.binary_closing(strong, SQUARE, iterations=2)
    mask = _widened(mask, tissue, inside(faint, ink.shape, MASK.margin_box_px), allowed)
    for box in sorted(faint, key=lambda b: (b[2] - b[0]) * (b[3] - b[1])):
        wider = mask.copy()
        wider[_part(box)] = True
        if (wider & tissue).sum() <= allowed:
            mask = wider
    return _widened(mask, tissue, inside(boxes, ink.shape, MASK.margin_box_px), allowed)


def inside(boxes: list[Box], shape: tuple[int, ...], margin_px: int = 0) -> Mask:
    """Return the pixels inside any of the boxes, grown by a margin, (H, W)."""
    out = np.zeros(shape, bool)
    for y0, x0, y1, x1 in boxes:
        out[max(0, y0 - margin_px):y1 + margin_px, max(0, x0 - margin_px):x1 + margin_px] = True
    return out


def _widened(mask: Mask, tissue: Mask, where: Mask, allowed: float) -> Mask:
    for _ in range(MASK.margin_px):
        # A smaller step where a whole one is too much, and then no other.
        for shape in (SQUARE, CROSS):
            wider = mask | ndimage.binary_dilation(mask, shape) & where
            if (wider & tissue).sum() <= allowed:
                mask = wider
                break
        if shape is not SQUARE:
            break
    return mask
