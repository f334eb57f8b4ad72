"""Which pixels of a line of text are ink.

Overlay text is drawn in one colour, so its colour stands out of the line's histogram as a spike
that tissue, which is never flat, does not make. Around the pixels of that colour lie those that
smoothing mixed with what is beneath: they are told by how far they have moved towards the ink
from the nearest pixels without it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]

CHROMA = 40
_FLAT = 6.0
_DRAWN = 0.05
_TOLERANCE = 4.0
_FAINT = 0.08
_EXACT = 0.5
_MIXED, _MANY = 0.1, 0.1
_SPREADS = 0.15
_BROAD_PX, _BROAD, _TRIES = 9, 0.15, 3
_UNTOLD = 25
_HAIRLINE = 0.2
_ONE_LEVEL = 0.5
# A level that stands out of the median around it by less than this weighs less.
_FAINTEST, _LEAST_WEIGHT, _AROUND_PX = 40.0, 0.1, 13
# Below this no level stands out: what lies farther between strokes goes as well.
_NONE, _WIDE = 0.02, 5
CERTAIN = 1.0
CROSS = ndimage.generate_binary_structure(2, 1)
_SQUARE = ndimage.generate_binary_structure(2, 2)


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


def stray_colour(values: Floats) -> Mask:
    """Pixels of colour, (H, W), in a picture that is grey but for what was drawn upon it."""
    if values.shape[2] == 1:
        return np.zeros(values.shape[:2], bool)
    chroma = _chroma(values)
    if (chroma > _FLAT).mean() > _DRAWN:
        return np.zeros(chroma.shape, bool)
    found: Mask = chroma > 2 * _FLAT
    return found


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
    colour, strength = _stroke_colour(box, likely)
    if hint is not None:
        colour = hint
        strength = max(_MANY, float((np.abs(box - hint).max(axis=2) <= _EXACT)[likely].mean()))
    if colour is None:
        return likely, likely, np.zeros(likely.shape, bool), 0.0
    tolerance = _EXACT if _one_value(box, colour) else _TOLERANCE
    pure = without_specks(np.abs(box - colour).max(axis=2) <= tolerance)
    zone = _zone(pure, likely)
    pure &= zone
    many = strength >= _MANY and pure.sum() >= _MANY * likely.sum()
    if tolerance == _EXACT and many and not _smoothed(box, pure, colour):
        # Every pixel of ink has the ink's own colour, its smallest dots too.
        drawn: Mask = (np.abs(box - colour).max(axis=2) <= _EXACT) & zone
        return drawn, drawn, drawn, CERTAIN
    if many:
        found = ink_mask(box, likely, colour, tolerance) & zone
        strong = found & (share_of(box, beneath_of(box, pure), colour) >= _SPREADS) | pure
        return found, strong, pure, strength
    if strength >= _FAINT:
        found = ink_mask(box, likely, colour, tolerance) & zone
        return found, found, pure, strength
    # Thin strokes, hardly a pixel of which is pure: what lies between them goes as well.
    found = ink_mask(box, likely, colour, tolerance, reach=0.15, thin_from=0.35,
                     thin_line=True)
    found |= ndimage.binary_closing(found, _SQUARE, iterations=_WIDE if strength < _NONE else 2)
    found &= zone
    return found, found, pure, strength


def _stroke_colour(box: Floats, likely: Mask) -> tuple[Floats | None, float]:
    """:func:`ink_colour`, but never that of something wider than a stroke, as a cyst or a shadow
    of one level beneath the line."""
    left = likely
    for _ in range(_TRIES):
        colour, strength = ink_colour(box, left)
        if colour is None:
            break
        alike = np.abs(box - colour).max(axis=2) <= _TOLERANCE
        if (broad(alike) & left).sum() < _BROAD * (alike & left).sum():
            return colour, strength * float(left.sum() / likely.sum())
        left = left & ~alike
    return None, 0.0


def _one_value(box: Floats, colour: Floats) -> bool:
    """Whether the ink is of exactly one value, and not of a few neighbouring ones as after JPEG."""
    gap = np.abs(box - colour).max(axis=2)
    sides = ((gap > _EXACT) & (gap <= _TOLERANCE)).sum() / (2 * _TOLERANCE)
    return bool((gap <= _EXACT).sum() >= max(20, 3 * sides))


def _zone(pure: Mask, likely: Mask) -> Mask:
    """Where the line stands: what the detector marks and the patches of ink in and beside it."""
    labels, count = ndimage.label(pure, _SQUARE)
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
    rings = [ndimage.binary_dilation(pure, _SQUARE, iterations=n) for n in (1, 2, 3)]
    share = [float(((box - beneath) * way)[r].sum() / max(1.0, float((way[r] ** 2).sum())))
             for r in (rings[0] & ~pure, rings[2] & ~rings[1])]
    return share[0] - share[1] > _MIXED


def ink_mask(box: Floats, likely: Mask, colour: Floats, tolerance: float = _TOLERANCE,
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
    grown = ndimage.binary_dilation(core, _SQUARE, iterations=2)
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
        untold &= ndimage.binary_dilation(told, _SQUARE, iterations=4)
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
    if (gap[~likely] <= _EXACT).mean() >= _ONE_LEVEL:
        # Nothing but ink moves what is of exactly one level.
        found |= (gap > _EXACT) & ndimage.binary_dilation(found, _SQUARE)
    return found


def broad(core: Mask) -> Mask:
    """What is broader than a stroke: a background, a shadow or a saturated echo."""
    found: Mask = ndimage.binary_opening(core, np.ones((_BROAD_PX, _BROAD_PX)))
    return found


def without_specks(core: Mask) -> Mask:
    """Drop single pixels, which speckle makes and strokes do not."""
    labels, count = ndimage.label(core, _SQUARE)
    if not count:
        return core
    sizes = np.bincount(labels.ravel())
    keep = sizes >= 3
    keep[0] = False
    kept: Mask = keep[labels]
    return kept


def beneath_of(box: Floats, core: Mask) -> Floats:
    """What lies under the ink, guessed from the pixels three and more away from it."""
    covered = ndimage.binary_dilation(core, _SQUARE, iterations=2)
    if covered.all():
        return box
    smooth = np.stack([_masked_mean(box[..., c], ~covered) for c in range(box.shape[2])], axis=2)
    return smooth.astype(np.float32)


def _masked_mean(plane: Floats, known: Mask) -> Any:
    weight = ndimage.gaussian_filter(known.astype(np.float32), 3.0, mode="nearest")
    total = ndimage.gaussian_filter(np.where(known, plane, 0).astype(np.float32), 3.0,
                                    mode="nearest")
    mean = total / np.maximum(weight, 1e-6)
    if (weight < 1e-3).any():
        nearest = ndimage.distance_transform_edt(weight < 1e-3, return_distances=False,
                                                 return_indices=True)
        mean = mean[tuple(nearest)]
    return mean


def share_of(box: Floats, beneath: Floats, colour: Floats) -> Floats:
    """How far each pixel has moved from what lies beneath towards the ink, (H, W), 1 is all."""
    way = colour - beneath
    length = np.maximum((way ** 2).sum(axis=2), 1.0)
    share: Floats = (((box - beneath) * way).sum(axis=2) / length).astype(np.float32)
    return share
