"""Extend a line of text beyond what the detector marked, by the level of its ink.

Tissue under an overlay spreads over many neighbouring levels; what is drawn has one. So even a
faint string makes a peak in the histogram of the few rows and columns in which it stands. Images
compressed with loss after the overlay was drawn have no such peaks; there OCR is what finds text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from bedside.core.types import Box
from bedside.deid.text.background import (
    SQUARE,
    Floats,
    Mask,
    beneath,
    broad,
    from_median,
    ink_share,
    without_specks,
)
from bedside.deid.text.parameters import EXTEND, PEAKS, PIXELS


def extend_line(values: Floats, lines: Iterable[tuple[Box, Floats]]) -> Mask:
    """Return pixels of a line's own colour that stand out beside it or within it, (H, W).

    Args:
        values: (H, W, C) float32 in 0 to 255.
        lines: the box of each line's ink as (y0, x0, y1, x1) and its colour (C,).
    """
    out = np.zeros(values.shape[:2], bool)
    lines = list(lines)
    if not lines:
        return out
    patches = histogram_peaks(values, {round(float(c.mean())) for _, c in lines})
    for first, colour in lines:
        box = first
        own = [p for p in patches if np.abs(p.colour - colour).max() <= PIXELS.exact]
        grown = True
        while grown:
            grown = False
            for patch in list(own):
                if _continues(patch.box, box):
                    own.remove(patch)
                    b = patch.box
                    out[b[0]:b[2], b[1]:b[3]] |= patch.mask
                    box = (min(box[0], b[0]), min(box[1], b[1]), max(box[2], b[2]),
                           max(box[3], b[3]))
                    grown = True
        if box != first:
            height_px = box[2] - box[0]
            part = np.s_[max(0, box[0] - 2):box[2] + 2,
                         max(0, box[1] - height_px):box[3] + height_px]
            out[part] |= _mixed_pixels(values[part], out[part], colour)
    return out


def _continues(patch: Box, line: Box) -> bool:
    y0, x0, y1, x1 = patch
    height_px = line[2] - line[0]
    shared = min(y1, line[2]) - max(y0, line[0])
    gap = EXTEND.gap * height_px
    return (shared >= EXTEND.shared * min(height_px, y1 - y0)
            and y1 - y0 <= EXTEND.taller * height_px
            and x0 <= line[3] + gap and x1 >= line[1] - gap)


def _mixed_pixels(values: Floats, ink: Mask, colour: Floats) -> Mask:
    """Add full stops, too small to stand out of a histogram, and what smoothing mixed with ink."""
    dots = without_specks(np.abs(values - colour).max(axis=2) <= PIXELS.exact)
    dots &= ~broad(dots)
    pure = ink | dots
    share = ink_share(values, beneath(values, pure), colour)
    mixed: Mask = pure | (ndimage.binary_dilation(pure, SQUARE, iterations=2)
                          & (share >= EXTEND.mixed) & (share <= EXTEND.mixed_most))
    return mixed


def line_colour(values: Floats, pure: Mask) -> Floats | None:
    """Return the one colour of a line whose certain ink is ``pure`` (h, w), (C,); None where it
    has several, as after compression."""
    inside = values[pure]
    if len(inside) < EXTEND.least_px:
        return None
    colour = np.median(inside, axis=0).round()
    same = np.abs(inside - colour).max(axis=1) <= PIXELS.exact
    return colour.astype(np.float32) if same.mean() >= EXTEND.pure else None


def common_colour(values: Floats, writing: Mask) -> Floats | None:
    """Return the most frequent colour, (C,), of smoothed letters on an even background,
    ``writing`` (H, W); None where no colour is frequent."""
    inside = values[writing]
    if len(inside) < EXTEND.least_px:
        return None
    colours, counts = np.unique(inside, axis=0, return_counts=True)
    most = int(counts.argmax())
    common = counts[most] >= max(EXTEND.least_px, EXTEND.common * len(inside))
    return colours[most].astype(np.float32) if common else None


# ------------------------------------------------------------------ strokes


def crossing_strokes(values: Floats, fine: Mask, ink: Mask, box: Box, level: Floats) -> Mask:
    """Return strokes of a second line written across the first, dark where that is bright or the
    other way round, (H, W): one box of the detector may hold both.

    Args:
        values: (H, W, C) float32 in 0 to 255.
        fine: (H, W), what is as sharp as letters near the first line.
        ink: (H, W), ink that is known.
        box: the first line's.
        level: (C,), that of its ink.
    """
    height_px = box[2] - box[0]
    part = np.s_[max(0, box[0] - height_px // 3):box[2] + height_px // 3 + 1,
                 max(0, box[1] - height_px):box[3] + height_px]
    gap = from_median(values[part])
    if level.mean() > np.median(values[part].mean(axis=2)):
        gap = -gap
    known = ndimage.binary_dilation(ink[part], SQUARE, iterations=2)
    return _connected_strokes(gap, fine[part] & (gap > 0) & ~known, part, fine.shape)


def faint_strokes(values: Floats, ink: Mask, box: Box) -> Mask:
    """Return strokes of a faint line that hang together with its known ink, (H, W).

    Args:
        values: (H, W, C) float32 in 0 to 255.
        ink: (H, W), ink that is known.
        box: the line's.
    """
    part = np.s_[box[0]:box[2], box[1]:box[3]]
    gap = from_median(values[part])
    if ink[part].any() and np.median(gap[ink[part]]) < 0:
        gap = -gap
    return _connected_strokes(gap, ink[part] & (gap > 0), part, ink.shape)


def _connected_strokes(gap: Floats, known: Mask, part: tuple[slice, slice],
                       shape: tuple[int, ...]) -> Mask:
    """Return what is as far from the median as half of what is known, and touches that; (H, W)
    of the image's ``shape``."""
    out = np.zeros(shape, bool)
    if known.sum() < EXTEND.least_px:
        return out
    strokes = gap >= max(EXTEND.least, EXTEND.as_far * float(np.median(gap[known])))
    labels, _ = ndimage.label(strokes & ~broad(strokes), SQUARE)
    touched = np.unique(labels[known])
    out[part] = np.isin(labels, touched[touched > 0])
    return out


# ------------------------------------------------------------------ peaks of local histograms


@dataclass(frozen=True, slots=True)
class Patch:
    """Ink of one level: the box as (y0, x0, y1, x1), lower ends exclusive; ``mask`` (h, w) the
    pixels of the one colour; ``colour`` (C,) float32."""

    box: Box
    mask: Mask
    colour: Floats


def histogram_peaks(values: Floats, levels: set[int]) -> list[Patch]:
    """Return patches of ink-like pixels of one level.

    Args:
        values: (H, W, C) float32 in 0 to 255.
        levels: the grey levels (the mean of the colours) that are of interest.
    """
    level = np.clip(np.round(values.mean(axis=2)), 0, 255).astype(np.int64)
    peaks = _peaks(level)
    out = []
    for v in sorted(levels):
        windows = np.kron(peaks[..., v], np.ones(PEAKS.cell_px, bool))
        own = (level == v)
        own &= ~broad(own)
        own &= windows[:level.shape[0], :level.shape[1]]
        out.extend(_patches(values, own))
    return out


def _peaks(level: npt.NDArray[np.int64]) -> Mask:
    """Return the cells (rows, columns, 256) in whose window a level stands out."""
    height, width = level.shape
    cell_y, cell_x = PEAKS.cell_px
    rows, columns = -(-height // cell_y), -(-width // cell_x)
    cell = (np.arange(height) // cell_y)[:, None] * columns + np.arange(width) // cell_x
    counts = np.bincount((cell * 256 + level).ravel(), minlength=rows * columns * 256)
    counts = counts.reshape(rows, columns, 256)
    size = (*PEAKS.window, 1)
    inside = ndimage.uniform_filter(counts.astype(np.float32), size, mode="constant")
    inside *= PEAKS.window[0] * PEAKS.window[1]
    usual = _usual(inside)
    whole = counts.sum(axis=(0, 1)).astype(np.float32)
    # How often the level comes elsewhere in the image, beside its neighbours.
    comb = (whole - inside) / np.maximum(_usual(whole) - usual, 1.0)
    expected = usual * np.clip(comb, 1.0, PEAKS.comb)
    excess = inside - expected
    peaks: Mask = (excess >= PEAKS.least_px) & (excess >= PEAKS.deviations * np.sqrt(expected + 1))
    around: Mask = ndimage.maximum_filter(peaks, size, mode="constant")
    return around


def _usual(counts: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the mean count of the levels on one side, the larger of the two, (…, 256)."""
    first, last = PEAKS.first, PEAKS.last
    n = last - first + 1
    pad = [(0, 0)] * (counts.ndim - 1) + [(last + 1, last + 1)]
    padded = np.pad(counts, pad, constant_values=0)
    total = np.cumsum(np.concatenate([np.zeros((*padded.shape[:-1], 1), np.float32), padded],
                                     axis=-1, dtype=np.float64), axis=-1)
    sums = (total[..., n:] - total[..., :-n]) / n
    # sums[k] is the mean of padded[k:k + n]; level v lies at v + last + 1.
    low = sums[..., 1:1 + 256]
    high = sums[..., last + 1 + first:last + 1 + first + 256]
    out: npt.NDArray[np.float32] = np.maximum(low, high).astype(np.float32)
    return out


def _patches(values: Floats, own: Mask) -> list[Patch]:
    joined = ndimage.binary_closing(np.pad(own, 16), np.ones(PEAKS.join_px))[16:-16, 16:-16] | own
    labels, _ = ndimage.label(joined, SQUARE)
    out = []
    for label, part in enumerate(ndimage.find_objects(labels), start=1):
        mask = own[part] & (labels[part] == label)
        ys, xs = part
        # A letter that stands apart is a patch of its own, narrower than it is high.
        height_px = ys.stop - ys.start
        if mask.sum() < PEAKS.least_px or not PIXELS.lowest_px <= height_px <= PIXELS.tallest_px:
            continue
        out.append(Patch((ys.start, xs.start, ys.stop, xs.stop), mask,
                         values[part][mask].mean(axis=0).astype(np.float32)))
    return out


# ------------------------------------------------------------------ truncated lines


def truncated_by_frame(values: Floats, lines: Iterable[tuple[Box, Floats]], area: Mask, ink: Mask
                       ) -> bool:
    """Return whether a line ends where the frame does: the rest may be too faint to be seen.

    Args:
        values: (H, W, C) float32 in 0 to 255.
        lines: of each line on the frame the box (y0, x0, y1, x1) and the ink's level (C,).
        area: (H, W), the frame.
        ink: (H, W).
    """
    for box, level in lines:
        height_px = box[2] - box[0]
        for side in _sides(box):
            # Ordered from the line outwards.
            even, written = (m[side][:, ::-1] if side[1].stop == box[1] else m[side]
                             for m in (area, ink))
            if (even.shape[1] < 2 * height_px
                    or even[:, height_px // 2:].mean() >= EXTEND.frame_ends
                    or written[:, height_px // 2:].any()):
                continue
            gap = np.abs(values[side] - level).max(axis=2)
            if np.quantile(gap, EXTEND.frame_quantile) < EXTEND.frame_faint:
                return True
    return False


def hidden_by_tissue(values: Floats, lines: Iterable[tuple[Box, Floats]], known: Mask) -> bool:
    """Return whether the tissue beside a line has the ink's level, as a shadow beside dark
    letters.

    Args:
        values: (H, W, C) float32 in 0 to 255.
        lines: of each line the box (y0, x0, y1, x1) and the ink's level (C,).
        known: (H, W), the mask, and the even frame, on which every letter shows.
    """
    for box, level in lines:
        for side in _sides(box):
            free = ~known[side]
            if not free.size or free.mean() < EXTEND.free:
                continue
            gap = np.abs(values[side] - level).max(axis=2)
            if np.median(gap[free]) < EXTEND.same:
                return True
    return False


def _sides(box: Box) -> tuple[tuple[slice, slice], ...]:
    """Return what lies two heights to the left and to the right of a line."""
    y0, x0, y1, x1 = box
    far = 2 * (y1 - y0)
    return np.s_[y0:y1, max(0, x0 - far):x0], np.s_[y0:y1, x1:x1 + far]
