"""Which pixels of a line of text are ink.

Around the pixels of the line's own colour lie those that smoothing mixed with what is beneath: they
are told by how far they have moved towards the ink from the nearest pixels without it.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from bedside.deid.text.colours import (
    BLURRED,
    EXACT,
    TOLERANCE,
    blurred_colour,
    one_value,
    stroke_colour,
)
from bedside.deid.text.masks import SQUARE, Floats, Mask, beneath_of, share_of, without_specks

_FLAT = 6.0
FAINT = 0.08
_MIXED, _MANY = 0.1, 0.1
_SPREADS = 0.15
_UNTOLD = 25
_HAIRLINE = 0.2
_ONE_LEVEL = 0.5
# Below this no level stands out: what lies farther between strokes goes as well.
_NONE, _WIDE = 0.02, 5
CERTAIN = 1.0
# Below this nothing tells ink from tissue.
TOLD = 0.01


def line_mask(box: Floats, likely: Mask, coloured: Mask, hint: Floats | None = None
              ) -> tuple[Mask, Mask, Mask, float]:
    """The ink of one line, the pixels of it that smoothing spreads from, those that are surely
    ink, and how much its colour stands out.

    Args:
        box: (h, w, C) float32.
        likely: (h, w), where the detector sees text.
        coloured: (h, w), see :func:`stray_colour`.
        hint: (C,) the colour of a row of flat letters in the box, where there is one.
    """
    if (coloured & likely).sum() >= 0.04 * likely.sum():
        return coloured, coloured, coloured, CERTAIN
    flat = against(box, likely)
    if flat is not None:
        return flat, flat, flat, CERTAIN
    colour, strength = stroke_colour(box, likely)
    if hint is not None:
        colour = hint
        strength = max(_MANY, float((np.abs(box - hint).max(axis=2) <= EXACT)[likely].mean()))
    if colour is None:
        return likely, likely, np.zeros(likely.shape, bool), 0.0
    tolerance = EXACT if one_value(box, colour) else TOLERANCE
    pure = without_specks(np.abs(box - colour).max(axis=2) <= tolerance)
    zone = _zone(pure, likely)
    pure &= zone
    many = strength >= _MANY and pure.sum() >= _MANY * likely.sum()
    if tolerance == EXACT and many and not _smoothed(box, pure, colour):
        # Every pixel of ink has the ink's own colour, its smallest dots too.
        drawn: Mask = (np.abs(box - colour).max(axis=2) <= EXACT) & zone
        return drawn, drawn, drawn, CERTAIN
    if many:
        found = ink_mask(box, likely, colour, tolerance) & zone
        strong = found & (share_of(box, beneath_of(box, pure), colour) >= _SPREADS) | pure
        return found, strong, pure, strength
    if strength >= FAINT:
        found = ink_mask(box, likely, colour, tolerance) & zone
        return found, found, pure, strength
    blurred = blurred_colour(box, likely)
    if blurred is not None:
        colour, tolerance = blurred, BLURRED
        pure = without_specks(np.abs(box - colour).max(axis=2) <= BLURRED)
        zone = _zone(pure, likely)
        pure &= zone
        strength = max(strength, TOLD)
    between = 1 if blurred is not None else _WIDE if strength < _NONE else 2
    # Thin strokes, hardly a pixel of which is pure: what lies between them goes as well.
    found = ink_mask(box, likely, colour, tolerance, reach=0.15, thin_from=0.35,
                     thin_line=True)
    found |= ndimage.binary_closing(found, SQUARE, iterations=between)
    found &= zone
    return found, found, pure, strength


def _zone(pure: Mask, likely: Mask) -> Mask:
    """Where the line stands: what the detector marks and the patches of ink in and beside it."""
    labels, count = ndimage.label(pure, SQUARE)
    rows = np.flatnonzero(likely.any(axis=1))
    zone = likely.copy()
    if not count or not len(rows):
        return zone
    tall = rows[-1] - rows[0] + 1
    boxes = [(y, x) for y, x in ndimage.find_objects(labels) if y.stop - y.start >= 0.3 * tall]
    grown = True
    while grown:
        ys, xs = (np.flatnonzero(zone.any(axis=a)) for a in (1, 0))
        top, low, left, right = ys[0], ys[-1] + 1, xs[0], xs[-1] + 1
        grown = False
        for y, x in list(boxes):
            if (x.stop > left - tall and x.start < right + tall and y.stop > top + 0.2 * tall
                    and y.start < low - 0.2 * tall):
                zone[y, x] = True
                boxes.remove((y, x))
                grown = True
    ys, xs = (np.flatnonzero(zone.any(axis=a)) for a in (1, 0))
    zone[max(0, ys[0] - 3):ys[-1] + 4, max(0, xs[0] - tall // 2):xs[-1] + 1 + tall // 2] = True
    return zone


def _smoothed(box: Floats, pure: Mask, colour: Floats) -> bool:
    """Whether the pixels beside the ink are mixed with it, by the mean over all of them."""
    if not pure.any():
        return True
    beneath = beneath_of(box, pure)
    way = colour - beneath
    rings = [ndimage.binary_dilation(pure, SQUARE, iterations=n) for n in (1, 2, 3)]
    share = [float(((box - beneath) * way)[r].sum() / max(1.0, float((way[r] ** 2).sum())))
             for r in (rings[0] & ~pure, rings[2] & ~rings[1])]
    return share[0] - share[1] > _MIXED


def ink_mask(box: Floats, likely: Mask, colour: Floats, tolerance: float = TOLERANCE,
             reach: float = 0.2,
             thin_from: float = 0.45, thin_line: bool = False) -> Mask:
    """Pixels of a line that are ink, or mixed with it.

    Args:
        box: (h, w, C) float32.
        likely: (h, w), pixels that can belong to the line.
        colour: from :func:`ink_colour`.
        tolerance: levels within which a pixel has the ink's own colour.
        reach: the share of ink from which a pixel beside such a one is mixed with it.
        thin_from: the share from which a pixel of the line is, whatever is beside it.
        thin_line: hardly a pixel has the ink's own colour: nothing is taken for tissue that
            may be ink.
    """
    # Letters at the ends of a line lie beyond what the detector marks.
    core = without_specks(np.abs(box - colour).max(axis=2) <= tolerance)
    beneath = beneath_of(box, core)
    share = share_of(box, beneath, colour)
    gap = np.abs(colour - beneath).max(axis=2)
    grown = ndimage.binary_dilation(core, SQUARE, iterations=2)
    mixed = (share >= reach) & grown
    # Thin strokes have no pixel of full colour: what is nearly as strong counts too.
    around = np.abs(box - beneath).max(axis=2)[~grown]
    spread = 1.4826 * float(np.median(around)) if len(around) else 0.0
    # On quiet tissue fainter hairlines can be told than amid speckle.
    least = np.clip(0.1 + 3 * spread / np.maximum(gap, 1.0), _HAIRLINE, thin_from)
    thin = (share >= least) & (share <= 1.3) & likely & (
        gap >= _UNTOLD)
    # Where the tissue beneath is nearly of the ink's colour the two cannot be told apart.
    told: Mask = core | mixed | thin
    untold = likely & (gap < _UNTOLD)
    if not thin_line:
        untold &= np.abs(box - colour).max(axis=2) < _UNTOLD
        untold &= ndimage.binary_dilation(told, SQUARE, iterations=4)
    found: Mask = told | untold
    return found


def against(box: Floats, likely: Mask) -> Mask | None:
    """What stands against a background of one level; None where it has more."""
    around = box[~likely]
    if not len(around):
        return None
    level = np.median(around, axis=0)
    if (np.abs(around - level).max(axis=1) <= _FLAT).mean() < 0.9:
        return None
    gap = np.abs(box - level).max(axis=2)
    found: Mask = gap > _FLAT
    if (gap[~likely] <= EXACT).mean() >= _ONE_LEVEL:
        # Nothing but ink moves what is of exactly one level.
        found |= (gap > EXACT) & ndimage.binary_dilation(found, SQUARE)
    return found
