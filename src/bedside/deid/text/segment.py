"""Segment the ink of one line of text, pixel by pixel, by the colour in which it is written.

Overlay text is drawn in one colour, so its colour stands out of the line's histogram as a peak
that tissue, which is never flat, does not make. Around the pixels of that colour lie those that
smoothing mixed with what is beneath: they are recognised by their share of ink.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

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
from bedside.deid.text.parameters import COLOUR, PIXELS, SEGMENT

# The strength of ink that is separated from the tissue without doubt.
CERTAIN = 1.0


class Ink(NamedTuple):
    """The ink of one line, masks (h, w) of its box: ``mask`` all of it, ``strong`` the pixels that
    smoothing spreads from, ``pure`` those that are surely ink; ``strength``: how much its colour
    stands out."""

    mask: Mask
    strong: Mask
    pure: Mask
    strength: float


def segment_line(box: Floats, likely: Mask, coloured: Mask, hint: Floats | None = None) -> Ink:
    """Return the ink of one line.

    Args:
        box: (h, w, C) float32.
        likely: (h, w), where the detector sees text.
        coloured: (h, w), see :func:`stray_colour`.
        hint: (C,) the colour of a row of flat letters in the box, where there is one.
    """
    if (coloured & likely).sum() >= COLOUR.hued * likely.sum():
        return Ink(coloured, coloured, coloured, CERTAIN)
    on_even = ink_on_even_background(box, likely)
    if on_even is not None:
        return Ink(on_even, on_even, on_even, CERTAIN)
    colour, strength = stroke_colour(box, likely)
    if hint is not None:
        colour = hint
        exact = np.abs(box - hint).max(axis=2) <= PIXELS.exact
        strength = max(SEGMENT.many, float(exact[likely].mean()))
    if colour is None:
        return Ink(likely, likely, np.zeros(likely.shape, bool), 0.0)
    tolerance = PIXELS.exact if _single_value(box, colour) else PIXELS.tolerance
    pure = without_specks(np.abs(box - colour).max(axis=2) <= tolerance)
    zone = _zone(pure, likely)
    pure &= zone
    many = strength >= SEGMENT.many and pure.sum() >= SEGMENT.many * likely.sum()
    if tolerance == PIXELS.exact and many and not _smoothed(box, pure, colour):
        # Every pixel of ink has the ink's own colour, its smallest dots too.
        drawn: Mask = (np.abs(box - colour).max(axis=2) <= PIXELS.exact) & zone
        return Ink(drawn, drawn, drawn, CERTAIN)
    if many:
        ink = ink_mask(box, likely, colour, tolerance) & zone
        strong = ink & (ink_share(box, beneath(box, pure), colour) >= SEGMENT.spreads) | pure
        return Ink(ink, strong, pure, strength)
    if strength >= SEGMENT.faint:
        ink = ink_mask(box, likely, colour, tolerance) & zone
        return Ink(ink, ink, pure, strength)
    blurred = blurred_colour(box, likely)
    closing = SEGMENT.none_closing if strength < SEGMENT.none else SEGMENT.closing
    if blurred is not None:
        colour, tolerance, closing = blurred, COLOUR.blurred, 1
        pure = without_specks(np.abs(box - colour).max(axis=2) <= tolerance)
        zone = _zone(pure, likely)
        pure &= zone
        strength = max(strength, SEGMENT.told)
    # Thin strokes, hardly a pixel of which is pure: what lies between them goes as well.
    ink = ink_mask(box, likely, colour, tolerance, thin=True)
    ink |= ndimage.binary_closing(ink, SQUARE, iterations=closing)
    ink &= zone
    return Ink(ink, ink, pure, strength)


def _zone(pure: Mask, likely: Mask) -> Mask:
    """Return where the line stands: what the detector marks and the patches of ink beside it."""
    labels, count = ndimage.label(pure, SQUARE)
    rows = np.flatnonzero(likely.any(axis=1))
    zone = likely.copy()
    if not count or not len(rows):
        return zone
    height_px = rows[-1] - rows[0] + 1
    boxes = [(y, x) for y, x in ndimage.find_objects(labels)
             if y.stop - y.start >= SEGMENT.patch * height_px]
    overlap = SEGMENT.overlap * height_px
    grown = True
    while grown:
        ys, xs = (np.flatnonzero(zone.any(axis=a)) for a in (1, 0))
        top, low, left, right = ys[0], ys[-1] + 1, xs[0], xs[-1] + 1
        grown = False
        for y, x in list(boxes):
            if (x.stop > left - height_px and x.start < right + height_px
                    and y.stop > top + overlap and y.start < low - overlap):
                zone[y, x] = True
                boxes.remove((y, x))
                grown = True
    ys, xs = (np.flatnonzero(zone.any(axis=a)) for a in (1, 0))
    above, beside = SEGMENT.above_px, height_px // 2
    zone[max(0, ys[0] - above):ys[-1] + 1 + above,
         max(0, xs[0] - beside):xs[-1] + 1 + beside] = True
    return zone


def _smoothed(box: Floats, pure: Mask, colour: Floats) -> bool:
    """Return whether the pixels beside the ink are mixed with it, by the mean over all of them."""
    if not pure.any():
        return True
    under = beneath(box, pure)
    way = colour - under
    rings = [ndimage.binary_dilation(pure, SQUARE, iterations=n) for n in (1, 2, 3)]
    share = [float(((box - under) * way)[r].sum() / max(1.0, float((way[r] ** 2).sum())))
             for r in (rings[0] & ~pure, rings[2] & ~rings[1])]
    return share[0] - share[1] > SEGMENT.smoothed


def ink_mask(box: Floats, likely: Mask, colour: Floats, tolerance: float = PIXELS.tolerance,
             thin: bool = False) -> Mask:
    """Return the pixels of a line that are ink, or mixed with it, (h, w).

    Args:
        box: (h, w, C) float32.
        likely: (h, w), pixels that can belong to the line.
        colour: from :func:`ink_colour`.
        tolerance: levels within which a pixel has the ink's own colour.
        thin: hardly a pixel has the ink's own colour: nothing is taken for tissue that
            may be ink.
    """
    reach, thin_from = ((SEGMENT.reach_thin, SEGMENT.thin_thin) if thin
                        else (SEGMENT.reach, SEGMENT.thin))
    # Letters at the ends of a line lie beyond what the detector marks.
    core = without_specks(np.abs(box - colour).max(axis=2) <= tolerance)
    under = beneath(box, core)
    share = ink_share(box, under, colour)
    gap = np.abs(colour - under).max(axis=2)
    grown = ndimage.binary_dilation(core, SQUARE, iterations=2)
    mixed = (share >= reach) & grown
    # Thin strokes have no pixel of full colour: what is nearly as strong counts too.
    around = np.abs(box - under).max(axis=2)[~grown]
    spread = 1.4826 * float(np.median(around)) if len(around) else 0.0
    # On quiet tissue fainter hairlines can be told than amid speckle.
    least = np.clip(SEGMENT.base + SEGMENT.noise_times * spread / np.maximum(gap, 1.0),
                    SEGMENT.hairline, thin_from)
    hairline = (share >= least) & (share <= SEGMENT.over) & likely & (gap >= SEGMENT.untold)
    told: Mask = core | mixed | hairline
    # Where the tissue beneath is nearly of the ink's colour the two cannot be told apart.
    untold = likely & (gap < SEGMENT.untold)
    if not thin:
        untold &= np.abs(box - colour).max(axis=2) < SEGMENT.untold
        untold &= ndimage.binary_dilation(told, SQUARE, iterations=SEGMENT.untold_px)
    out: Mask = told | untold
    return out


def ink_on_even_background(box: Floats, likely: Mask) -> Mask | None:
    """Return what stands out of a background of one level; None where it has more."""
    around = box[~likely]
    if not len(around):
        return None
    level = np.median(around, axis=0)
    if (np.abs(around - level).max(axis=1) <= PIXELS.flat).mean() < SEGMENT.even:
        return None
    gap = np.abs(box - level).max(axis=2)
    ink: Mask = gap > PIXELS.flat
    if (gap[~likely] <= PIXELS.exact).mean() >= SEGMENT.one_level:
        # Nothing but ink moves what is of exactly one level.
        ink |= (gap > PIXELS.exact) & ndimage.binary_dilation(ink, SQUARE)
    return ink


# ------------------------------------------------------------------ the ink's colour


def ink_colour(box: Floats, likely: Mask) -> tuple[Floats | None, float]:
    """Return the colour in which a line is written, and how much it stands out.

    Args:
        box: (h, w, C) float32 in 0 to 255.
        likely: (h, w), where the line's ink is to be looked for; what lies around it in the box
            tells which colours are beneath.

    Returns:
        (C,) float32 or None where no colour stands out; excess over the neighbouring levels and
        over the surroundings, as a share of ``likely``.
    """
    inside, around = box[likely], box[~likely]
    if len(inside) < COLOUR.least_px:
        return None, 0.0
    if box.shape[2] == 3:
        hued = _chroma(inside) >= COLOUR.chroma
        if hued.mean() > COLOUR.hued and (
                not len(around) or (_chroma(around) >= COLOUR.chroma).mean()
                < COLOUR.hued_around * hued.mean()):
            # Of a smoothed stroke the most saturated pixels are the purest ink.
            chroma = _chroma(inside[hued])
            pure = inside[hued][chroma >= np.quantile(chroma, COLOUR.purest)]
            return np.median(pure, axis=0).astype(np.float32), float(hued.mean())
    counts = _histogram(inside) / len(inside)
    under = _histogram(around) / max(1, len(around))
    padded = np.pad(counts, COLOUR.window, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * COLOUR.window + 1)
    usual = np.median(windows, axis=1)
    excess = np.convolve(counts - np.maximum(usual, COLOUR.beneath * under), [1, 1, 1], "same")
    # Letters stand out of what is around them; a shadow may have more pixels of one level.
    weight = np.clip(_contrast(box, likely) / COLOUR.faintest, COLOUR.least_weight, 1)
    level = int((excess * weight).argmax())
    if excess[level] <= 0:
        return None, 0.0
    level = max(range(max(0, level - 1), min(256, level + 2)), key=lambda v: counts[v])
    return np.full(box.shape[2], level, np.float32), float(excess[level])


def stroke_colour(box: Floats, likely: Mask) -> tuple[Floats | None, float]:
    """Return :func:`ink_colour`, but never that of something wider than a stroke, as a cyst or a
    shadow of one level beneath the line."""
    left = likely
    for _ in range(COLOUR.tries):
        colour, strength = ink_colour(box, left)
        if colour is None:
            break
        alike = np.abs(box - colour).max(axis=2) <= PIXELS.tolerance
        if (broad(alike) & left).sum() < COLOUR.broad * (alike & left).sum():
            return colour, strength * float(left.sum() / likely.sum())
        left = left & ~alike
    return None, 0.0


def blurred_colour(box: Floats, likely: Mask) -> Floats | None:
    """Return the colour of bold letters which compression has spread over neighbouring levels,
    (C,); None where none stand out starkly."""
    grey = np.clip(np.round(box.mean(axis=2)), 0, 255)
    counts = np.bincount(grey[likely].astype(int), minlength=256) / max(1, int(likely.sum()))
    under = np.bincount(grey[~likely].astype(int), minlength=256) / max(1, int((~likely).sum()))
    window = np.ones(2 * COLOUR.blurred + 1)
    excess = np.convolve(counts - under, window, "same")
    excess *= np.abs(np.arange(256) - np.median(grey[likely])) >= COLOUR.stark
    level = int(excess.argmax())
    if excess[level] < COLOUR.plateau:
        return None
    colour = np.median(box[likely & (np.abs(grey - level) <= COLOUR.blurred)], axis=0)
    plateau = np.abs(box - colour).max(axis=2) <= COLOUR.blurred
    if (broad(plateau) & likely).any():
        return None
    contrast = np.abs(colour - beneath(box, plateau)).max(axis=2)[plateau & likely]
    return colour.astype(np.float32) if np.median(contrast) >= COLOUR.stark else None


def stray_colour(values: Floats) -> Mask:
    """Return the coloured pixels, (H, W), of an image that is grey but for what is drawn on it."""
    if values.shape[2] == 1:
        return np.zeros(values.shape[:2], bool)
    chroma = _chroma(values)
    if (chroma > PIXELS.flat).mean() > COLOUR.drawn:
        return np.zeros(chroma.shape, bool)
    out: Mask = chroma > 2 * PIXELS.flat
    return out


def _single_value(box: Floats, colour: Floats) -> bool:
    """Return whether the ink has exactly one value, and not a few neighbouring ones as after
    JPEG compression."""
    gap = np.abs(box - colour).max(axis=2)
    beside = (gap > PIXELS.exact) & (gap <= PIXELS.tolerance)
    return bool((gap <= PIXELS.exact).sum() >= max(20, 3 * beside.sum() / (2 * PIXELS.tolerance)))


def _contrast(box: Floats, likely: Mask) -> Any:
    """Return how far pixels of each level are from the median around them, (256,)."""
    level = np.clip(np.round(box.mean(axis=2)[likely]), 0, 255).astype(int)
    count = np.bincount(level, minlength=256)
    return np.bincount(level, np.abs(from_median(box))[likely], 256) / np.maximum(count, 1)


def _chroma(colours: Floats) -> Any:
    return colours.max(axis=-1) - colours.min(axis=-1)


def _histogram(colours: Floats) -> Any:
    grey = np.round(colours.mean(axis=1)).astype(int)
    return np.bincount(np.clip(grey, 0, 255), minlength=256).astype(float)
