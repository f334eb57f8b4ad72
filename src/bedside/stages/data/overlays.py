"""Detect overlays: calipers, text, arrows, Doppler, panels.

Rules on sharp ink, not OCR: they say that something is there, for a person to check and for the
shortcut test (``shortcut``). Ink is brighter than what surrounds it by an amount that speckle
seldom reaches; connected pieces of it are classified by their shape. Dark and faint letters are
detected by their dense edges (``deid.text.strokes``): milliseconds, where OCR takes seconds.
Sizes are in pixels of the image as stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter
from scipy import ndimage

from bedside.deid.text.parameters import EDGES
from bedside.deid.text.strokes import dense_edges

Grey = npt.NDArray[np.uint8]

CALIPERS, TEXT, ARROW, DOPPLER, PANELS = "calipers", "text", "arrow", "doppler", "panels"
FLAGS = (CALIPERS, TEXT, ARROW, DOPPLER, PANELS)

_SURROUND_PX = 13
_RISE = 75
_BRIGHT = 150
_MOST_PIECES = 400
_CHROMA = 60
_COLOUR_SHARE = 0.004
_SHARP = 100.0


@dataclass(frozen=True, slots=True)
class OverlayFindings:
    """The overlays of one image, in numbers.

    ``calipers``, ``glyphs`` (bright pieces in lines of text), ``arrows``, ``ticks`` (regular marks
    at an edge), ``panels`` and ``strokes`` (lines of strokes too sharp for tissue) are counts;
    ``mean`` and ``spread`` are grey levels of 0 … 255; ``black`` and ``colour``
    are shares of the image.
    """

    calipers: int = 0
    glyphs: int = 0
    arrows: int = 0
    ticks: int = 0
    panels: int = 1
    mean: float = 0.0
    spread: float = 0.0
    black: float = 0.0
    colour: float = 0.0
    strokes: int = 0

    @property
    def flags(self) -> tuple[str, ...]:
        """Names of the overlays present, in the order of :data:`FLAGS`."""
        here = (self.calipers > 0, self.glyphs + self.strokes > 0, self.arrows > 0,
                self.colour >= _COLOUR_SHARE, self.panels > 1)
        return tuple(name for name, there in zip(FLAGS, here, strict=True) if there)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A connected piece of ink: its position, its pixels (height, width) bool, and the image."""

    top: int
    left: int
    ink: npt.NDArray[np.bool_]
    whole: Grey

    @property
    def height(self) -> int:
        return int(self.ink.shape[0])

    @property
    def width(self) -> int:
        return int(self.ink.shape[1])

    @property
    def fill(self) -> float:
        return float(self.ink.mean())

    @property
    def rise(self) -> float:
        """Brightness of the ink above the ring two pixels around it: drawn ink is sharp."""
        margin = 3
        top, left = max(0, self.top - margin), max(0, self.left - margin)
        around = self.whole[top:self.top + self.height + margin,
                            left:self.left + self.width + margin]
        ink = np.zeros(around.shape, bool)
        ink[self.top - top:, self.left - left:][:self.height, :self.width] = self.ink
        near = ndimage.binary_dilation(ink, np.ones((3, 3), bool))
        ring = ndimage.binary_dilation(near, np.ones((3, 3), bool)) & ~near
        return float(around[ink].mean() - around[ring].mean()) if ring.any() else 0.0


def find_overlays(grey: Grey, colour: npt.NDArray[np.uint8] | None = None) -> OverlayFindings:
    """Return the overlays of one image.

    Args:
        grey: (H, W) uint8.
        colour: (H, W, 3) uint8 where the image has colours, else None.
    """
    ink = pieces(grey)
    lines = text_lines(ink)
    # Letters first: the X of a word is a cross too.
    written = {id(p) for line in lines for p in line}
    rest = [p for p in ink if id(p) not in written]
    crosses = [is_cross(p) for p in rest]
    left = [p for p, cross in zip(rest, crosses, strict=True) if not cross]
    return OverlayFindings(
        calipers=sum(crosses), glyphs=sum(map(len, lines)),
        arrows=sum(is_arrow(p) for p in left), ticks=_ticks(left, grey.shape[1]),
        panels=_panels(grey), mean=round(float(grey.mean()), 2),
        spread=round(float(grey.std()), 2), black=round(float((grey <= 2).mean()), 4),
        colour=0.0 if colour is None else round(coloured(colour), 4),
        strokes=len(dense_edges(grey, times=(EDGES.times,))))


# ------------------------------------------------------------------ ink


def pieces(grey: Grey) -> list[_Piece]:
    """Return connected pieces of ink of 3 to 48 px; none where ink is everywhere."""
    around = np.asarray(Image.fromarray(grey).filter(ImageFilter.BoxBlur(_SURROUND_PX // 2)))
    # Brighter than the surroundings by _RISE: in 8 bits, where the sum cannot wrap around.
    ink = (grey >= _BRIGHT) & (grey >= np.minimum(around, 255 - _RISE) + np.uint8(_RISE))
    names, count = ndimage.label(ink, np.ones((3, 3), np.int8))
    if count > _MOST_PIECES:
        return []
    out = []
    for name, box in enumerate(ndimage.find_objects(names), 1):
        height, width = box[0].stop - box[0].start, box[1].stop - box[1].start
        if 3 <= max(height, width) <= 48:
            out.append(_Piece(box[0].start, box[1].start, names[box] == name, grey))
    return out


def is_cross(piece: _Piece) -> bool:
    """Return whether a piece is a plus or a times sign: two thin strokes through the middle."""
    height, width = piece.height, piece.width
    if not (7 <= height <= 33 and 7 <= width <= 33 and 0.65 <= height / width <= 1.55):
        return False
    rows, columns = piece.ink.mean(axis=1), piece.ink.mean(axis=0)
    middle_y = slice(height // 2 - height // 6, height // 2 + height // 6 + 1)
    middle_x = slice(width // 2 - width // 6, width // 2 + width // 6 + 1)
    plus = (rows[middle_y].max() >= 0.85 and columns[middle_x].max() >= 0.85 and piece.fill <= 0.6)
    ends_thin = (rows[[0, -1]].max() <= 0.5 and columns[[0, -1]].max() <= 0.5)
    if plus and ends_thin and _quarters(piece.ink) <= 0.2:
        return True
    return _times(piece.ink)


def _quarters(ink: npt.NDArray[np.bool_]) -> float:
    """Return the share of ink in the four corners, each a third of the box high and wide."""
    y, x = max(1, ink.shape[0] // 3), max(1, ink.shape[1] // 3)
    corners = [ink[:y, :x], ink[:y, -x:], ink[-y:, :x], ink[-y:, -x:]]
    return float(np.mean([c.mean() for c in corners]))


def _times(ink: npt.NDArray[np.bool_]) -> bool:
    size = min(ink.shape)
    at = np.linspace(0, 1, size)
    y = np.rint(at * (ink.shape[0] - 1)).astype(int)
    x = np.rint(at * (ink.shape[1] - 1)).astype(int)
    both = ink[y, x].mean() >= 0.85 and ink[y, x[::-1]].mean() >= 0.85
    edges = [ink[0, x[size // 3:-(size // 3) or None]], ink[-1, x[size // 3:-(size // 3) or None]],
             ink[y[size // 3:-(size // 3) or None], 0], ink[y[size // 3:-(size // 3) or None], -1]]
    return bool(both and ink.mean() <= 0.55 and np.mean([e.mean() for e in edges]) <= 0.2)


def is_arrow(piece: _Piece) -> bool:
    """Return whether a piece is solid, of 12 to 48 px, and tapers evenly to one of its ends."""
    if min(piece.height, piece.width) < 8 or max(piece.height, piece.width) < 12:
        return False
    if not 0.3 <= piece.fill <= 0.72 or piece.rise < _SHARP:
        return False
    for widths in (piece.ink.sum(axis=1), piece.ink.sum(axis=0)):
        run = widths.astype(np.float64)
        for end in (run, run[::-1]):
            head = end[:max(5, len(end) // 2)]
            grows = np.diff(head) >= -1
            steady = np.corrcoef(np.arange(len(head)), head)[0, 1] if head.std() > 0 else 0.0
            if head[0] <= 3 and head[-1] >= 7 and grows.all() and steady >= 0.97:
                return True
    return False


# ------------------------------------------------------------------ text, ticks


def text_lines(ink: list[_Piece]) -> list[list[_Piece]]:
    """Return rows of at least three pieces of like height, side by side, as letters stand."""
    letters = sorted((p for p in ink if 5 <= p.height <= 34 and p.width <= 2.2 * p.height
                      and 0.12 <= p.fill <= 0.95), key=lambda p: (p.left, p.top))
    lines: list[list[_Piece]] = []
    for piece in letters:
        for line in lines:
            last = line[-1]
            gap = piece.left - (last.left + last.width)
            middle = abs((piece.top + piece.height / 2) - (last.top + last.height / 2))
            size = max(piece.height, last.height)
            if (-2 <= gap <= 1.1 * size and middle <= 0.3 * size
                    and min(piece.height, last.height) >= 0.6 * size):
                line.append(piece)
                break
        else:
            lines.append([piece])
    return [line for line in lines if len(line) >= 3 and _level(line)]


def _level(line: list[_Piece]) -> bool:
    """Return whether the pieces share an upper or a lower edge, as letters do and tissue not."""
    size = float(np.median([p.height for p in line]))
    tops = [p.top for p in line]
    bottoms = [p.top + p.height for p in line]
    return min(float(np.std(tops)), float(np.std(bottoms))) <= max(1.0, 0.1 * size)


def _ticks(ink: list[_Piece], width_px: int) -> int:
    """Count the marks of a depth scale: at least four in a column at equal distances."""
    best = 0
    small = [p for p in ink if p.height <= 6 and p.width <= 24]
    for side in (0, 1):
        edge = [p for p in small if (p.left + p.width <= 0.12 * width_px if side == 0
                                     else p.left >= 0.88 * width_px)]
        by_column: dict[int, list[int]] = {}
        for piece in edge:
            by_column.setdefault(round((piece.left + (piece.width if side else 0)) / 3),
                                 []).append(piece.top)
        for tops in by_column.values():
            steps = np.diff(sorted(tops))
            if len(steps) >= 3 and steps.min() > 6 and np.ptp(steps) <= 3:
                best = max(best, len(tops))
    return best


# ------------------------------------------------------------------ colour, panels


def coloured(rgb: npt.NDArray[np.uint8]) -> float:
    """Return the share of the image in the red, orange, blue and cyan of flow, in patches."""
    values: Any = rgb.astype(np.int16)
    red, green, blue = values[..., 0], values[..., 1], values[..., 2]
    flow = (values.max(axis=2) - values.min(axis=2) >= _CHROMA) & (
        ((red >= green) & (red > blue)) | ((blue >= green) & (blue > red)))
    return float(ndimage.binary_opening(flow, np.ones((3, 3), bool)).mean())


def _panels(grey: Grey) -> int:
    """Count images side by side or stacked, separated by a plain band through the middle."""
    return max(_parts(grey), _parts(np.ascontiguousarray(grey.T)))


def _parts(grey: Grey) -> int:
    height, width = grey.shape
    if min(height, width) < 48:
        return 1
    low, high = grey.min(axis=0).astype(np.int16), grey.max(axis=0).astype(np.int16)
    plain = (high - low <= 6) & ((high <= 12) | (low >= 243))
    bounds = np.flatnonzero(np.diff(np.concatenate([[False], plain, [False]]).astype(np.int8)))
    parts, start = 1, 0
    for a, b in bounds.reshape(-1, 2).tolist():
        # Black beside a sector is no gap between two images: both sides hold something.
        wide_enough = a - start >= 0.2 * width and width - b >= 0.2 * width
        if wide_enough and 2 <= b - a <= 0.12 * width and (
                grey[:, start:a].mean() > 12 and grey[:, b:].mean() > 12):
            parts, start = parts + 1, b
    return parts
