"""What of a line of text lies beyond what the detector marked: ink of the line's own level."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy import ndimage

from bedside.core.types import Box
from bedside.deid.text import masks
from bedside.deid.text.histogram_peaks import Spike, spikes
from bedside.deid.text.masks import Floats, Mask

_EXACT, _PURE, _LEAST_PX = 0.5, 0.5, 12
# A spike goes on a line that it is beside, in heights of the line, and whose rows it shares.
_GAP, _SHARED, _TALLER = 3.0, 0.4, 2.2
# The share of ink from which, and up to which, a pixel beside it is mixed with it.
_MIXED, _MOST = 0.3, 1.3
# Strokes are so far from the median around them, at least, and as far as this share of those that
# are known.
_AROUND_PX, _LEAST_LEVELS, _AS_FAR = 13, 12.0, 0.5
# Of what stands on an even background this share has the colour in which it is written.
_WRITTEN = 0.1


def colour_of(values: Floats, pure: Mask) -> Floats | None:
    """The one colour of a line whose certain ink is ``pure`` (h, w), (C,); None where it has
    several, as after compression."""
    inside = values[pure]
    if len(inside) < _LEAST_PX:
        return None
    colour = np.median(inside, axis=0).round()
    same = np.abs(inside - colour).max(axis=1) <= _EXACT
    return colour.astype(np.float32) if same.mean() >= _PURE else None


def written_in(values: Floats, stray: Mask) -> Floats | None:
    """The commonest colour, (C,), of smoothed letters on an even background, ``stray`` (H, W);
    None where no colour is common."""
    inside = values[stray]
    if len(inside) < _LEAST_PX:
        return None
    colours, counts = np.unique(inside, axis=0, return_counts=True)
    most = int(counts.argmax())
    common = counts[most] >= max(_LEAST_PX, _WRITTEN * len(inside))
    return colours[most].astype(np.float32) if common else None


def other_ink(values: Floats, fine: Mask, core: Mask, box: Box, level: Floats) -> Mask:
    """Strokes of a second line written across the first, dark where that is bright or the other
    way round, (H, W): one box of the detector may hold both.

    Args:
        values: (H, W, C) float32 in 0 to 255.
        fine: (H, W), what is as sharp as letters near the first line.
        core: (H, W), ink that is known.
        box: the first line's.
        level: (C,), that of its ink.
    """
    tall = box[2] - box[0]
    place = np.s_[max(0, box[0] - tall // 3):box[2] + tall // 3 + 1,
                  max(0, box[1] - tall):box[3] + tall]
    gap = _from_median(values[place])
    if level.mean() > np.median(values[place].mean(axis=2)):
        gap = -gap
    known = ndimage.binary_dilation(core[place], masks.SQUARE, iterations=2)
    begun = fine[place] & (gap > 0) & ~known
    return _strokes(gap, begun, place, fine.shape)


def rest_of(values: Floats, core: Mask, box: Box) -> Mask:
    """Strokes of a faint line that hang together with its known ink, (H, W).

    Args:
        values: (H, W, C) float32 in 0 to 255.
        core: (H, W), ink that is known.
        box: the line's.
    """
    place = np.s_[box[0]:box[2], box[1]:box[3]]
    gap = _from_median(values[place])
    if core[place].any() and np.median(gap[core[place]]) < 0:
        gap = -gap
    return _strokes(gap, core[place] & (gap > 0), place, core.shape)


def _from_median(box: Floats) -> Floats:
    """How far the grey is from the median around it, (h, w)."""
    grey = box.mean(axis=2)
    gap: Floats = grey - ndimage.median_filter(grey, _AROUND_PX, mode="nearest")
    return gap


def _strokes(gap: Floats, begun: Mask, place: tuple[slice, slice], shape: tuple[int, ...]) -> Mask:
    """What is as far from the median as half of what of it is known, ``begun``, and touches that;
    (H, W) of the picture's ``shape``."""
    found = np.zeros(shape, bool)
    if begun.sum() < _LEAST_PX:
        return found
    strokes = gap >= max(_LEAST_LEVELS, _AS_FAR * float(np.median(gap[begun])))
    labels, _ = ndimage.label(strokes & ~masks.broad(strokes), masks.SQUARE)
    touched = np.unique(labels[begun])
    found[place] = np.isin(labels, touched[touched > 0])
    return found


def continued(values: Floats, lines: Iterable[tuple[Box, Floats]]) -> Mask:
    """Pixels of a line's own colour that stand out beside it or within it, (H, W).

    Args:
        values: (H, W, C) float32 in 0 to 255.
        lines: the box of each line's ink as (y0, x0, y1, x1) and its colour (C,).
    """
    found = np.zeros(values.shape[:2], bool)
    lines = list(lines)
    if not lines:
        return found
    left = spikes(values, {round(float(c.mean())) for _, c in lines})
    for first, colour in lines:
        box = first
        own = [s for s in left if np.abs(s.colour - colour).max() <= _EXACT]
        grown = True
        while grown:
            grown = False
            for spike in list(own):
                if _goes_on(spike, box):
                    own.remove(spike)
                    b = spike.box
                    found[b[0]:b[2], b[1]:b[3]] |= spike.mask
                    box = (min(box[0], b[0]), min(box[1], b[1]), max(box[2], b[2]),
                           max(box[3], b[3]))
                    grown = True
        if box != first:
            tall = box[2] - box[0]
            place = np.s_[max(0, box[0] - 2):box[2] + 2, max(0, box[1] - tall):box[3] + tall]
            found[place] |= _beside(values[place], found[place], colour)
    return found


def _beside(values: Floats, found: Mask, colour: Floats) -> Mask:
    """Full stops, too small to stand out of a histogram, and what smoothing mixed with ink."""
    dots = masks.without_specks(np.abs(values - colour).max(axis=2) <= _EXACT)
    dots &= ~masks.broad(dots)
    pure = found | dots
    share = masks.share_of(values, masks.beneath_of(values, pure), colour)
    mixed: Mask = pure | (ndimage.binary_dilation(pure, masks.SQUARE, iterations=2)
                          & (share >= _MIXED) & (share <= _MOST))
    return mixed


def _goes_on(spike: Spike, box: Box) -> bool:
    y0, x0, y1, x1 = spike.box
    tall = box[2] - box[0]
    shared = min(y1, box[2]) - max(y0, box[0])
    return (shared >= _SHARED * min(tall, y1 - y0) and y1 - y0 <= _TALLER * tall
            and x0 <= box[3] + _GAP * tall and x1 >= box[1] - _GAP * tall)
