"""The ink of a picture, gathered line by line, and the pixels that go with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from bedside.core.types import Box
from bedside.deid.text import (
    colours,
    edge_density,
    extend_line,
    masks,
    segment_line,
    strokes,
    truncated,
)
from bedside.deid.text.background import on_background
from bedside.deid.text.masks import Floats, Mask

# What the detector half sees lies near a line; a line of which this stands out has a colour, and
# its box grows as often.
_SEED, FLAT, _TIMES = 0.15, 0.015, 4
# A row of marks of which this share is already ink was seen.
_COVERED = 0.5
# Tails and full stops are as sharp as this, see sharp.py.
_FINE = 1.3
# On the frame around a picture a line goes on for so many heights, of so many pixels at least.
_FAR, _LOW_PX = 12, 12
# Of ink that hardly has a pure pixel the level is this quantile.
_END = 0.9
# Letters take no more than this of the frame around them.
_WRITTEN = 0.25
# Ink of which this share has a colour in a grey picture is coloured.
_HUE = 0.5
# Ink that stands out by this, in levels, and pixels that hold this share of it, are no tissue.
_SURELY, _MIXED = 80.0, 0.3
# Beside a pixel with less than this share of ink no other holds a tenth of it.
_SPREADS = 0.3
# Ink goes on a faint line over gaps of so many heights.
_GAP = 3
# Of a line's ink this share lies beside pixels of its own colour where letters are bold.
_BOLD = 0.9
# Ink is faint that is so many levels from what is beneath. Of fainter letters no higher than this,
# whose strokes are hardly a pixel wide, more than that share of the box has to go.
_FAINT, _FAINTER, _THIN_PX, _LITTLE = 100.0, 55.0, 22, 0.6


@dataclass(frozen=True, slots=True)
class LineInk:
    """What :func:`ink.line_mask` says of one box."""

    box: Box
    found: Mask
    strong: Mask
    pure: Mask
    flat: float


class Inked:
    """The ink of a picture, line by line: ``core`` is ink or mixed with it, ``strong`` what
    smoothing spreads from, ``bold`` that with less of it where letters are bold, ``slim`` that
    without pixels that hold little ink, ``pure`` what is no tissue for certain; each (H, W).
    ``untold``: there is a line whose ink nothing tells from tissue."""

    def __init__(self, values: Floats) -> None:
        self.values = values
        self.core, self.strong, self.pure, self.bold, self.slim = np.zeros(
            (5, *values.shape[:2]), bool)
        self.untold = False
        self._coloured = colours.stray_colour(values)
        self._certain: list[tuple[Box, Floats]] = []
        self._mixed: list[tuple[Box, Floats]] = []
        self._strips: list[tuple[Box, Floats | None]] = []
        self.faint: list[Box] = []
        self._fainter: list[Box] = []
        self._told = np.zeros(values.shape[:2], bool)
        self._area = np.zeros(values.shape[:2], bool)
        self._on_frame: list[tuple[Box, Floats]] = []
        self._ends: list[tuple[Box, Floats]] = []

    def line(self, box: Box, near: Mask, row: strokes.Row | None) -> LineInk:
        """The ink of one line whose letters stand ``near``, (h, w) of the box."""
        place = np.s_[box[0]:box[2], box[1]:box[3]]
        return LineInk(box, *segment_line.line_mask(self.values[place], near, self._coloured[place],
                                            None if row is None else row.colour))

    def add(self, line: LineInk) -> None:
        """Take a line in."""
        place = np.s_[line.box[0]:line.box[2], line.box[1]:line.box[3]]
        self.core[place] |= line.found
        self._note_faint(line)
        colour = extend_line.colour_of(self.values[place], line.pure)
        certain = line.flat == segment_line.CERTAIN
        ys, xs = np.nonzero(line.found if colour is None else line.pure)
        if len(ys):
            y, x = line.box[:2]
            tall = (line.box[2] - line.box[0]) // 3
            box = (int(y + ys.min()), int(x + xs.min()), int(y + ys.max()) + 1,
                   int(x + xs.max()) + 1)
            if colour is not None:
                (self._certain if certain else self._mixed).append((box, colour))
            # A shadow of one level may be taken for the ink: what is sharp beside it is not left.
            whole = (line.box[0] + tall // 3, line.box[1] + tall, line.box[2] - tall // 3,
                     line.box[3] - tall)
            level = self._grey_of(line)
            self._strips.append((whole if certain else box, level))
            if level is not None:
                ys, xs = np.nonzero(line.found)
                self._ends.append(((int(y + ys.min()), int(x + xs.min()), int(y + ys.max()) + 1,
                                    int(x + xs.max()) + 1), self._strongest(line, level)))
        if colour is not None and not certain:
            self.pure[place] |= _surely(self.values[place], line, colour)
        if line.flat == segment_line.CERTAIN:
            # Where ink is told from tissue for certain no rim is needed.
            self.pure[place] |= line.found
            self._told[place] |= line.found
        else:
            beside = ndimage.binary_dilation(line.pure, masks.SQUARE)
            bold = (beside & line.found).sum() >= _BOLD * line.found.sum()
            self.strong[place] |= line.strong
            self.bold[place] |= line.pure if bold else line.strong
            self.slim[place] |= line.pure if bold else line.strong & ~self._hardly(line)
            self.pure[place] |= beside

    def _hardly(self, line: LineInk) -> Mask:
        """Pixels of a line that hold so little ink that the next ones hold none, (h, w) of the
        box; none where no colour is known."""
        if line.flat < segment_line.FAINT or not line.pure.any():
            return np.zeros(line.pure.shape, bool)
        box = self.values[line.box[0]:line.box[2], line.box[1]:line.box[3]]
        share = masks.share_of(box, masks.beneath_of(box, line.found),
                               np.median(box[line.pure], axis=0))
        hardly: Mask = (share < _SPREADS) & ~line.pure
        return hardly

    def _grey_of(self, line: LineInk) -> Floats | None:
        """The level of a line's ink, (C,); None where it has a hue, which no tissue hides."""
        place = np.s_[line.box[0]:line.box[2], line.box[1]:line.box[3]]
        written = line.pure if line.pure.any() else line.found
        if self._coloured[place][written].mean() > _HUE:
            return None
        level: Floats = np.median(self.values[place][written], axis=0)
        return level

    def _strongest(self, line: LineInk, level: Floats) -> Floats:
        """The level of a line's ink where hardly a pixel is pure: the farthest from what is
        beneath, (C,)."""
        if line.pure.any():
            return level
        box = self.values[line.box[0]:line.box[2], line.box[1]:line.box[3]]
        dark = level.mean() < np.median(box.mean(axis=2))
        end: Floats = np.quantile(box[line.found], 1 - _END if dark else _END, axis=0)
        return end

    def _note_faint(self, line: LineInk) -> None:
        """Keep the box of a line whose ink is hardly told from what is beneath."""
        ys, xs = np.nonzero(line.found)
        if not len(ys):
            return
        place = np.s_[line.box[0]:line.box[2], line.box[1]:line.box[3]]
        beneath = masks.beneath_of(self.values[place], line.found)
        ink_px = line.pure if line.pure.any() else line.found
        gap = np.abs(self.values[place] - beneath).max(axis=2)[ink_px]
        contrast = float(np.median(gap))
        if line.flat < segment_line.TOLD:
            self.untold = True
        if contrast >= _FAINT:
            return
        y, x = line.box[:2]
        side = int(ys.max() - ys.min() + 1) // 2
        box = (max(0, int(y + ys.min()) - 1), max(0, int(x + xs.min()) - side),
               int(y + ys.max()) + 2, int(x + xs.max()) + 1 + side)
        self.faint.append(box)
        small = box[2] - box[0] <= _THIN_PX and line.flat != segment_line.CERTAIN
        if small and contrast < _FAINTER:
            self._fainter.append(box)

    def uncertain(self, mask: Mask) -> bool:
        """Whether little of a small faint line's box is taken out: letters may be left."""
        return any(mask[y0:y1, x0:x1].mean() < _LITTLE for y0, x0, y1, x1 in self._fainter)

    def go_on(self) -> None:
        """Take in what has the colour of a line and stands out beside it."""
        for lines, certain in ((self._certain, True), (self._mixed, False)):
            more = extend_line.continued(self.values, lines) & ~self.core
            self.core |= more
            self.pure |= more
            self.faint = [_longer(box, more) for box in self.faint]
            self._fainter = [_longer(box, more) for box in self._fainter]
            if not certain:
                self.strong |= more
                self.bold |= more
                self.slim |= more
        # Full stops, tails and hairlines that have no pixel of the ink's own colour.
        near, hued = np.zeros((2, *self.core.shape), bool)
        for (y0, x0, y1, x1), level in self._strips:
            tall = y1 - y0
            place = np.s_[max(0, y0 - tall // 3):y1 + tall // 3 + 1,
                          max(0, x0 - 2 * tall):x1 + 2 * tall]
            near[place] = True
            hued[place] |= level is None
        # No tissue has a hue where the picture is grey.
        self.core |= self._coloured & hued
        self.pure |= self._coloured & hued
        fine = edge_density.marks(self.values, _FINE) & near
        fine = masks.without_specks(fine & ~ndimage.binary_dilation(self._told, masks.SQUARE))
        for box, level in self._strips:
            if level is not None:
                fine |= extend_line.other_ink(self.values, fine, self.core, box, level)
        for box in self.faint:
            self.core |= extend_line.rest_of(self.values, self.core, box)
        self._take_from_background()
        self.core |= fine
        self.strong |= fine
        self.bold |= fine
        self.slim |= fine

    def _take_from_background(self) -> None:
        """Take in what of a line stands on the even frame around the picture, however faint."""
        self._area, stray = on_background(self.values)
        if not stray.any():
            return
        lines = []
        taken = np.zeros(self.core.shape, bool)
        # Of a picture that has colours of its own a hue tells nothing.
        hues = self._coloured.any()
        certain = [(box, None if hues and np.ptp(colour) >= colours.CHROMA else colour)
                   for box, colour in self._certain]
        for (y0, x0, y1, x1), level in self._strips + certain:
            tall = max(y1 - y0, _LOW_PX)
            near = np.zeros(self.core.shape, bool)
            near[max(0, y0 - tall):y1 + tall, max(0, x0 - _FAR * tall):x1 + _FAR * tall] = True
            near &= self._area
            written = near & stray & (self._coloured if level is None else True)
            # A shadow with echoes in it is no frame.
            if written.sum() > _WRITTEN * near.sum():
                continue
            near = written
            taken |= near
            ys, xs = np.nonzero(near)
            if not len(ys):
                continue
            box = (int(ys.min()), int(xs.min()), int(ys.max()) + 1, int(xs.max()) + 1)
            if level is not None:
                self._on_frame.append((box, level))
            colour = extend_line.written_in(self.values, near)
            if colour is not None:
                lines.append((box, colour))
        # A line that the frame's edge cuts goes on over the tissue.
        more = extend_line.continued(self.values, lines) & ~self.core
        self.core |= taken | more
        self.strong |= more
        self.bold |= more
        self.slim |= more

    def cut(self, mask: Mask) -> bool:
        """Whether a line may go on where it cannot be seen; ``mask`` (H, W) is taken out."""
        return (truncated.cut_by_frame(self.values, self._on_frame, self._area, self.core)
                or truncated.hidden(self.values, self._ends, mask | self._area))

    def covers(self, row: strokes.Row) -> bool:
        """Whether a row is ink already; what is missing of it then is."""
        place = np.s_[row.box[0]:row.box[2], row.box[1]:row.box[3]]
        known = (self.core[place] & row.mask).sum() >= _COVERED * row.mask.sum()
        if known:
            self.core[place] |= row.mask
        return bool(known)


def whole_line(ink_of: Inked, probable: Floats, box: Box, row: strokes.Row | None) -> LineInk:
    """The ink of a line, whose box grows as long as there is ink near its ends: the detector
    does not mark faint letters at the ends of a line, nor their upper half on a dark frame."""
    height, width = probable.shape
    lowest, highest = max(0, box[0] - (box[2] - box[0])), min(height, 2 * box[2] - box[0])
    for _ in range(_TIMES):
        place = np.s_[box[0]:box[2], box[1]:box[3]]
        near = ndimage.binary_dilation(probable[place] > _SEED, masks.SQUARE, iterations=4)
        line = ink_of.line(box, near, row)
        tall = (box[2] - box[0]) // 2
        rows, columns = (np.flatnonzero(line.found.any(axis=a)) for a in (1, 0))
        if not len(columns) or line.flat == segment_line.CERTAIN or line.flat < FLAT:
            return line
        left = box[1] > 0 and columns[0] < tall
        right = box[3] < width and columns[-1] >= box[3] - box[1] - tall
        up = box[0] > lowest and rows[0] == 0
        down = box[2] < highest and rows[-1] == box[2] - box[0] - 1
        if not (left or right or up or down):
            return line
        box = (max(lowest, box[0] - tall) if up else box[0],
               max(0, box[1] - 4 * tall) if left else box[1],
               min(highest, box[2] + tall) if down else box[2],
               min(width, box[3] + 4 * tall) if right else box[3])
    return line


def _surely(box: Floats, line: LineInk, colour: Floats) -> Mask:
    """Ink, and what is mixed with it, where it stands out by more than tissue varies."""
    beneath = masks.beneath_of(box, line.found)
    far = np.abs(colour - beneath).max(axis=2) >= _SURELY
    sure: Mask = line.found & far & (masks.share_of(box, beneath, colour) >= _MIXED)
    return sure


def _longer(box: Box, more: Mask) -> Box:
    """A line's box, grown to the ink that goes on beside it with gaps of a few heights."""
    y0, x0, y1, x1 = box
    far = _GAP * (y1 - y0)
    columns = np.flatnonzero(more[y0:y1].any(axis=0))
    for column in columns[columns >= x1]:
        x1 = int(column) + 1 if column - x1 <= far else x1
    for column in columns[columns < x0][::-1]:
        x0 = int(column) if x0 - column <= far else x0
    return y0, x0, y1, x1
