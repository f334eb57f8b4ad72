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
CERTAIN = 1.0
_CROSS = ndimage.generate_binary_structure(2, 1)
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
    level = int(excess.argmax())
    if excess[level] <= 0:
        return None, 0.0
    level = max(range(max(0, level - 1), min(256, level + 2)), key=lambda v: counts[v])
    return np.full(box.shape[2], level, np.float32), float(excess[level])


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


def line_mask(box: Floats, likely: Mask, coloured: Mask) -> tuple[Mask, Mask, float]:
    """The ink of one line, the pixels of it that are surely ink, and how much its colour stands
    out.

    Args:
        box: (h, w, C) float32.
        likely: (h, w), where the detector sees text.
        coloured: (h, w), see :func:`stray_colour`.
    """
    if (coloured & likely).sum() >= 0.04 * likely.sum():
        return coloured, coloured, CERTAIN
    flat = against(box, likely)
    if flat is not None:
        return flat, flat, CERTAIN
    colour, strength = ink_colour(box, likely)
    if colour is None:
        return likely, np.zeros(likely.shape, bool), 0.0
    pure = _without_specks(np.abs(box - colour).max(axis=2) <= _TOLERANCE)
    if strength >= _FAINT:
        return ink_mask(box, likely, colour), pure, strength
    # Thin strokes, hardly a pixel of which is pure: what lies between them goes as well.
    found = ink_mask(box, likely, colour, reach=0.15, thin_from=0.35)
    found |= ndimage.binary_closing(found, _SQUARE, iterations=2)
    return found, pure, strength


def ink_mask(box: Floats, likely: Mask, colour: Floats, tolerance: float = _TOLERANCE,
             reach: float = 0.2,
             thin_from: float = 0.45) -> Mask:
    """Pixels of a line that are ink, or mixed with it.

    Args:
        box: (h, w, C) float32.
        likely: (h, w), pixels that can belong to the line.
        colour: from :func:`ink_colour`.
        tolerance: levels within which a pixel has the ink's own colour.
        reach: the share of ink from which a pixel beside such a one is mixed with it.
        thin_from: the share from which a pixel of the line is, whatever is beside it.
    """
    # Letters at the ends of a line lie beyond what the detector marks.
    core = _without_specks(np.abs(box - colour).max(axis=2) <= tolerance)
    beneath = _beneath(box, core)
    share = _share(box, beneath, colour)
    grown = ndimage.binary_dilation(core, _SQUARE, iterations=2)
    mixed = (share >= reach) & grown
    # Thin strokes have no pixel of full colour: what is nearly as strong counts too.
    thin = (share >= thin_from) & (share <= 1.3) & likely & (
        np.abs(colour - beneath).max(axis=2) >= 30)
    found: Mask = core | mixed | thin
    return found


def against(box: Floats, likely: Mask) -> Mask | None:
    """What stands against a background of one level; None where it has more."""
    around = box[~likely]
    if not len(around):
        return None
    level = np.median(around, axis=0)
    if (np.abs(around - level).max(axis=1) <= _FLAT).mean() < 0.9:
        return None
    found: Mask = np.abs(box - level).max(axis=2) > _FLAT
    return found


def _without_specks(core: Mask) -> Mask:
    """Drop single pixels, which speckle makes and strokes do not."""
    labels, count = ndimage.label(core, _SQUARE)
    if not count:
        return core
    sizes = np.bincount(labels.ravel())
    keep = sizes >= 3
    keep[0] = False
    kept: Mask = keep[labels]
    return kept


def _beneath(box: Floats, core: Mask) -> Floats:
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


def _share(box: Floats, beneath: Floats, colour: Floats) -> Floats:
    way = colour - beneath
    length = np.maximum((way ** 2).sum(axis=2), 1.0)
    share: Floats = (((box - beneath) * way).sum(axis=2) / length).astype(np.float32)
    return share
