"""Lines of text in the detector's probability map: candidates, missed and rotated ones."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from bedside.core.types import Box
from bedside.deid.text.background import Floats, Mask
from bedside.deid.text.parameters import DETECT, PIXELS, VIEWS


def candidates(probability: Floats) -> list[tuple[Box, float]]:
    """Return boxes around what may be lines, grown to the letters' height, and how likely each is.

    Texture that the detector half believes in comes in tall, ragged patches: a line is a full,
    flat bar.
    """
    out: list[tuple[Box, float]] = []
    taken = np.zeros(probability.shape, bool)
    for level in DETECT.levels:
        joined = ndimage.binary_dilation((probability > level) & ~taken,
                                         np.ones((1, DETECT.join_px)))
        labels, count = ndimage.label(joined)
        if not count:
            continue
        mean = ndimage.mean(probability, labels, np.arange(1, count + 1))
        for index, (rows, columns) in enumerate(ndimage.find_objects(labels)):
            height, width = rows.stop - rows.start, columns.stop - columns.start
            full = (labels[rows, columns] == index + 1).mean()
            if (not DETECT.least_px <= height <= PIXELS.tallest_px
                    or width < DETECT.wide * height or full < DETECT.full):
                continue
            box = grow_to_line((rows.start, columns.start, rows.stop, columns.stop),
                               probability.shape)
            out.append((box, float(mean[index])))
            taken[box[0]:box[2], box[1]:box[3]] = True
    return out


def grow_to_line(box: Box, shape: tuple[int, ...]) -> Box:
    """Return a line's box from that of its middle, which is what the detector marks."""
    height = box[2] - box[0]
    up, side = max(6, height), max(14, 3 * height)
    return (max(0, box[0] - up), max(0, box[1] - side), min(shape[0], box[2] + up),
            min(shape[1], box[3] + side))


def has_line(probability: Floats, where: Mask) -> bool:
    """Return whether the detector is sure of a line, a part of which lies ``where``."""
    for (y0, x0, y1, x1), sure in candidates(probability):
        likely = probability[y0:y1, x0:x1] > DETECT.levels[0]
        if sure >= DETECT.sure and (where[y0:y1, x0:x1] & likely).any():
            return True
    return False


def missed_lines(probability: Floats, mask: Mask, least: float, begun: bool = False,
                 letter: float = VIEWS.letter) -> list[tuple[Box, float]]:
    """Return lines, as from :func:`candidates`, of which more than a letter is not masked.

    Args:
        probability: (H, W) in [0, 1].
        mask: (H, W), what is removed.
        least: the least probability of a line.
        begun: only lines of which something is masked.
        letter: how wide a letter is, in heights of what the detector marks.
    """
    out = []
    for box, sure in candidates(probability):
        part = np.s_[box[0]:box[2], box[1]:box[3]]
        if sure < least or (begun and not mask[part].any()):
            continue
        core = probability[part] > DETECT.levels[1]
        height_px = int(core.any(axis=1).sum())
        beside = ndimage.maximum_filter1d(mask[part].any(axis=0), 2 * height_px + 1,
                                          mode="constant")
        gaps, _ = ndimage.label(core.any(axis=0) & ~beside)
        widest = np.bincount(gaps)[1:].max(initial=0)
        if widest >= max(DETECT.letter_px, int(letter * height_px)):
            out.append((box, sure))
    return out


def rotated_lines(probability: Floats, mask: Mask) -> list[tuple[Box, float]]:
    """Return boxes of what is surely a line that runs upwards or aslant and is not masked.

    The detector sees it, but ink is looked for along rows. Texture that it takes for such a line
    is short for its width.

    Args:
        probability: (H, W) in [0, 1].
        mask: (H, W), what is removed.
    """
    import cv2

    out = []
    _, labels = cv2.connectedComponents((probability > DETECT.levels[0]).astype(np.uint8))
    for label, part in enumerate(ndimage.find_objects(labels), 1):
        own = labels[part] == label
        ys, xs = np.nonzero(own)
        (_, sides, angle) = cv2.minAreaRect(np.stack([xs, ys], axis=1).astype(np.float32))
        long, short = max(sides) + 1, min(sides) + 1
        slope = abs((angle + (90 if sides[0] < sides[1] else 0) + 90) % 180 - 90)
        sure = float(probability[part][own].mean())
        if (slope > DETECT.slope_deg and long >= DETECT.slope_px
                and long >= DETECT.slope_narrow * short and sure >= DETECT.slope_sure
                and mask[part][own].mean() < DETECT.slope_masked):
            out.append(((part[0].start, part[1].start, part[0].stop, part[1].stop), sure))
    return out
