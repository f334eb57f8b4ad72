"""The colour in which a line is written.

Overlay text is drawn in one colour, so its colour stands out of the line's histogram as a spike
that tissue, which is never flat, does not make.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage

from bedside.deid.text.masks import Floats, Mask, beneath_of, broad

CHROMA = 40
_FLAT = 6.0
_DRAWN = 0.05
# A colour is of exactly one value, or of neighbouring ones.
EXACT, TOLERANCE = 0.5, 4.0
_BROAD, _TRIES = 0.15, 3
# A level that stands out of the median around it by less than this weighs less.
_FAINTEST, _LEAST_WEIGHT, _AROUND_PX = 40.0, 0.1, 13
# Letters that compression has blurred spread over so many levels to each side, have this share of
# the line within them, and stand out by so many levels for nothing else to.
BLURRED, _PLATEAU, _STARK = 12, 0.05, 80.0


def ink_colour(box: Floats, likely: Mask) -> tuple[Floats | None, float]:
    """The colour in which a line is written, and how much it stands out.

    Args:
        box: (h, w, C) float32 in 0 to 255.
        likely: (h, w), where the line's ink is to be looked for; what lies around it in the box
            tells which colours are beneath.

    Returns:
        (C,) float32 or None where no colour stands out; excess over the neighbouring levels and
        over the surroundings, as a share of ``likely``.
    """
    inside, around = box[likely], box[~likely]
    if len(inside) < 10:
        return None, 0.0
    if box.shape[2] == 3:
        strong = _chroma(inside) >= CHROMA
        if strong.mean() > 0.04 and (not len(around) or (_chroma(around) >= CHROMA).mean()
                                     < 0.5 * strong.mean()):
            # Of a smoothed stroke the most saturated pixels are the purest ink.
            chroma = _chroma(inside[strong])
            pure = inside[strong][chroma >= np.quantile(chroma, 0.8)]
            return np.median(pure, axis=0).astype(np.float32), float(strong.mean())
    counts = _histogram(inside) / len(inside)
    beneath = _histogram(around) / max(1, len(around))
    padded = np.pad(counts, 9, mode="reflect")
    usual = np.median(np.lib.stride_tricks.sliding_window_view(padded, 19), axis=1)
    excess = np.convolve(counts - np.maximum(usual, 0.8 * beneath), [1, 1, 1], "same")
    # Letters stand out of what is around them; a shadow may have more pixels of one level.
    level = int((excess * np.clip(_contrast(box, likely) / _FAINTEST, _LEAST_WEIGHT, 1)).argmax())
    if excess[level] <= 0:
        return None, 0.0
    level = max(range(max(0, level - 1), min(256, level + 2)), key=lambda v: counts[v])
    return np.full(box.shape[2], level, np.float32), float(excess[level])


def stroke_colour(box: Floats, likely: Mask) -> tuple[Floats | None, float]:
    """:func:`ink_colour`, but never that of something wider than a stroke, as a cyst or a shadow
    of one level beneath the line."""
    left = likely
    for _ in range(_TRIES):
        colour, strength = ink_colour(box, left)
        if colour is None:
            break
        alike = np.abs(box - colour).max(axis=2) <= TOLERANCE
        if (broad(alike) & left).sum() < _BROAD * (alike & left).sum():
            return colour, strength * float(left.sum() / likely.sum())
        left = left & ~alike
    return None, 0.0


def blurred_colour(box: Floats, likely: Mask) -> Floats | None:
    """The colour of bold letters which compression has spread over neighbouring levels, (C,);
    None where none stand out starkly."""
    grey = np.clip(np.round(box.mean(axis=2)), 0, 255)
    counts = np.bincount(grey[likely].astype(int), minlength=256) / max(1, int(likely.sum()))
    beneath = np.bincount(grey[~likely].astype(int), minlength=256) / max(1, int((~likely).sum()))
    window = np.ones(2 * BLURRED + 1)
    excess = np.convolve(counts - beneath, window, "same")
    excess *= np.abs(np.arange(256) - np.median(grey[likely])) >= _STARK
    level = int(excess.argmax())
    if excess[level] < _PLATEAU:
        return None
    colour = np.median(box[likely & (np.abs(grey - level) <= BLURRED)], axis=0)
    plateau = np.abs(box - colour).max(axis=2) <= BLURRED
    if (broad(plateau) & likely).any():
        return None
    stark = np.abs(colour - beneath_of(box, plateau)).max(axis=2)[plateau & likely]
    return colour.astype(np.float32) if np.median(stark) >= _STARK else None


def stray_colour(values: Floats) -> Mask:
    """Pixels of colour, (H, W), in a picture that is grey but for what was drawn upon it."""
    if values.shape[2] == 1:
        return np.zeros(values.shape[:2], bool)
    chroma = _chroma(values)
    if (chroma > _FLAT).mean() > _DRAWN:
        return np.zeros(chroma.shape, bool)
    found: Mask = chroma > 2 * _FLAT
    return found


def one_value(box: Floats, colour: Floats) -> bool:
    """Whether the ink is of exactly one value, and not of a few neighbouring ones as after JPEG."""
    gap = np.abs(box - colour).max(axis=2)
    sides = ((gap > EXACT) & (gap <= TOLERANCE)).sum() / (2 * TOLERANCE)
    return bool((gap <= EXACT).sum() >= max(20, 3 * sides))


def _contrast(box: Floats, likely: Mask) -> Any:
    """How far pixels of each level are from the median around them, (256,)."""
    grey = box.mean(axis=2)
    gap = np.abs(grey - ndimage.median_filter(grey, _AROUND_PX, mode="nearest"))
    level = np.clip(np.round(grey[likely]), 0, 255).astype(int)
    count = np.bincount(level, minlength=256)
    return np.bincount(level, gap[likely], 256) / np.maximum(count, 1)


def _chroma(colours: Floats) -> Any:
    return colours.max(axis=-1) - colours.min(axis=-1)


def _histogram(colours: Floats) -> Any:
    grey = np.round(colours.mean(axis=1)).astype(int)
    return np.bincount(np.clip(grey, 0, 255), minlength=256).astype(float)
